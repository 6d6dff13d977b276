// Starts the installed Chromium, and records in its pages what a customer must never see: an error in the browser's console, a
// violation of the content security policy, a request to another origin, a reply of 5xx.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { chromium } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

// `--no-sandbox`: Chromium's sandbox does not work in containers and as root. The others turn off what the tests do not need,
// such as requests for updates.
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS })

// A new browser context, as for another person, with a page and the faults found in it. `script: false` turns JavaScript off.
export async function person(browser, origin, { script = true, width = 1280, scheme = 'light', cookies = [] } = {}) {
  const context = await browser.newContext({
    baseURL: origin, javaScriptEnabled: script, viewport: { width, height: 900 }, colorScheme: scheme, acceptDownloads: true,
  })
  await context.addCookies(cookies)
  const faults = []
  const watch = (page) => {
    page.on('console', (message) => {
      // Chromium logs a reply of 4xx as an error. Some pages reply so on purpose.
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

// The faults that axe-core rates as serious or critical. The debugger injects axe-core, so the content security policy of the
// page does not block it.
export async function accessibilityFaults(page) {
  await page.evaluate(axe)
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' | ')}`)
}

// Whether a page is wider than the screen, so that it scrolls sideways.
export const overflows = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)
