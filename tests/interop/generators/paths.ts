// Creates an API client and gets a token, with openapi-fetch and the types that openapi-typescript generates.
import createClient from 'openapi-fetch';
import type { components, paths } from './mintmark.js';

const { MINTMARK_URL, MINTMARK_CLIENT_ID, MINTMARK_CLIENT_SECRET } = process.env as Record<string, string>;
const api = createClient<paths>({ baseUrl: MINTMARK_URL });

async function fetchToken(more: Omit<components['schemas']['TokenRequest'], 'grant_type'>) {
  const { data, error } = await api.POST('/oauth2/token', {
    body: { grant_type: 'client_credentials', ...more },
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
  });
  if (!data) throw new Error(`${error.error}: ${error.error_description}`);
  return data;
}

const admin = await fetchToken({ scope: 'mintmark:manage', client_id: MINTMARK_CLIENT_ID, client_secret: MINTMARK_CLIENT_SECRET });
const create = (label: string) => api.POST('/v1/workspaces/{workspace_id}/api-clients', {
  params: { path: { workspace_id: 'acme-in' } },
  body: { label, products: ['gst'], token_expiry: { mode: 'after', seconds: 900 } },
  headers: { Authorization: `Bearer ${admin.access_token}` },
});
const { data: made, error } = await create('Made in TypeScript');
if (!made) throw new Error(error.detail);

const token = await fetchToken({ client_id: made.client_id, client_secret: made.client_secret });
console.log(made.client_id, token.expires_in, token.access_token);

const { error: refusal, response } = await create('');
console.log(response.status, JSON.stringify(refusal));
