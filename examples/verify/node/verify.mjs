// Verifies a Mintmark access token with jose 6, on Node 20 or newer: npm install jose, then
//
//   ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com TOKEN=… node verify.mjs
//
// PRODUCT (default gst) is what the token has to open. ALLOW_NEVER_EXPIRING=1 accepts tokens that have no end.
import { createRemoteJWKSet, jwtVerify } from 'jose';

const algorithms = ['ES256', 'EdDSA', 'RS256', 'PS256'];
const requiredClaims = ['iss', 'aud', 'sub', 'iat', 'jti', 'client_id', 'workspace_id', 'products'];

/** The issuer's keys. Make one per process: it keeps them for five minutes, and looks again for an unknown `kid`. */
async function discover(issuer) {
  const reply = await fetch(`${issuer}/.well-known/oauth-authorization-server`, { signal: AbortSignal.timeout(5000) });
  if (!reply.ok) throw new Error(`the metadata of ${issuer}: ${reply.status}`);
  const metadata = await reply.json();
  if (metadata.issuer !== issuer) throw new Error(`asked ${issuer}, but the metadata is that of ${metadata.issuer}`);
  return createRemoteJWKSet(new URL(metadata.jwks_uri), { cacheMaxAge: 300_000 });
}

async function verify(token, keys, { issuer, audience, product, allowNeverExpiring = false }) {
  // jose takes the key of the token's `kid` only if the key set says the token's `alg` of it.
  const rules = { issuer, audience, algorithms, requiredClaims, clockTolerance: 5 };
  const { payload: claims, protectedHeader } = await jwtVerify(token, keys, rules);
  checkKind(protectedHeader, claims, allowNeverExpiring);
  if (!claims.products.includes(product)) throw new Error(`it does not open ${product}`);
  return claims;
}

function checkKind(header, claims, allowNeverExpiring) {
  const [never, endless] = [Boolean(claims.never_expires), claims.exp === undefined];
  if ((never && !allowNeverExpiring) || (endless && !never)) throw new Error('it never expires');
  const typ = String(header.typ).toLowerCase().replace(/^application\//, '');
  if (typ !== (endless ? 'jwt' : 'at+jwt')) throw new Error('it is no access token');
  if (claims.cnf) throw new Error('it needs a proof that is not checked here');
}

const { ISSUER: issuer, AUDIENCE: audience, TOKEN: token, PRODUCT: product = 'gst' } = process.env;
const allowNeverExpiring = process.env.ALLOW_NEVER_EXPIRING === '1';
try {
  const claims = await verify(token, await discover(issuer), { issuer, audience, product, allowNeverExpiring });
  console.log(`client ${claims.client_id} of workspace ${claims.workspace_id}, products: ${claims.products.join(' ')}`);
} catch (refusal) {
  console.error(`refused: ${refusal.message}`);
  process.exitCode = 1;
}
