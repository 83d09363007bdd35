// Runs: filter, sort, compare, the metric chart, artifacts, and new runs that appear by themselves.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open, settled } from '../lib/browser.mjs'
import { comes, within } from '../lib/within.mjs'
import { shot } from '../lib/world.mjs'

const rows = 'main tbody tr[data-row]'

/** An experiment with three runs of ten steps, logged as MLflow's client does. */
async function experiment(api, name) {
  const { experiment_id: id } = await api.post('/api/2.0/mlflow/experiments/create', { name })
  const begun = Date.now() - 60_000
  const runs = []
  for (const [i, rate] of [0.1, 0.03, 0.3].entries()) {
    const { run } = await api.post('/api/2.0/mlflow/runs/create', { experiment_id: id, run_name: `rate-${rate}`, start_time: begun + i * 1000 })
    const metrics = Array.from({ length: 10 }, (_, step) => ({ key: 'val_mae', value: 50 + 40 * rate + 10 / (step + 1), timestamp: begun + i * 1000 + step * 100, step }))
    await api.post('/api/2.0/mlflow/runs/log-batch', { run_id: run.info.run_id, metrics, params: [{ key: 'learning_rate', value: String(rate) }, { key: 'model', value: 'boosting' }], tags: [] })
    await api.post('/api/2.0/mlflow/runs/update', { run_id: run.info.run_id, status: 'FINISHED', end_time: begun + i * 1000 + 2000 })
    runs.push(run.info.run_id)
  }
  return { id, runs }
}

test('runs: filter, sort and selection are in the address and survive a reload', within(async (page, api) => {
  const { id } = await experiment(api, 'e2e-filter')
  await open(page, `/experiments/${id}`)
  const names = () => page.locator(`${rows} a`).filter({ hasText: /^rate-/ }).allInnerTexts()
  await page.waitForFunction((s) => document.querySelectorAll(s).length === 3, rows)
  await page.getByRole('columnheader', { name: /val_mae/ }).getByRole('button', { name: 'val_mae', exact: true }).click()
  await page.waitForURL(/sort=m:val_mae/)
  await page.waitForFunction((s) => document.querySelector(s)?.textContent.includes('rate-0.03'), rows)
  await comes(names, ['rate-0.03', 'rate-0.1', 'rate-0.3'])
  await page.keyboard.press('/')
  await page.locator('[data-filter]:focus').waitFor()
  await page.keyboard.type('params.learning_rate = "0.3" or')
  // Esc gives up what was typed: nothing half-written is asked.
  await page.keyboard.press('Escape')
  assert.equal(new URL(page.url()).searchParams.get('filter'), null)
  await page.locator('[data-filter]').fill('metrics.val_mae < 60')
  await page.locator('[data-filter]').press('Enter')
  await page.waitForFunction((s) => document.querySelectorAll(s).length === 2, rows)
  await page.reload()
  await settled(page)
  await page.waitForFunction((s) => document.querySelectorAll(s).length === 2, rows)
  await comes(names, ['rate-0.03', 'rate-0.1'])
  assert.equal(await page.locator('[data-filter]').inputValue(), 'metrics.val_mae < 60')
  await shot(page, 'runs-filtered')
}))

test('runs: a filter that is wrong is told in place', within(async (page, api) => {
  const { items } = await api.get('/api/v1/experiments')
  await open(page, `/experiments/${items[0].id}`)
  await page.locator('[data-filter]').fill('metrics.mae <')
  await page.locator('[data-filter]').press('Enter')
  await page.locator('main p.text-bad').waitFor()
  assert.ok((await page.locator('main p.text-bad').innerText()).length > 10)
  await shot(page, 'runs-filter-wrong')
}, { expected: [/400/] }))

