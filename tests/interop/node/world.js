// Shared by the Node tests: the services that run.py describes, plain HTTP, and the comparison of verdicts.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';

const world = JSON.parse(readFileSync(process.env.MINTMARK_WORLD, 'utf8'));

/** The clients, one for each kind of token. */
export const cells = Object.entries(world.cells).map(([name, cell]) => ({ name, ...cell }));

/** RFC 8414 metadata of the cell's issuer. */
export async function metadata(cell) {
  const reply = await fetch(`${cell.issuer}/.well-known/oauth-authorization-server`);
  assert.equal(reply.status, 200);
  return reply.json();
}

/** A token of the cell's client, fetched without any library. */
export async function fetchToken(cell) {
  const { token_endpoint } = await metadata(cell);
  const { client_id, client_secret } = cell;
  const reply = await fetch(token_endpoint, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'client_credentials', client_id, client_secret }),
  });
  assert.equal(reply.status, 200);
  return (await reply.json()).access_token;
}

/** Checks that the claims are those of a token of the cell's client. */
export function checkClaims(cell, claims) {
  assert.equal(claims.client_id, cell.client_id);
  assert.deepEqual(claims.products, ['gst']);
  assert.equal('exp' in claims, cell.kind !== 'omit');
  assert.equal(claims.never_expires ?? false, cell.kind !== 'normal');
}

/** Compares the verdict of a library on a token with the expected one, and records it for the table of matrix.py. */
export async function judge(library, cell, verify) {
  let claims;
  let verdict = 'accepts';
  try {
    claims = await verify();
  } catch (refusal) {
    verdict = `refuses: ${refusal.name} ${refusal.message} ${refusal.cause?.message ?? ''}`.trim().replaceAll(/\s+/g, ' ');
  }
  if (claims) checkClaims(cell, claims);
  appendFileSync(process.env.MINTMARK_VERDICTS, `${library}\t${cell.name}\t${verdict}\n`);
  const [expected, because = ''] = world.expected[library][cell.name].split(': ');
  assert.ok(verdict.startsWith(expected) && verdict.includes(because), verdict);
}
