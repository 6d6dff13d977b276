// The main task of the console, in a browser: from the list of API clients to a token that a product accepts, with and without
// JavaScript, as wide as a desktop and a phone. Then what the page with the secret does on reload, Back, a second tab, a double
// click and a lost connection.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { clientsOf, describeClient, exchange, opens, world } from './world.mjs'

let at

before(async () => { at = await world() })
after(() => at?.end())

const secretOf = (page) => page.locator('#secret').innerText()

for (const [script, width] of [[true, 1280], [true, 375], [false, 1280], [false, 375]]) {
  test(`a new client gets a token that works, ${script ? 'with' : 'without'} JavaScript, ${width} pixels wide`, async () => {
    const label = `SAP ${script} ${width}`
    const { context, page, faults } = await at.administrator({ script, width })
    await describeClient(page, label, { never: true })
    assert.match(await page.locator('.sentence').innerText(), /GST filing/)
    assert.match(await page.locator('.sentence').innerText(), /valid until you revoke them/)
    await page.getByRole('button', { name: 'Create' }).click()

    const secret = await secretOf(page)
    const id = await page.locator('#client-id').innerText()
    assert.match(secret, /^mms_[0-9A-Za-z]{49}$/)
    if (script) {
      await context.grantPermissions(['clipboard-read', 'clipboard-write'])
      await page.getByRole('button', { name: 'Copy' }).first().click()
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret)
    }
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download' }).click()])
    const chunks = []
    for await (const chunk of await download.createReadStream()) chunks.push(chunk)
    assert.ok(Buffer.concat(chunks).toString().includes(secret))
    const answer = await exchange(at.service, id, secret)
    assert.ok(await opens(at.service, answer.access_token, 'gst'))

    await page.getByRole('button', { name: 'I have stored it' }).click()
    await page.goto(`/console/api-clients/${id}/tokens/new`)
    await page.getByRole('button', { name: 'Generate Access Token' }).click()
    const shown = await page.locator('#token').innerText()
    let token = shown
    if (script) {
      await page.getByRole('button', { name: 'Copy' }).first().click()
      token = await page.evaluate(() => navigator.clipboard.readText())
      assert.equal(token, shown)
    }
    assert.ok((await page.locator('main').innerText()).includes(`${token.length} characters`))
    assert.ok(await opens(at.service, token, 'gst'))
    assert.ok(!(await opens(at.service, token, 'e-invoicing')))
    assert.deepEqual(faults, [])
    await context.close()
  })
}

test('reload, Back and another tab show the same secret of the same client', async () => {
  const label = 'reloaded'
  const { context, page, faults } = await at.administrator()
  page.on('dialog', (dialog) => dialog.accept())
  await describeClient(page, label)
  await page.getByRole('button', { name: 'Create' }).click()
  const secret = await secretOf(page)
  const address = page.url()
  await page.reload()
  assert.equal(await secretOf(page), secret)
  await page.goto('/console/workspaces/acme-in/api-clients')
  await page.goBack()
  assert.equal(await secretOf(page), secret)
  const tab = await context.newPage()
  await tab.goto(address)
  assert.equal(await secretOf(tab), secret)
  // Back leads to the summary. Its form has been sent, so it redirects to the secret again.
  await page.goBack()
  assert.equal(await secretOf(page), secret)
  assert.equal(clientsOf(at.service, label).length, 1)

  await tab.getByRole('button', { name: 'I have stored it' }).click()
  await tab.getByRole('heading', { level: 1 }).waitFor()
  const erased = await page.goto(address)
  assert.equal(erased.status(), 410)
  assert.match(await page.locator('main').innerText(), /Not stored\? Add a new secret/)
  assert.deepEqual(faults, [])
  await context.close()
})

test('a double click creates one client', async () => {
  const label = 'clicked twice'
  for (const script of [true, false]) {
    const { context, page, faults } = await at.administrator({ script })
    await describeClient(page, `${label} ${script}`)
    await page.getByRole('button', { name: 'Create' }).dblclick()
    await page.locator('#secret').waitFor()
    assert.equal(clientsOf(at.service, `${label} ${script}`).length, 1)
    assert.deepEqual(faults, [])
    await context.close()
  }
})

test('two tabs with the same summary create one client and show the same secret', async () => {
  const label = 'in two tabs'
  const { context, page } = await at.administrator()
  await describeClient(page, label)
  const tab = await context.newPage()
  await tab.goto(page.url())
  await Promise.all([page, tab].map((one) => one.getByRole('button', { name: 'Create' }).click()))
  assert.equal(await secretOf(page), await secretOf(tab))
  assert.equal(clientsOf(at.service, label).length, 1)
  await context.close()
})

test('a connection that is lost after the form was sent loses no secret', async () => {
  const label = 'disconnected'
  const { context, page } = await at.administrator()
  await describeClient(page, label)
  const summary = page.url()
  let lost
  await page.route('**/console/drafts/*', async (route) => {
    if (route.request().method() !== 'POST' || lost) return route.continue()
    // The service receives the form and replies, but the browser sees the connection end.
    lost = await route.fetch({ maxRedirects: 0 })
    return route.abort('connectionreset')
  })
  await page.getByRole('button', { name: 'Create' }).click()
  await page.waitForURL('chrome-error://**').catch(() => {})
  assert.equal(lost.status(), 303)
  assert.equal(clientsOf(at.service, label).length, 1)
  await page.goto(summary)
  const secret = await secretOf(page)
  const id = await page.locator('#client-id').innerText()
  assert.equal(clientsOf(at.service, label)[0].client_id, id)
  assert.ok((await exchange(at.service, id, secret)).access_token)
  await context.close()
})

test('the page with the secret says when the first call came', async () => {
  const { context, page } = await at.administrator()
  await describeClient(page, 'calls soon')
  await page.getByRole('button', { name: 'Create' }).click()
  const live = page.locator('.live')
  assert.match(await live.innerText(), /[Ww]aiting for the first call/)
  await exchange(at.service, await page.locator('#client-id').innerText(), await secretOf(page))
  await page.waitForFunction(() => !/waiting for the first call/i.test(document.querySelector('.live').textContent))
  assert.match(await live.innerText(), /127\.0\.0\.1|called/)
  await context.close()
})
