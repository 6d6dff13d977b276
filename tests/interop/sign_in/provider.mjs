// A real OpenID Connect provider (oidc-provider) for one service. It prints its issuer, reads the origin of the service from
// stdin, and prints `ready`. The login name is the `sub`. Each algorithm has a client, whose id is its name in lower case.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline/promises';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];
let serve = (_, response) => response.writeHead(503).end();
const server = createServer((request, response) => serve(request, response));
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
console.log(issuer);

const origin = await createInterface({ input: process.stdin }).question('');
const keys = await Promise.all(algorithms.map(async (alg) => {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: alg };
}));
const provider = new Provider(issuer, {
  jwks: { keys },
  clients: algorithms.map((alg) => ({
    client_id: alg.toLowerCase(),
    client_secret: 'a secret with +/%: in it',
    redirect_uris: [`${origin}/console/sign-in/oidc/${alg.toLowerCase()}/callback`],
    response_types: ['code'],
    id_token_signed_response_alg: alg,
  })),
  enabledJWA: { idTokenSigningAlgValues: algorithms },
  // The claims of the scopes are in the ID token, not only at the userinfo endpoint.
  conformIdTokenClaims: false,
  claims: { openid: ['sub', 'auth_time'], email: ['email'], profile: ['name', 'mintmark_roles'] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: 'ada@example.com', name: 'Ada', mintmark_roles: ['staff', 'platform_admin'] }),
  }),
});
serve = provider.callback();
console.log('ready');
