// Verifies Mintmark access tokens with jose 6, on Node 20 or newer: npm install jose, then
//
//   ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com TOKEN=… node verify.mjs
//
// The token must include PRODUCT (default gst). ALLOW_NEVER_EXPIRING=1 accepts tokens that never expire. CHECK_STATUS=0 does
// not read status lists: a revoked token is then accepted until its `exp`. Services import `Verifier`: see ../frameworks.
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inflateSync } from 'node:zlib';
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose';

const algorithms = ['ES256', 'EdDSA', 'RS256', 'PS256'];
// What jose throws if the key set cannot be read. Its other errors are about the token.
const unreadable = new Set(['ERR_JOSE_GENERIC', 'ERR_JWKS_INVALID', 'ERR_JWKS_TIMEOUT']);
const requiredClaims = ['iss', 'aud', 'sub', 'iat', 'jti', 'client_id', 'workspace_id', 'products'];

/** The token is not valid (401), not for the product (403), or cannot be checked (503); `headers` are for the reply. */
export class Refused extends Error {
  constructor(message, status = 401, headers = { 'WWW-Authenticate': 'Bearer error="invalid_token"' }) {
    super(message);
    Object.assign(this, { status, headers });
  }
}

const unavailable = (message) => new Refused(message, 503, { 'Retry-After': '5' });

/** Verifies tokens of one issuer for one audience. Create one per process: it caches keys and status lists. */
export class Verifier {
  #keys;
  #lists = new Map();

  constructor({ issuer, audience, allowNeverExpiring = false, checkStatus = true }) {
    if (!issuer) throw new TypeError('the issuer is missing');
    if (!audience) throw new TypeError('the audience is missing');
    Object.assign(this, { issuer, audience, allowNeverExpiring, checkStatus });
  }

  /** The claims of a token that is valid and includes the product; any other throws `Refused`. */
  async verify(token, product) {
    const claims = await this.#verify(token).catch((error) => {
      throw error instanceof Refused ? error : new Refused(error.message);
    });
    if (claims.products.includes(product)) return claims;
    throw new Refused(`it does not include ${product}`, 403, { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' });
  }

  async #verify(token) {
    // jose uses the key with the token's `kid` only if the key set gives it the token's `alg`.
    const rules = { issuer: this.issuer, audience: this.audience, algorithms, requiredClaims, clockTolerance: 5 };
    const { payload: claims, protectedHeader } = await jwtVerify(token, await this.keys(), rules);
    this.checkKind(protectedHeader, claims);
    if (this.checkStatus && await this.status(claims) !== 0) throw new Refused('it was revoked or suspended');
    return claims;
  }

  checkKind(header, claims) {
    const [never, endless] = [Boolean(claims.never_expires), claims.exp === undefined];
    if ((never && !this.allowNeverExpiring) || (endless && !never)) throw new Refused('it never expires');
    const typ = String(header.typ).toLowerCase().replace(/^application\//, '');
    if (typ !== (endless ? 'jwt' : 'at+jwt')) throw new Refused('it is not an access token');
    if (claims.cnf) throw new Refused('it needs a proof that is not checked here');
  }

  /** 0: valid, 1: revoked, 2: suspended. */
  async status(claims) {
    const { uri, idx } = claims.status?.status_list ?? {};
    if (typeof uri !== 'string' || !uri.startsWith(`${this.issuer}/oauth2/status-lists/`)) {
      throw new Refused("its status list is not one of the issuer's");
    }
    let list = this.#lists.get(uri);
    if (!list || performance.now() >= list.keptUntil) {
      list = { keptUntil: Infinity, bits: this.#fetchList(uri).then((fetched) => { list.keptUntil = fetched.keptUntil; return fetched.bits; }) };
      this.#lists.set(uri, list);
      list.bits.catch(() => this.#lists.delete(uri));
    }
    const byte = (await list.bits)[Math.floor(idx / 4)];
    if (byte === undefined || !Number.isInteger(idx)) throw new Refused('its index is beyond the end of its status list');
    return (byte >> ((idx % 4) * 2)) & 3;
  }

  async #fetchList(uri) {
    const started = performance.now();
    const reply = await fetchFrom(uri, { headers: { Accept: 'application/statuslist+jwt' } });
    try {
      const rules = { algorithms, typ: 'statuslist+jwt', subject: uri, requiredClaims: ['exp', 'iat', 'ttl', 'status_list'] };
      const { payload } = await jwtVerify(await reply.text(), await this.keys(), rules);
      const bits = inflateSync(Buffer.from(payload.status_list.lst, 'base64url'), { maxOutputLength: 1 << 24 });
      // It is kept for its `ttl`, counted from the start of the fetch, but not past its `exp`.
      const keptUntil = started + Math.min(payload.ttl * 1000, payload.exp * 1000 - Date.now());
      if (!(performance.now() < keptUntil)) throw new Error('it has expired');
      return { bits, keptUntil };
    } catch (error) {
      // This says nothing about the token, so the answer is 503.
      throw unavailable(`its status list cannot be used: ${error.message}`);
    }
  }

  /** The issuer's keys: kept for five minutes, and fetched again for an unknown `kid`, at most every 30 seconds. */
  async keys() {
    this.#keys ??= this.#discover();
    return this.#keys.catch((error) => {
      this.#keys = undefined;
      throw error;
    });
  }

  async #discover() {
    const reply = await fetchFrom(`${this.issuer}/.well-known/oauth-authorization-server`, {});
    const metadata = await reply.json().catch((error) => {
      throw unavailable(`the metadata of ${this.issuer} cannot be read: ${error.message}`);
    });
    if (metadata?.issuer !== this.issuer) {
      throw unavailable(`asked ${this.issuer}, but the metadata is that of ${metadata?.issuer}`);
    }
    if (!URL.canParse(metadata.jwks_uri)) throw unavailable(`the metadata of ${this.issuer} has no jwks_uri`);
    const keys = createRemoteJWKSet(new URL(metadata.jwks_uri), { cacheMaxAge: 300_000, [customFetch]: fetchFrom });
    return (header, token) => keys(header, token).catch((error) => {
      throw unreadable.has(error.code) ? unavailable(`the keys cannot be read: ${error.message}`) : error;
    });
  }
}

