// A passkey in a real browser: made by a setup link, used to sign in without a name, asked for again, refused without a
// verified user.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { launch, person } from './browser.mjs'
import { start } from './service.mjs'

// A device with a fingerprint reader, as far as a page can see.
const DEVICE = {
  protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true, hasUserVerification: true,
  isUserVerified: true, automaticPresenceSimulation: true,
}

let browser, service, origin

const isAccount = (url) => url.pathname === '/console/account'

before(async () => {
  const probe = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => probe.once('listening', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  // Passkeys are bound to names, so the issuer has one.
  origin = `http://localhost:${port}`
  service = await start({ SERVER__LISTEN: `127.0.0.1:${port}`, SERVER__PUBLIC_URL: origin })
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await service?.stop()
})

async function withDevice(page) {
  const debug = await page.context().newCDPSession(page)
  await debug.send('WebAuthn.enable')
  const { authenticatorId } = await debug.send('WebAuthn.addVirtualAuthenticator', { options: DEVICE })
  return { verify: (isUserVerified) => debug.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }) }
}

test('a passkey is made by a setup link and signs in without a name', async () => {
  const { setup_link: link } = service.command('operators', 'setup-link', 'ada@example.com')
  const { page, faults } = await person(browser, origin)
  const device = await withDevice(page)
  await page.goto(`${link}?next=/console/account`)
  await page.getByRole('button', { name: 'Set up a passkey' }).click()
  await page.waitForURL(isAccount)
  assert.match(await page.locator('#passkeys').innerText(), /Passkeys/)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.waitForURL('**/console/sign-in**')
  assert.match(await page.locator('main').innerText(), /You are signed out/)

  await page.goto('/console/sign-in?next=/console/account')
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
  await page.waitForURL(isAccount)
  assert.match(await page.locator('main').innerText(), /by passkey/)

  // The same device is not registered twice.
  await page.goto('/console/account/passkeys/new')
  await page.getByRole('button', { name: 'Add a passkey' }).click()
  await page.getByText('This device has a passkey for this account already.').waitFor()
  await page.goto('/console/account')
  await page.getByRole('button', { name: 'Sign out' }).click()

  // Somebody who finds the device cannot use it.
  await device.verify(false)
  await page.goto('/console/sign-in')
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
  await page.getByText('No passkey was used. Try again, or use another way.').waitFor()
  assert.equal(new URL(page.url()).pathname, '/console/sign-in')
  await device.verify(true)
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
  await page.waitForURL((url) => !url.pathname.includes('sign-in'))
  assert.deepEqual(faults, [])
})
