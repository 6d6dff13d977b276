// A service with the objects that the tests of the console need, and an administrator who is signed in.

import { execFileSync } from 'node:child_process'
import { launch, person } from './browser.mjs'
import { start } from './service.mjs'

export const PASSWORD = 'correct horse battery staple'

// Starts a service and a browser. A password without a second factor is enough: the service allows that on loopback.
export async function world(settings = {}) {
  const service = await start({ CONSOLE__SECOND_FACTOR: 'optional', ...settings })
  service.command('products', 'create', 'e-invoicing', '--name', 'E-Invoicing')
  service.command('products', 'create', 'gst', '--name', 'GST filing')
  service.command('workspaces', 'create', 'acme-in', '--name', 'Acme India')
  const browser = await launch()
  let cookies
  return {
    service,
    browser,
    origin: service.issuer,
    // A new browser context in which the first administrator is signed in. The first call signs in with a setup link; all calls
    // share this session.
    async administrator(options = {}) {
      if (!cookies) {
        const first = await person(browser, service.issuer, { script: false })
        await setUp(first.page, service.command('operators', 'setup-link', 'ada@example.com').setup_link)
        cookies = await first.context.cookies()
        await first.context.close()
      }
      return person(browser, service.issuer, { ...options, cookies })
    },
    async end() {
      await browser.close()
      await service.stop()
    },
  }
}

// Opens a setup link and sets a password.
export async function setUp(page, link) {
  await page.goto(link)
  await page.getByLabel('New password').fill(PASSWORD)
  await page.getByRole('button', { name: 'Use this password' }).click()
}

// Fills in *Create API Client* up to the summary.
export async function describeClient(page, label, { never = false } = {}) {
  await page.goto('/console')
  await page.goto('/console/workspaces/acme-in/api-clients')
  await page.getByRole('link', { name: 'Create API Client' }).first().click()
  await page.getByLabel('Label').fill(label)
  await page.getByLabel('GST filing').check()
  if (never) await page.getByLabel('Never Expires').check()
  await page.getByLabel('Notification email').fill('finance-it@acme.example')
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByRole('heading', { level: 1, name: 'Check before you create' }).waitFor()
}

// The API clients with this label, as the command line lists them.
export const clientsOf = (service, label) =>
  service.command('clients', 'list', 'acme-in').items.filter((client) => client.label === label)

// Whether `/oauth2/verify` accepts a token for a product, as a proxy would ask.
export async function opens(service, token, product) {
  const reply = await fetch(`${service.issuer}/oauth2/verify?product=${product}`, { headers: { authorization: `Bearer ${token}` } })
  return reply.status === 200
}

// The JSON of the token endpoint's reply to an id and a secret: a token or an error.
export async function exchange(service, id, secret) {
  const reply = await fetch(`${service.issuer}/oauth2/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  })
  return reply.json()
}
