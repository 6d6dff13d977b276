// OAuth clients from npm get tokens with client_secret_basic and client_secret_post, after discovery at both well-known paths.
// Unlike most clients, they encode `-` and `_` in Basic too (RFC 6749 appendix B).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeJwt } from 'jose';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import { cells, checkClaims } from './world.js';

function check(cell, reply) {
  checkClaims(cell, decodeJwt(reply.access_token));
  assert.equal(reply.token_type.toLowerCase(), 'bearer');
  assert.equal(reply.scope, cell.scope);
  assert.equal(reply.expires_in, cell.kind === 'normal' ? 3600 : 31536000);
}

const openidMethods = { basic: client.ClientSecretBasic, post: client.ClientSecretPost };
const oauthMethods = { basic: oauth.ClientSecretBasic, post: oauth.ClientSecretPost };

for (const cell of cells) {
  for (const algorithm of ['oauth2', 'oidc']) {
    for (const [name, method] of Object.entries(openidMethods)) {
      test(`openid-client, ${name}, ${algorithm} discovery: ${cell.name}`, async () => {
        const config = await client.discovery(
          new URL(cell.issuer), cell.client_id, undefined, method(cell.client_secret),
          { algorithm, execute: [client.allowInsecureRequests] },
        );
        const reply = await client.clientCredentialsGrant(config, { scope: cell.scope });
        check(cell, reply);
      });

      test(`oauth4webapi, ${name}, ${algorithm} discovery: ${cell.name}`, async () => {
        const options = { [oauth.allowInsecureRequests]: true };
        const issuer = new URL(cell.issuer);
        const discovered = await oauth.discoveryRequest(issuer, { algorithm, ...options });
        const as = await oauth.processDiscoveryResponse(issuer, discovered);
        const me = { client_id: cell.client_id };
        const reply = await oauth.clientCredentialsGrantRequest(
          as, me, oauthMethods[name](cell.client_secret), new URLSearchParams({ scope: cell.scope }), options,
        );
        check(cell, await oauth.processClientCredentialsResponse(as, me, reply));
      });
    }
  }
}

test('oauth4webapi understands the refusal of a wrong secret', async () => {
  const [cell, other] = cells;
  const options = { [oauth.allowInsecureRequests]: true };
  const issuer = new URL(cell.issuer);
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options }));
  const me = { client_id: cell.client_id };
  const method = oauth.ClientSecretPost(other.client_secret);
  const reply = await oauth.clientCredentialsGrantRequest(as, me, method, new URLSearchParams(), options);
  await assert.rejects(
    () => oauth.processClientCredentialsResponse(as, me, reply),
    (error) => error instanceof oauth.WWWAuthenticateChallengeError || error.error === 'invalid_client',
  );
});
