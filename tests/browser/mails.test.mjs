// Shows every mail in a browser, light and dark, as wide as a phone and wider: axe-core finds nothing serious, no request is
// sent, nothing scrolls sideways, and the HTML is valid. The mails are in tests/vectors/mails; tests/it/delivery/messages.rs
// keeps them up to date. With MAIL_PICTURES=folder it also takes a picture of each mail.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { accessibilityFaults, launch, overflows } from './browser.mjs'
import { htmlFaults } from './html.mjs'

const folder = new URL('../vectors/mails/', import.meta.url)
const mails = readdirSync(folder).filter((name) => name.endsWith('.html')).sort()
const pictures = process.env.MAIL_PICTURES

// Rules for pages that do not suit mails. A mail has its styles in its elements, because mail programs drop style sheets, and
// its layout in tables, because some mail programs know nothing else.
const NOT_FOR_MAILS = /^(no-inline-style|no-deprecated-attr|wcag\/h63|meta-refresh|element-required-attributes)/

let browser

before(async () => {
  browser = await launch()
  if (pictures) mkdirSync(pictures, { recursive: true })
})
after(() => browser?.close())

test('there are mails to look at', () => assert.ok(mails.length >= 20, `${mails.length}`))

for (const name of mails) {
  const html = readFileSync(new URL(name, folder), 'utf8')
  test(`${name} is valid`, async () => {
    const faults = (await htmlFaults(html)).filter((fault) => !NOT_FOR_MAILS.test(fault))
    assert.deepEqual(faults, [])
  })
  for (const scheme of ['light', 'dark']) {
    for (const width of [375, 700]) {
      test(`${name} is accessible, fits and asks for nothing, ${scheme}, ${width} pixels wide`, async () => {
        const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme })
        try {
          const page = await context.newPage()
          const asked = []
          page.on('request', (request) => asked.push(request.url()))
          await page.setContent(html)
          assert.deepEqual(await accessibilityFaults(page), [])
          assert.equal(await overflows(page), false, 'it is wider than the screen')
          assert.deepEqual(asked, [], 'it asks for something')
          if (pictures) {
            await page.screenshot({ path: join(pictures, `${name.replace('.html', '')}-${width}-${scheme}.png`), fullPage: true })
          }
        } finally {
          await context.close()
        }
      })
    }
  }
}
