// Comparing runs: curves, parallel coordinates by mouse and by keyboard, relations, files side by side, and what the address keeps.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open, settled } from '../lib/browser.mjs'
import { lab } from '../lib/made.mjs'
import { comes, within } from '../lib/within.mjs'
import { shot } from '../lib/world.mjs'

const address = (runs, more = '') => `/compare?runs=${runs.map((r) => r.id).join(',')}${more}`
const parallel = (page) => page.locator('main figure').filter({ hasText: 'Parameters against result' })

async function twin(page, figure) {
  await figure.hover()
  await figure.getByRole('button', { name: /: menu$/ }).click()
  await page.getByRole('menuitem', { name: 'Show as table' }).click()
  return figure.getByRole('region', { name: /as a table/ })
}

test('compare: says where the runs are from, which is best, and what differs', within(async (page, api) => {
  const { name, runs } = await lab(api)
  await open(page, address(runs.slice(0, 3)))
  await page.getByRole('navigation', { name: 'Parents' }).getByRole('link', { name }).waitFor()
  await page.locator('.verdict').getByText('lab-0', { exact: true }).waitFor()
  const table = page.getByRole('table', { name: 'Differences', exact: true })
  assert.match(await table.locator('tr').filter({ hasText: 'val_mae' }).locator('b').innerText(), /40/)
  assert.equal(await table.locator('tr').filter({ hasText: 'seed' }).count(), 0, 'what is equal is left out')
  await page.getByRole('radio', { name: 'All', exact: true }).click()
  await table.locator('tr').filter({ hasText: 'seed' }).waitFor()
  await page.getByRole('button', { name: 'Transpose' }).click()
  await comes(() => table.locator('tbody tr').count(), 3)
  await page.getByText('one value a run', { exact: false }).first().waitFor()
}))

test('compare: a curve has the points of the server; smoothing, axis, scale and zoom stay in the link', within(async (page, api) => {
  const { runs } = await lab(api)
  const two = runs.slice(0, 2)
  await open(page, address(two))
  const chart = page.locator('main figure').filter({ hasText: /^val_mae/ })
  await chart.locator('canvas').waitFor()
  const table = await twin(page, chart)
  await page.waitForFunction(() => document.querySelectorAll('[role=region][aria-label="val_mae as a table"] tbody tr').length === 120)
  const { points } = await api.get(`/api/v1/runs/${two[0].id}/metric-history?key=val_mae&max_points=1000`)
  assert.equal(Number((await table.locator('tbody tr').last().locator('td').nth(1).innerText())), Math.round(points.at(-1).value))
  await page.getByRole('slider', { name: 'Smoothing' }).press('ArrowRight')
  await page.getByRole('radio', { name: 'Time' }).click()
  await page.getByRole('radio', { name: 'Log' }).click()
  await page.waitForURL(/smooth=0\.01.*x=time.*log=1/)
  const area = await page.locator('main figure').filter({ hasText: /^train_mae/ }).locator('.u-over').boundingBox()
  await page.mouse.move(area.x + 60, area.y + 40)
  await page.mouse.down()
  await page.mouse.move(area.x + 160, area.y + 40, { steps: 4 })
  await page.mouse.up()
  await page.waitForURL(/zoom=/)
  await page.reload()
  await settled(page)
  await comes(() => page.getByRole('radio', { name: 'Time' }).getAttribute('aria-checked'), 'true')
  await page.getByRole('button', { name: 'Whole range' }).click()
  await page.waitForFunction(() => !location.search.includes('zoom='))
}))

test('compare: a run keeps its colour when another is taken out, and can be hidden', within(async (page, api) => {
  const { runs } = await lab(api)
  await open(page, address(runs.slice(0, 4)))
  const color = (name) => page.getByRole('group', { name: 'Runs' }).getByRole('button', { name, exact: true }).locator('path').getAttribute('stroke')
  const before = await Promise.all(['lab-2', 'lab-3'].map(color))
  await page.getByRole('button', { name: 'Take lab-0 out of the comparison' }).press('Enter')
  await page.getByRole('heading', { name: 'Compare 3 runs' }).waitFor()
  await comes(() => Promise.all(['lab-2', 'lab-3'].map(color)), before)
  await page.getByRole('group', { name: 'Runs' }).getByRole('button', { name: 'lab-1', exact: true }).click()
  await page.waitForURL(/hide=/)
  await page.getByRole('table', { name: 'Differences', exact: true }).getByRole('link', { name: 'lab-1' }).waitFor({ state: 'detached' })
}))

