// The API reference at /docs works on a phone and on a desktop, has one box for credentials, and names its own server.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch, overflows, person } from './browser.mjs'
import { start } from './service.mjs'

let service, browser

before(async () => {
  service = await start()
  browser = await launch()
})
after(async () => {
  await browser?.close()
  await service?.stop()
})

// Opens the page, and waits until RapiDoc has drawn it.
async function reference(width, place = '') {
  const visitor = await person(browser, service.issuer, { width })
  await visitor.page.goto(`/docs${place}`)
  await visitor.page.locator('rapi-doc #link-overview').waitFor({ state: 'attached' })
  return visitor
}

test('on a phone a button opens the navigation, and choosing an entry closes it', async () => {
  const { context, page, faults } = await reference(375)
  const menu = page.getByRole('button', { name: 'Mintmark API' })
  const token = page.locator('rapi-doc [data-content-id="post-/oauth2/token"]').first()
  assert.equal(await token.isVisible(), false)
  await menu.click()
  assert.equal(await menu.getAttribute('aria-expanded'), 'true')
  await token.click()
  assert.equal(await menu.getAttribute('aria-expanded'), 'false')
  await page.getByRole('heading', { name: 'Exchange client id and secret for an access token' }).waitFor()
  assert.equal(await token.isVisible(), false)
  assert.equal(await overflows(page), false)
  assert.deepEqual(faults, [])
  await context.close()
})

test('on a desktop the navigation is beside the text, without a button', async () => {
  const { context, page, faults } = await reference(1280)
  await page.locator('rapi-doc [data-content-id="post-/oauth2/token"]').first().waitFor()
  assert.equal(await page.getByRole('button', { name: 'Mintmark API' }).isVisible(), false)
  assert.equal(await overflows(page), false)
  assert.deepEqual(faults, [])
  await context.close()
})

test('one box takes the credentials, and a request is sent with the token to this server', async () => {
  const { client_id: id, client_secret: secret } = service.command('bootstrap')
  const { context, page, faults } = await reference(1280, '#auth')
  const box = page.locator('rapi-doc #auth')
  assert.equal(await box.locator('.oauth-client-id').count(), 1)
  assert.match(await box.innerText(), new RegExp(`${service.issuer}/oauth2/token`))
  await box.locator('.oauth-client-id').fill(id)
  await box.locator('.oauth-client-secret').fill(secret)
  await box.getByRole('button', { name: 'Get token' }).click()
  await box.getByText('Access Token Received').first().waitFor()
  await page.locator('rapi-doc [data-content-id="get-/v1/products"]').first().click()
  const sent = page.waitForRequest((request) => request.url().startsWith(`${service.issuer}/v1/products`))
  await page.locator('rapi-doc [id="get-/v1/products"]').getByRole('button', { name: 'Try' }).first().click()
  const request = await sent
  assert.match(request.headers().authorization, /^Bearer ey/)
  assert.equal((await request.response()).status(), 200)
  assert.deepEqual(faults, [])
  await context.close()
})

test('grant_type is filled in, and the first steps name this server', async () => {
  const { context, page, faults } = await reference(1280)
  await page.locator('rapi-doc').getByText(`URL=${service.issuer}`).first().waitFor()
  // So it is in openapi.yaml; the page puts the address of its server in its place.
  assert.equal(await page.locator('rapi-doc').getByText('URL=http://127.0.0.1:8080').count(), 0)
  await page.locator('rapi-doc [data-content-id="post-/oauth2/token"]').first().click()
  const grant = page.locator('rapi-doc [id="post-/oauth2/token"] [data-pname="grant_type"]').first()
  await grant.waitFor({ state: 'attached' })
  assert.equal(await grant.evaluate((field) => field.value), 'client_credentials')
  assert.deepEqual(faults, [])
  await context.close()
})
