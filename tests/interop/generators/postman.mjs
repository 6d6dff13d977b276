// Imports openapi.yaml as Postman does, fills in what a person would, and sends three requests: one for a token for the
// management API, one to create an API client, and one for a token of that client. A fourth request is refused.
// `node postman.mjs openapi.yaml`
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import newman from 'newman';
import converter from 'openapi-to-postmanv2';

const { MINTMARK_URL, MINTMARK_CLIENT_ID, MINTMARK_CLIENT_SECRET } = process.env;
const input = { type: 'string', data: await readFile(process.argv[2], 'utf8') };
const imported = await promisify(converter.convert)(input, { folderStrategy: 'Tags', parametersResolution: 'Example' });
if (!imported.result) throw new Error(imported.reason);
const collection = imported.output[0].data;
const requests = collection.item.flatMap((folder) => folder.item);
if (requests.length < 40) throw new Error(`only ${requests.length} requests were imported`);

/** The imported request with this method and path, without its optional parameters, filled in with these values. */
function filled(method, path, { form, body, variables = {}, basic }) {
  const found = requests.find(({ request }) => request.method === method && `/${request.url.path.join('/')}` === path);
  if (!found) throw new Error(`the import has no ${method} ${path}`);
  const { request } = structuredClone(found);
  request.header = request.header.filter(({ key }) => ['Content-Type', 'Accept'].includes(key));
  for (const variable of request.url.variable) variable.value = variables[variable.key];
  if (form) for (const field of request.body.urlencoded) Object.assign(field, { value: form[field.key], disabled: !(field.key in form) });
  if (body) request.body.raw = JSON.stringify(body);
  if (!basic && request.auth?.type === 'basic') request.auth = { type: 'noauth' };
  return { name: `${method} ${path}`, request };
}

async function send(item, values) {
  const environment = { values: Object.entries({ baseUrl: MINTMARK_URL, ...values }).map(([key, value]) => ({ key, value })) };
  const run = await promisify(newman.run)({ collection: { info: collection.info, variable: collection.variable, item: [item] }, environment });
  const [{ response, requestError }] = run.run.executions;
  if (requestError) throw requestError;
  return { status: response.code, body: JSON.parse(response.stream.toString()) };
}

async function expect(status, item, values) {
  const reply = await send(item, values);
  if (reply.status !== status) throw new Error(`${item.name}: ${reply.status} ${JSON.stringify(reply.body)}`);
  return reply.body;
}

const grant = { grant_type: 'client_credentials' };
const asking = filled('POST', '/oauth2/token', { form: { ...grant, scope: 'mintmark:manage' }, basic: true });
const admin = await expect(200, asking, { basicAuthUsername: MINTMARK_CLIENT_ID, basicAuthPassword: MINTMARK_CLIENT_SECRET });

const wanted = { label: 'Made in Postman', products: ['gst'], token_expiry: { mode: 'after', seconds: 900 } };
const create = (body) => filled('POST', '/v1/workspaces/:workspace_id/api-clients', { variables: { workspace_id: 'acme-in' }, body });
const made = await expect(201, create(wanted), { bearerToken: admin.access_token });

const { client_id, client_secret } = made;
const token = await expect(200, filled('POST', '/oauth2/token', { form: { ...grant, client_id, client_secret } }), {});
console.log(client_id, token.expires_in, token.access_token);

const refusal = await send(create({ ...wanted, label: '' }), { bearerToken: admin.access_token });
console.log(refusal.status, JSON.stringify(refusal.body));