test('compare: an axis is limited by keyboard and by dragging, and the link keeps it', within(async (page, api) => {
  const { runs } = await lab(api)
  await open(page, address(runs.slice(0, 2)))
  const figure = parallel(page)
  await figure.getByRole('button', { name: /^val_mae: limits/ }).press('Enter')
  const limits = page.getByRole('group', { name: 'Limits of val_mae' })
  await limits.getByRole('textbox', { name: 'from' }).fill('40')
  await limits.getByRole('textbox', { name: 'to' }).fill('59.5')
  await page.keyboard.press('Enter')
  await page.waitForURL(/limits=m:val_mae/)
  await figure.getByRole('img', { name: /20 are inside the limits/ }).waitFor()
  await page.reload()
  await settled(page)
  await parallel(page).getByRole('img', { name: /20 are inside the limits/ }).waitFor()
  const table = await twin(page, parallel(page))
  await comes(() => table.locator('tbody tr').count(), runs.filter((r) => r.val_mae <= 59.5).length)
  await page.getByRole('button', { name: 'Clear limits' }).click()
  await page.waitForFunction(() => !location.search.includes('limits='))

  await open(page, address(runs.slice(0, 2)))
  const picture = parallel(page).getByRole('img').first()
  const box = await picture.boundingBox()
  const head = await parallel(page).getByRole('button', { name: /^val_mae: limits/ }).boundingBox()
  const x = head.x + head.width / 2
  await page.mouse.move(x, box.y + box.height - 24)
  await page.mouse.down()
  await page.mouse.move(x, box.y + box.height / 2, { steps: 5 })
  await page.mouse.up()
  await page.waitForURL(/limits=m:val_mae/)
  await shot(page, 'compare-brushed')
}))

test('compare: points, contour and boxes over the whole experiment', within(async (page, api) => {
  const { runs } = await lab(api)
  await open(page, address(runs.slice(0, 3), '&tab=relations'))
  await page.getByRole('img', { name: /100 runs, val_mae over learning_rate/ }).waitFor()
  await page.getByRole('radio', { name: 'Contour' }).click()
  await page.waitForURL(/plot=contour/)
  await page.locator('main svg g[shape-rendering=crispEdges] rect').first().waitFor({ state: 'attached' })
  await page.getByRole('radio', { name: 'Boxes' }).click()
  await page.getByRole('combobox', { name: 'by' }).selectOption('p:kind')
  const table = await twin(page, page.locator('main figure'))
  await comes(() => table.locator('tbody tr').count(), 3)
  const rows = await table.locator('tbody tr').allInnerTexts()
  const dart = runs.filter((r) => r.params.kind === 'dart').map((r) => r.val_mae).toSorted((a, b) => a - b)
  const median = (dart[Math.floor((dart.length - 1) / 2)] + dart[Math.ceil((dart.length - 1) / 2)]) / 2
  const cells = rows.find((r) => r.startsWith('dart')).split('\t')
  assert.equal(Number(cells[1]), dart.length)
  assert.ok(Math.abs(Number(cells[4]) - median) < 0.6, `${cells[4]} is the median ${median}`)
}))

