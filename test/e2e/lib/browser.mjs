// Chromium as the machine has it, and pages that remember what went wrong in them.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { chromium } from 'playwright-core'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

export const wide = { width: 1440, height: 900 }
export const narrow = { width: 820, height: 1100 }
export const phone = { width: 390, height: 844 }

export async function launch() {
  // Playwright makes a new profile for each start and removes it at the end.
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, headless: true, args: ['--headless', ...flags] })
  return {
    /** A page of its own: nothing is shared with other tests. */
    async page(base, { theme = 'light', size = wide, expected = [] } = {}) {
      const context = await browser.newContext({ viewport: size, colorScheme: theme, reducedMotion: 'reduce', baseURL: base, permissions: ['clipboard-read', 'clipboard-write'] })
      // A machine under load is slow, not wrong: only a state that never comes is a failure.
      context.setDefaultTimeout(30_000)
      await context.addInitScript({ content: axe })
      // A toast leaves after 8 s. Here it stays, so that no test has to be faster than it.
      await context.addInitScript(() => {
        const later = globalThis.setTimeout
        globalThis.setTimeout = (run, ms, ...more) => later(run, ms === 8000 ? 120_000 : ms, ...more)
      })
      const page = await context.newPage()
      return watch(page, base, expected)
    },
    close: () => browser.close(),
  }
}

/** Adds to a page the list of its faults: console errors, refused policies, failed requests, exceptions. `expected` are patterns of faults that the test provokes. */
function watch(page, base, expected) {
  const faults = []
  const note = (text) => { if (!expected.some((pattern) => pattern.test(text))) faults.push(text) }
  page.on('console', (m) => { if (m.type() === 'error' || (m.type() === 'warning' && /policy|deprecat/i.test(m.text()))) note(`console: ${m.text()} ${m.location().url ?? ''}`) })
  page.on('pageerror', (e) => note(`exception: ${e.stack ?? e.message}`))
  page.on('requestfailed', (r) => { if (r.failure()?.errorText !== 'net::ERR_ABORTED') note(`request failed: ${r.method()} ${r.url()}: ${r.failure()?.errorText}`) })
  page.on('response', (r) => { if (r.status() >= 400) note(`${r.status()} ${r.request().method()} ${r.url()}`) })
  page.on('request', (r) => { if (!r.url().startsWith(base) && !/^(data|blob|about):/.test(r.url())) note(`a request to another machine: ${r.url()}`) })
  page.faults = faults
  page.base = base
  page.mustBeClean = () => assert.deepEqual(faults, [], 'the page must load without faults')
  return page
}

/** Opens an address and waits until its data is there: a title, no skeleton, nothing of an older state. */
export async function open(page, address) {
  await page.goto(address, { waitUntil: 'domcontentloaded' })
  await settled(page)
}

export async function settled(page) {
  await page.locator('main h1').waitFor()
  await page.waitForFunction(() => !document.querySelector('main [aria-busy=true], main .stale') && document.querySelector('main h1')?.textContent?.trim())
}

/** Serious and critical findings of axe, in words. */
export async function accessibility(page) {
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'], preload: false, runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    return violations.filter((v) => v.impact === 'serious' || v.impact === 'critical').map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target.join(' ')} ${n.any[0]?.message ?? ''}`).join(' | ')}`)
  })
  return found
}

/** Things that stick out of the page or are cut off at its right edge, once it has come to rest: charts follow a new width a frame later. */
export async function overflow(page) {
  let told = []
  for (const until = Date.now() + 5_000; ;) {
    told = await sticksOut(page)
    if (told.length === 0 || Date.now() > until) return told
    await page.waitForTimeout(50)
  }
}

function sticksOut(page) {
  return page.evaluate(() => {
    const out = []
    if (document.documentElement.scrollWidth > innerWidth + 1) out.push(`the document is ${document.documentElement.scrollWidth} wide in a window of ${innerWidth}`)
    for (const box of document.querySelectorAll('main, main .body, main .head, main .tabs')) {
      const style = getComputedStyle(box)
      if (box.scrollWidth > box.clientWidth + 1 && style.overflowX !== 'visible') out.push(`${box.tagName.toLowerCase()}.${box.className} holds ${box.scrollWidth} in ${box.clientWidth}`)
    }
    return out
  })
}
