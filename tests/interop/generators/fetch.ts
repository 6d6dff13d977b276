// Creates an API client and gets a token, with the client that openapi-generator generates for TypeScript (`typescript-fetch`).
import { APIClientsApi, Configuration, RequestTokenGrantTypeEnum, ResponseError, TokensApi } from './client/index.js';

const { MINTMARK_URL: basePath, MINTMARK_CLIENT_ID: clientId, MINTMARK_CLIENT_SECRET: clientSecret } = process.env;
const tokens = new TokensApi(new Configuration({ basePath }));
const grantType = RequestTokenGrantTypeEnum.ClientCredentials;

const admin = await tokens.requestToken({ grantType, scope: 'mintmark:manage', clientId, clientSecret });
const clients = new APIClientsApi(new Configuration({ basePath, accessToken: admin.accessToken }));
const create = (label: string) => clients.createApiClient({
  workspaceId: 'acme-in',
  apiClientCreate: { label, products: new Set(['gst']), tokenExpiry: { mode: 'after', seconds: 900 } },
});
const made = await create('Made in TypeScript');

const token = await tokens.requestToken({ grantType, clientId: made.clientId, clientSecret: made.clientSecret });
console.log(made.clientId, token.expiresIn, token.accessToken);

try {
  await create('');
} catch (refusal) {
  if (!(refusal instanceof ResponseError)) throw refusal;
  console.log(refusal.response.status, await refusal.response.text());
}