test('compare: files of two runs line by line, pictures in a row', within(async (page, api) => {
  const { runs } = await lab(api)
  await open(page, address(runs.slice(0, 3), '&tab=files'))
  const files = page.getByRole('listbox', { name: 'Files' })
  assert.match(await files.getByRole('option', { name: /same\.txt/ }).innerText(), /equal/)
  await files.getByRole('option', { name: /config\.json/ }).click()
  const diff = page.getByRole('table', { name: 'Differences by line' })
  await diff.locator('ins').first().waitFor()
  assert.equal(await diff.locator('td').filter({ hasText: '"rows": 8645' }).locator('ins, del').count(), 0, 'the order of keys is no difference')
  await files.getByRole('option', { name: /notes\.txt/ }).click()
  await diff.locator('del').getByText('first').waitFor()
  await diff.locator('ins').getByText('later').waitFor()
  await page.waitForURL(/file=notes\.txt/)
  await files.getByRole('option', { name: /same\.txt/ }).click()
  await page.getByText('No line differs.').waitFor()
  await files.getByRole('option', { name: /line\.png/ }).click()
  await page.waitForFunction(() => document.querySelectorAll('main figure img').length === 3 && [...document.querySelectorAll('main figure img')].every((i) => i.naturalWidth === 32))
}))

test('compare: the best run is registered as a new model', within(async (page, api) => {
  const own = (await api.get('/api/v1/experiments?page_size=1000')).items.filter((e) => !e.name.startsWith('e2e-')).map((e) => e.id)
  const { items } = await api.post('/api/v1/runs/search', { experiment_ids: own, filter: '', order_by: ['attributes.start_time DESC'], page_size: 100 })
  const trained = items.filter((r) => r.models?.length > 0 && Number.isFinite(r.metrics['train-l1'])).slice(0, 3)
  assert.ok(trained.length > 1, 'the demo trained more than one model')
  const best = trained.reduce((a, b) => (b.metrics['train-l1'] < a.metrics['train-l1'] ? b : a))
  await open(page, address(trained))
  await page.getByRole('button', { name: 'Register best…' }).click()
  await page.getByLabel('Model', { exact: true }).fill('e2e-best')
  await page.getByRole('button', { name: 'Register the model' }).click()
  await page.waitForURL('**/models/e2e-best?version=1')
  const version = await api.get('/api/v1/models/e2e-best/versions/1')
  assert.equal(version.run_id, best.id)
  assert.match(version.description, /^best of \d runs by train-l1/)
}))

test('compare: a hundred runs stay within reach', async (t) => within(async (page, api) => {
  const { runs } = await lab(api)
  const begun = Date.now()
  await page.goto(address(runs), { waitUntil: 'domcontentloaded' })
  await page.waitForFunction(() => document.querySelectorAll('main figure canvas').length >= 3)
  await page.waitForFunction(() => !document.querySelector('main')?.textContent?.includes('Reading the points'))
  t.diagnostic(`100 runs drawn after ${Date.now() - begun} ms`)
  const slow = await page.evaluate(async () => {
    const tasks = []
    const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => e.duration)))
    observer.observe({ type: 'longtask' })
    const slider = document.querySelector('[role=slider]')
    slider.focus()
    const times = []
    for (let i = 0; i < 10; i++) {
      const at = performance.now()
      slider.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }))
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
      times.push(performance.now() - at)
    }
    observer.disconnect()
    return { times, tasks }
  })
  t.diagnostic(`a step of the slider took ${Math.round(slow.times.toSorted((a, b) => a - b)[5])} ms in the middle, long tasks: ${slow.tasks.map(Math.round).join(', ') || 'none'}`)
  await page.waitForURL(/smooth=0\.1/)
  await comes(() => page.getByRole('table', { name: 'Differences', exact: true }).locator('tbody tr').count(), 100)
})())

test('compare: a link with runs that are gone, or with nonsense, opens what is there', within(async (page, api) => {
  const { runs } = await lab(api)
  await open(page, `/compare?runs=${runs[0].id},${'0'.repeat(32)},it's%20none&axes=m:nothing&limits=x&px=zzz&charts=nope&zoom=a..b&ref=no`)
  await page.getByText('2 runs of this link are not there any more', { exact: false }).waitFor()
  await page.getByRole('table', { name: 'Differences', exact: true }).waitFor()
  await open(page, `/compare?runs=${'0'.repeat(32)}`)
  await page.getByText('None of these runs is there').waitFor()
  await open(page, '/compare')
  await page.getByText('No run chosen').waitFor()
}))
