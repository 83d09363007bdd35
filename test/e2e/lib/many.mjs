// What the page of an experiment takes, measured in a page that is open on nothing. The figures are milliseconds unless their names say otherwise.
const rows = '[data-grid] tr[data-row]'

async function timed(work) {
  const begun = performance.now()
  await work()
  return performance.now() - begun
}

const differs = (page, before) => page.waitForFunction(([s, was]) => !document.querySelector('main .stale') && document.querySelector(s)?.innerText !== was, [rows, before])
const first = (page) => page.locator(rows).first().innerText()

/** From the address to the first key that moves something: rows are there, and "j" goes to the first of them. */
export function interactive(page, url, id) {
  return timed(async () => {
    await page.goto(`${url}/experiments/${id}`, { waitUntil: 'commit' })
    await page.locator(rows).first().waitFor()
    await page.keyboard.press('j')
    await page.locator(`${rows}.foc`).first().waitFor()
  })
}

/** One walk over the page: sort, filter, a jump, a scroll, a run, groups. */
export async function walk(page, runs) {
  const figures = {}
  let before = await first(page)
  figures['sort by a metric'] = await timed(async () => { await page.getByRole('columnheader', { name: /val_mae/ }).getByRole('button', { name: 'val_mae', exact: true }).click(); await differs(page, before) })
  before = await first(page)
  figures['filter by a metric and a parameter'] = await timed(async () => { await page.locator('[data-filter]').fill('metrics.val_mae > 45 and params.model = "lightgbm"'); await page.keyboard.press('Enter'); await differs(page, before) })
  before = await first(page)
  await page.locator('[data-filter]').fill('')
  await page.keyboard.press('Enter')
  await differs(page, before)
  figures['jump to the middle of the table'] = await timed(async () => {
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
  figures['a frame while scrolling, median'] = frames[120]
  figures['a frame while scrolling, p95'] = frames[228]
  figures['rows in the page, count'] = await page.locator('[data-grid] tbody tr').count()
  await page.evaluate(() => document.querySelector('[data-grid]').scrollTo({ top: 0 }))
  await page.locator(`${rows}[aria-rowindex="2"]`).waitFor()
  figures['open a run beside the table'] = await timed(async () => { await page.locator(`${rows}[aria-rowindex="2"] td`).nth(2).click(); await page.locator('aside.drawer dl').first().waitFor() })
  await page.keyboard.press('Escape')
  figures['group all by a parameter'] = await timed(async () => {
    await page.getByRole('button', { name: 'Group', exact: true }).click()
    await page.getByRole('menuitemcheckbox', { name: 'model' }).click()
    await page.keyboard.press('Escape')
    await page.getByRole('table', { name: /Runs by/ }).locator('tbody tr').first().waitFor()
  })
  figures['memory of the page, MB'] = await page.evaluate(() => (performance.memory?.usedJSHeapSize ?? 0) / 1e6)
  return figures
}

/** Every run of the experiment as CSV: how long, and how much. */
export async function file(url, id) {
  let bytes = 0
  const took = await timed(async () => {
    const response = await fetch(`${url}/api/v1/runs/export`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ experiment_ids: [id] }) })
    if (!response.ok) throw new Error(`export: ${response.status} ${await response.text()}`)
    for await (const chunk of response.body) bytes += chunk.length
  })
  return { 'all runs as CSV': took, 'size of that file, MB': bytes / 1e6 }
}