test('runs: X selects, C compares, the best one and what differs are named', within(async (page, api) => {
  const { id, runs } = await experiment(api, 'e2e-compare')
  await open(page, `/experiments/${id}?sort=m:val_mae`)
  await page.waitForFunction((s) => document.querySelectorAll(s).length === 3, rows)
  for (const key of ['j', 'x', 'j', 'x']) await page.keyboard.press(key)
  await page.getByText('2 runs', { exact: true }).last().waitFor()
  await shot(page, 'runs-selected')
  await page.keyboard.press('c')
  await page.waitForURL('**/compare?runs=*')
  const chosen = new URL(page.url()).searchParams.get('runs').split(',')
  assert.deepEqual(chosen.toSorted(), [runs[0], runs[1]].toSorted())
  await page.locator('.verdict').getByText('rate-0.03').waitFor()
  const row = page.locator('main tr').filter({ hasText: 'learning_rate' })
  assert.match(await row.innerText(), /0\.1/)
  assert.match(await row.innerText(), /0\.03/)
  assert.equal(await page.locator('main tr').filter({ hasText: /^model\b/ }).count(), 0, 'what is equal is not among the differences')
  await shot(page, 'compare-two')
}))

test('run: its metric chart has the points of the server, and a table twin', within(async (page, api) => {
  const { runs } = await experiment(api, 'e2e-chart')
  const { points } = await api.get(`/api/v1/runs/${runs[0]}/metric-history?key=val_mae&max_points=1000`)
  assert.equal(points.length, 10)
  await open(page, `/runs/${runs[0]}`)
  const chart = page.locator('main figure').filter({ hasText: 'val_mae' }).first()
  await chart.locator('canvas').waitFor()
  assert.ok(await chart.locator('[role=img]').first().getAttribute('aria-label'), 'the chart says its content')
  await chart.hover()
  await chart.getByRole('button', { name: /menu/ }).click()
  await page.getByRole('menuitem', { name: 'Show as table' }).click()
  const twin = chart.getByRole('region', { name: /as a table/ })
  await comes(() => twin.locator('tbody tr').count(), 10)
  assert.match(await twin.locator('tbody tr').last().innerText(), /55/)
}))

test('run: artifacts are listed as the server has them, and a file is shown', within(async (page, api) => {
  const { items } = await api.post('/api/v1/runs/search', { experiment_ids: (await api.get('/api/v1/experiments')).items.map((e) => e.id), filter: '', order_by: [], page_size: 200 })
  const withFiles = []
  for (const run of items) {
    const files = (await api.get(`/api/v1/runs/${run.id}/files`)).items
    if (files.some((f) => !f.is_dir && /\.(json|txt|csv|md|html)$/.test(f.path))) withFiles.push([run, files])
  }
  assert.ok(withFiles.length > 0, 'a run of the demo logged a file that can be read')
  const [run, files] = withFiles[0]
  await open(page, `/runs/${run.id}?tab=files`)
  const tree = page.getByRole('tree', { name: 'Files' })
  for (const f of files) await tree.getByRole('treeitem', { name: f.path.split('/').at(-1) }).first().waitFor()
  const file = files.find((f) => !f.is_dir && /\.(json|txt|csv|md|html)$/.test(f.path))
  await tree.getByRole('treeitem', { name: file.path }).click()
  await page.getByRole('heading', { name: file.path, level: 2 }).waitFor()
  await page.waitForURL(/file=/)
  await shot(page, 'run-artifacts')
}))

test('live: a new run appears on the page of its experiment without a reload', within(async (page, api) => {
  const { id } = await experiment(api, 'e2e-live')
  await open(page, `/experiments/${id}`)
  await page.waitForFunction((s) => document.querySelectorAll(s).length === 3, rows)
  await page.getByRole('status').getByText('Live', { exact: true }).waitFor()
  await page.evaluate(() => { globalThis.sameDocument = true })
  const { run } = await api.post('/api/2.0/mlflow/runs/create', { experiment_id: id, run_name: 'came-by-itself', start_time: Date.now() })
  await page.locator(rows).filter({ hasText: 'came-by-itself' }).waitFor()
  await page.getByText('1 running').first().waitFor()
  await api.post('/api/2.0/mlflow/runs/update', { run_id: run.info.run_id, status: 'FINISHED', end_time: Date.now() })
  await page.locator('main .pill').filter({ hasText: '1 running' }).waitFor({ state: 'detached' })
  assert.equal(await page.evaluate(() => globalThis.sameDocument), true)
}))
