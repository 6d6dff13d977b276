// Opens every page of the console, with and without JavaScript, at two widths, light and dark. axe-core finds nothing serious,
// nothing scrolls sideways, and there is no error in the browser's console, no violation of the content security policy and no
// request to another origin. html-validate finds no fault in any page as it was sent.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessibilityFaults, overflows, person } from './browser.mjs'
import { htmlFaults } from './html.mjs'
import { describeClient, exchange, PASSWORD, world } from './world.mjs'

let at, pages

before(async () => {
  at = await world()
  pages = await everyPage()
})
after(() => at?.end())

// The paths of all pages, each with the status of its reply. Creates the objects that the pages show, then follows links.
async function everyPage() {
  const { service } = at
  const { context, page } = await at.administrator({ script: false })
  await describeClient(page, 'SAP S/4HANA production', { never: true })
  const draft = new URL(page.url()).pathname
  await describeClient(page, 'Tally <script>alert(1)</script> & more', { never: true })
  await page.getByRole('button', { name: 'Create' }).click()
  const reveal = new URL(page.url()).pathname
  const id = await page.locator('#client-id').innerText()
  await exchange(service, id, await page.locator('#secret').innerText())
  await exchange(service, id, 'mms_wrong')
  await page.goto(`/console/api-clients/${id}/tokens/new`)
  await page.getByRole('button', { name: 'Generate Access Token' }).click()
  const token = new URL(page.url()).pathname
  const jti = service.command('tokens', 'list', id).items[0].jti
  const secretId = service.command('clients', 'get', id).secrets[0].secret_id
  await page.goto('/console/webhooks/new?workspace_id=acme-in')
  await page.getByLabel('URL').fill('https://hooks.acme.example/in?token=<script>alert(1)</script>')
  await page.getByRole('button', { name: 'Create webhook' }).click()
  const keys = new URL(page.url()).pathname
  const hook = service.command('webhooks', 'list', 'acme-in').items[0].webhook_id
  service.command('webhooks', 'test', hook)
  // Pages of the objects above. The loop below finds the pages that they and the navigation link to.
  const known = [draft, reveal, token, '/console/workspaces/acme-in/api-clients/new', `/console/api-clients/${id}/tokens/new`,
    `/console/api-clients/${id}/tokens/revoke-all`, `/console/api-clients/${id}/tokens/${jti}/revoke`, `/console/api-clients/${id}/secrets/new`,
    `/console/api-clients/${id}/secrets/${secretId}/delete`, `/console/api-clients/${id}/disable`, `/console/api-clients/${id}/delete`,
    '/console/workspaces/acme-in/api-clients?label=nobody-has-this', keys, `/console/webhooks/${hook}`, '/console/webhooks?workspace_id=acme-in']
  const found = new Map(known.map((path) => [path, 200]))
  const waiting = ['/console', ...known]
  // Of the links that differ only in an id or in the query, one is opened.
  const shape = (path) => path.replace(/cl_\w+|[\w-]{22,}/g, '{id}').replace(/\?.*/, '?')
  const shapes = new Set(known.map(shape))
  while (waiting.length > 0) {
    const reply = await page.goto(waiting.pop())
    if (!reply.headers()['content-type']?.startsWith('text/html')) continue
    const links = await page.locator('a[href^="/console"]').evaluateAll((all) => all.filter((a) => !a.download).map((a) => a.getAttribute('href').replace(/#.*/, '')))
    for (const path of links) {
      if (/\/download$|\/assets\//.test(path) || shapes.has(shape(path))) continue
      shapes.add(shape(path))
      found.set(path, 200)
      waiting.push(path)
    }
  }
  found.set('/console/no-such-page', 404)
  found.set('/console/api-clients/cl_0000000000000000000000', 404)
  await context.close()
  return [...found]
}

const VISITOR_PAGES = [['/console/sign-in', 200], ['/console/setup/no-such-link', 410]]

for (const [script, width, scheme] of [[true, 1280, 'light'], [true, 375, 'dark'], [false, 375, 'light'], [false, 1280, 'dark']]) {
  test(`every page works ${script ? 'with' : 'without'} JavaScript, ${width} pixels wide, ${scheme}`, async () => {
    const wrong = []
    const signedIn = await at.administrator({ script, width, scheme })
    const visitor = await person(at.browser, at.origin, { script, width, scheme })
    for (const [who, paths] of [[signedIn, pages], [visitor, VISITOR_PAGES]]) {
      who.page.on('dialog', (dialog) => dialog.accept())
      for (const [path, status] of paths) {
        const reply = await who.page.goto(path)
        if (reply.status() !== status) wrong.push(`${path}: ${reply.status()} and not ${status}`)
        // Without JavaScript, axe-core does not run either.
        if (script) wrong.push(...(await accessibilityFaults(who.page)).map((fault) => `${path}: ${fault}`))
        if (script && (await overflows(who.page))) wrong.push(`${path}: is wider than the screen`)
      }
      wrong.push(...who.faults)
      await who.context.close()
    }
    assert.deepEqual(wrong, [])
  })
}

test('every page is valid HTML', async () => {
  const wrong = []
  // An administrator would be led from the sign-in page to the start page.
  for (const [who, paths] of [[await at.administrator({ script: false }), pages], [await person(at.browser, at.origin, { script: false }), VISITOR_PAGES]]) {
    for (const [path] of paths) {
      const reply = await who.context.request.get(path)
      wrong.push(...(await htmlFaults(await reply.text())).map((fault) => `${path}: ${fault}`))
    }
    await who.context.close()
  }
  assert.deepEqual(wrong, [])
})

test('a form with mistakes shows them first and keeps what was typed', async () => {
  for (const script of [true, false]) {
    const { context, page, faults } = await at.administrator({ script })
    await page.goto('/console/workspaces/acme-in/api-clients/new')
    await page.getByLabel('Notification email').fill('not an address')
    await page.getByRole('button', { name: 'Continue' }).click()
    assert.match(await page.title(), /^Error: /)
    assert.match(await page.locator('main').innerText(), /There is a problem/)
    assert.equal(await page.getByLabel('Notification email').inputValue(), 'not an address')
    if (script) {
      assert.deepEqual(await accessibilityFaults(page), [])
      const focused = await page.evaluate(() => document.activeElement.textContent)
      assert.match(focused, /There is a problem/)
    }
    assert.deepEqual(faults, [])
    await context.close()
  }
})

test('a viewer sees the clients of the workspace and no link to create one', async () => {
  const viewer = at.service.command('operators', 'create', 'vera@example.com', '--name', 'Vera', '--role', 'workspace_viewer:acme-in')
  const { context, page, faults } = await person(at.browser, at.origin, { script: false })
  await page.goto(viewer.setup_link)
  await page.getByLabel('New password').fill(PASSWORD)
  await page.getByRole('button', { name: 'Use this password' }).click()
  await page.goto('/console/workspaces/acme-in/api-clients')
  assert.match(await page.locator('main').innerText(), /Tally/)
  assert.equal(await page.getByRole('link', { name: 'Create API Client' }).count(), 0)
  assert.deepEqual(faults, [])
  await context.close()
})
