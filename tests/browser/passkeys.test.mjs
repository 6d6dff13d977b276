// Passkeys in a real browser: created with a setup link, used to sign in without an email address, not registered twice,
// refused when the device does not verify the user, and offered by the field of the email address.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { launch, person } from './browser.mjs'
import { start } from './service.mjs'

// For the page, this is a device with a fingerprint reader.
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
  // A passkey is bound to a host name, so the issuer must not be an IP address.
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
  return {
    verify: (isUserVerified) => debug.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }),
    present: (enabled) => debug.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled }),
  }
}

// A person who has a passkey and is not signed in. On their pages, `asked` lists the calls of navigator.credentials.get; the
// `before` of a call says for each earlier one whether it was aborted by then. `answered`, if a test sets it, runs after each.
async function withPasskey() {
  const { setup_link: link } = service.command('operators', 'setup-link', 'ada@example.com')
  const someone = await person(browser, origin)
  await someone.context.addInitScript(() => {
    const get = navigator.credentials.get.bind(navigator.credentials)
    globalThis.asked = []
    navigator.credentials.get = async (options) => {
      globalThis.asked.push({ ...options, before: globalThis.asked.map(({ signal }) => signal.aborted) })
      const answer = await get(options)
      globalThis.answered?.()
      return answer
    }
  })
  const device = await withDevice(someone.page)
  await someone.page.goto(`${link}?next=/console/account`)
  await someone.page.getByRole('button', { name: 'Set up a passkey' }).click()
  await someone.page.waitForURL(isAccount)
  await someone.context.clearCookies()
  return { ...someone, device }
}

test('a passkey is created with a setup link and signs in without an email address', async () => {
  const { setup_link: link } = service.command('operators', 'setup-link', 'ada@example.com')
  const { page, faults, context } = await person(browser, origin)
  // As in a browser that offers no passkeys in fields.
  await context.addInitScript(() => { PublicKeyCredential.isConditionalMediationAvailable = async () => false })
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

  // Somebody else who has the device cannot use it.
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

test('the field of the email address offers a passkey', async () => {
  const { page, faults } = await withPasskey()
  // The device answers the request of the field at once.
  await page.goto('/console/sign-in?next=/console/account')
  await page.waitForURL(isAccount)
  assert.match(await page.locator('main').innerText(), /by passkey/)
  assert.deepEqual(faults, [])
})

test('the button aborts the request of the field before it sends its own', async () => {
  const { page, faults, device } = await withPasskey()
  await device.present(false)
  await page.goto('/console/sign-in')
  await page.waitForFunction(() => globalThis.asked.length === 1)
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
  await page.waitForFunction(() => globalThis.asked.length === 2)
  const asked = await page.evaluate(() => globalThis.asked.map(({ mediation, before }) => ({ mediation, before })))
  assert.deepEqual(asked, [{ mediation: 'conditional', before: [] }, { mediation: undefined, before: [true] }])
  assert.deepEqual(faults, [])
})

test('the field renews its request before the challenge expires', async () => {
  const { page, faults, device } = await withPasskey()
  await device.present(false)
  await page.clock.install()
  await page.goto('/console/sign-in')
  for (const times of [1, 2, 3]) {
    await page.waitForFunction((times) => globalThis.asked.length === times, times)
    const asked = await page.evaluate(() => globalThis.asked.map(({ mediation, signal, publicKey }) => ({
      mediation, ended: signal.aborted, challenge: String(new Uint8Array(publicKey.challenge)),
    })))
    assert.deepEqual(asked.map(({ ended }) => ended), [...Array(times - 1).fill(true), false])
    assert.ok(asked.every(({ mediation }) => mediation === 'conditional'))
    assert.equal(new Set(asked.map(({ challenge }) => challenge)).size, times)
    // The challenge is valid for five minutes, and is renewed after four.
    await page.clock.fastForward(240_000)
  }
  assert.deepEqual(faults, [])
})

test('a passkey that is used after its challenge expired is asked for once more', async () => {
  const { page, faults, context } = await withPasskey()
  // As if the computer slept for longer than the challenge is valid, while no timer ran.
  await context.addInitScript(() => {
    const now = Date.now
    globalThis.answered = () => { if (globalThis.asked.length === 1) Date.now = () => now() + 300_001 }
  })
  let challenges = 0
  page.on('request', (request) => { if (request.url().endsWith('/sign-in/passkey/options')) challenges += 1 })
  await page.goto('/console/sign-in?next=/console/account')
  await page.waitForURL(isAccount)
  assert.equal(challenges, 2)
  assert.deepEqual(faults, [])
})