/** Gets a document from the issuer. */
async function fetchFrom(url, options) {
  const reply = await fetch(url, { signal: AbortSignal.timeout(5000), ...options }).catch((error) => {
    throw unavailable(`${url}: ${error.cause?.message ?? error.message}`);
  });
  if (!reply.ok) throw unavailable(`${url}: ${reply.status}`);
  return reply;
}

/** The token of an `Authorization` header. */
export function bearer(authorization) {
  const [, token] = /^bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
  if (!token) throw new Refused('send Authorization: Bearer and an access token', 401, { 'WWW-Authenticate': 'Bearer' });
  return token;
}

const settings = {
  ISSUER: 'the address of Mintmark, such as https://tokens.example.com',
  AUDIENCE: 'the audience of your product, such as https://api.example.com',
  TOKEN: 'the access token to verify',
};

function mustBeSet(...names) {
  const missing = names.filter((name) => name === 'TOKEN' ? process.env[name] === undefined : !process.env[name]);
  for (const name of missing) console.error(`${name} is not set: it is ${settings[name]}`);
  if (missing.length) process.exit(1);
}

/** A verifier with the settings ISSUER, AUDIENCE, ALLOW_NEVER_EXPIRING and CHECK_STATUS. */
export function fromEnvironment() {
  mustBeSet('ISSUER', 'AUDIENCE');
  const { ISSUER: issuer, AUDIENCE: audience, ALLOW_NEVER_EXPIRING: never, CHECK_STATUS: check } = process.env;
  return new Verifier({ issuer, audience, allowNeverExpiring: never === '1', checkStatus: check !== '0' });
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const verifier = fromEnvironment();
  mustBeSet('TOKEN');
  try {
    const claims = await verifier.verify(process.env.TOKEN, process.env.PRODUCT ?? 'gst');
    console.log(`client ${claims.client_id} of workspace ${claims.workspace_id}, products: ${claims.products.join(' ')}`);
  } catch (refusal) {
    if (!(refusal instanceof Refused)) throw refusal;
    console.error(`refused: ${refusal.message} (answer ${refusal.status})`);
    process.exitCode = 1;
  }
}
