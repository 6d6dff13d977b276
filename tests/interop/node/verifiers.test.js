// JWT libraries from npm verify tokens with their default options and the keys found through the metadata.
import { test } from 'node:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import jsonwebtoken from 'jsonwebtoken';
import jwksRsa from 'jwks-rsa';
import * as oauth from 'oauth4webapi';
import { cells, fetchToken, judge, metadata } from './world.js';

for (const cell of cells) {
  const { issuer, audience } = cell;

  test(`jose: ${cell.name}`, async () => {
    const keys = createRemoteJWKSet(new URL((await metadata(cell)).jwks_uri));
    const token = await fetchToken(cell);
    await judge('jose', cell, async () => (await jwtVerify(token, keys, { issuer, audience })).payload);
  });

  test(`jsonwebtoken with jwks-rsa: ${cell.name}`, async () => {
    const keys = jwksRsa({ jwksUri: (await metadata(cell)).jwks_uri });
    const token = await fetchToken(cell);
    const { kid } = jsonwebtoken.decode(token, { complete: true }).header;
    const key = (await keys.getSigningKey(kid)).getPublicKey();
    await judge('jsonwebtoken (npm)', cell, () => jsonwebtoken.verify(token, key, { issuer, audience }));
  });

  test(`oauth4webapi, RFC 9068: ${cell.name}`, async () => {
    const options = { [oauth.allowInsecureRequests]: true };
    const at = new URL(issuer);
    const as = await oauth.processDiscoveryResponse(at, await oauth.discoveryRequest(at, { algorithm: 'oauth2', ...options }));
    const request = new Request('https://gst.example.com/', { headers: { authorization: `Bearer ${await fetchToken(cell)}` } });
    await judge('oauth4webapi, RFC 9068', cell, () => oauth.validateJwtAccessToken(as, request, audience, options));
  });
}
