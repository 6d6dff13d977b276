// Chromium of the system, and pages that notice what a customer must never see: an error in the console, a violation of
// the content security policy, a request to another origin, a reply of 5xx.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { chromium } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

// `--no-sandbox` since containers and root have none; the others keep Chromium from asking for updates.
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS })

// A person with a browser of their own. `script` false turns JavaScript off.
export async function person(browser, origin, { script = true, width = 1280, scheme = 'light', cookies = [] } = {}) {
  const context = await browser.newContext({
    baseURL: origin, javaScriptEnabled: script, viewport: { width, height: 900 }, colorScheme: scheme, acceptDownloads: true,
  })
  await context.addCookies(cookies)
  const faults = []
  const watch = (page) => {
    page.on('console', (message) => {
      // A page that answers with 4xx on purpose is said so by Chromium as an error.
      const status = /status of (4\d\d)/.test(message.text())
      if (message.type() === 'error' && !status) faults.push(`${page.url()}: console: ${message.text()}`)
    })
    page.on('pageerror', (error) => faults.push(`${page.url()}: ${error.message}`))
    page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith(`${origin}/`) && !/^(data|blob):/.test(url)) faults.push(`${page.url()}: asks for ${url}`)
    })
    page.on('response', (reply) => {
      if (reply.status() >= 500) faults.push(`${page.url()}: ${reply.status()} of ${reply.url()}`)
    })
  }
  context.on('page', watch)
  return { context, faults, page: await context.newPage() }
}

// What axe-core finds of impact serious or worse. It runs beside the policy of the page, by the debugger of the browser.
export async function accessibilityFaults(page) {
  await page.evaluate(axe)
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' | ')}`)
}

// Whether a page is wider than the screen, so that one would have to scroll sideways.
export const overflows = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)
