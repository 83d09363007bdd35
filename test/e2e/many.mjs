// How the page of an experiment feels with very many runs. Usage: MODELYARD_BIN=bin/modelyard node many.mjs [runs]; MANY_URL names a server that was seeded already.
// Prints time to interactive, sort, filter, a jump into the middle, and the frames of a long scroll; fails when rows pile up in the page.
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { launch } from './lib/browser.mjs'
import { start } from './lib/server.mjs'
import { seed } from './seed.mjs'

process.env.CHROMIUM ??= '/usr/bin/chromium'
const runs = Number(process.argv[2] ?? 100_000)
const rows = '[data-grid] tr[data-row]'
const dir = await mkdtemp(path.join(os.tmpdir(), 'modelyard-many-'))
const given = process.env.MANY_URL
const server = given ? { url: given, stop: async () => {} } : await start(dir)
const browser = await launch()
const figures = {}
const timed = async (name, work) => {
  const begun = performance.now()
  await work()
  figures[name] = Math.round(performance.now() - begun)
}

try {
  let id = process.env.MANY_EXPERIMENT ?? '1'
  if (!given) await timed('seeding, ms', async () => { id = await seed(server.url, runs) })
  const page = await browser.page(server.url)
  await page.goto(`${server.url}/experiments`)
  await page.goto('about:blank')
  // Interactive: rows are there and the first key moves.
  await timed('time to interactive, ms', async () => {
    await page.goto(`${server.url}/experiments/${id}`, { waitUntil: 'commit' })
    await page.locator(rows).first().waitFor()
    await page.keyboard.press('j')
    await page.locator(`${rows}.foc`).first().waitFor()
  })
  const first = () => page.locator(rows).first().innerText()
  const differs = (before) => page.waitForFunction(([s, was]) => !document.querySelector('main .stale') && document.querySelector(s)?.innerText !== was, [rows, before])
  let before = await first()
  await timed('sort by a metric, ms', async () => { await page.getByRole('columnheader', { name: /val_mae/ }).getByRole('button', { name: 'val_mae', exact: true }).click(); await differs(before) })
  before = await first()
  await timed('filter, ms', async () => { await page.locator('[data-filter]').fill('metrics.val_mae > 45 and params.model = "lightgbm"'); await page.keyboard.press('Enter'); await differs(before) })
  await page.locator('[data-filter]').fill('')
  await page.keyboard.press('Enter')
  await page.waitForTimeout(500)
  await timed('jump to the middle, ms', async () => {
    await page.evaluate(() => { const g = document.querySelector('[data-grid]'); g.scrollTo({ top: g.scrollHeight / 2 }) })
    await page.waitForFunction(([s, half]) => [...document.querySelectorAll(s)].some((r) => Math.abs(Number(r.getAttribute('aria-rowindex')) - half) < 200), [rows, runs / 2])
  })
  const frames = await page.evaluate(async () => {
    const grid = document.querySelector('[data-grid]')
    grid.scrollTo({ top: 0 })
    const times = []
    let last = performance.now()
    for (let i = 0; i < 240; i++) {
      grid.scrollBy({ top: 90 })
      await new Promise((resolve) => requestAnimationFrame(resolve))
      const now = performance.now()
      times.push(now - last)
      last = now
    }
    return times.sort((a, b) => a - b)
  })
  figures['frame while scrolling, median ms'] = Math.round(frames[120])
  figures['frame while scrolling, p95 ms'] = Math.round(frames[228])
  figures['rows in the page'] = await page.locator('[data-grid] tbody tr').count()
  figures['memory of the page, MB'] = Math.round(await page.evaluate(() => (performance.memory?.usedJSHeapSize ?? 0) / 1e6))
  for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(34)} ${value}`)
  page.mustBeClean()
  if (figures['rows in the page'] > 120) throw new Error('rows pile up in the page')
} finally {
  await browser.close()
  await server.stop()
  await rm(dir, { recursive: true, force: true })
}
process.exit(0)
