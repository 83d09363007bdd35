// Monitors, pipeline runs, alerts, lineage.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../lib/browser.mjs'
import { eventually, within } from '../lib/within.mjs'
import { shot } from '../lib/world.mjs'

test('monitor: a feature opens to its histogram, with the figures of the server', within(async (page, api) => {
  const { items } = await api.get('/api/v1/monitors/bike-demand/windows?limit=60')
  const drifted = items.find((w) => w.verdicts.drift === 'breach')
  assert.ok(drifted, 'a window of the demo drifted')
  const window = await api.get(`/api/v1/monitors/bike-demand/windows/${drifted.id}`)
  const [worst] = window.features.toSorted((a, b) => b.statistic / b.threshold - a.statistic / a.threshold)
  const other = window.features.find((f) => f.name !== worst.name)
  await open(page, `/monitors/bike-demand?window=${window.id}`)
  const table = page.getByRole('table', { name: 'Features' })
  const row = (name) => table.locator('tr[data-row]').filter({ has: page.getByText(name, { exact: true }) })
  await row(worst.name).waitFor()
  assert.match(await row(worst.name).innerText(), new RegExp(worst.statistic.toFixed(2).replace('.', '\\.')))
  assert.match(await row(worst.name).innerText(), /Breach/)
  await row(other.name).click()
  await page.waitForURL(new RegExp(`feature=${other.name}`))
  const detail = table.locator('tr.det')
  await detail.locator('svg[role=img]').first().waitFor()
  const said = await detail.locator('svg[role=img]').first().getAttribute('aria-label')
  assert.match(said, new RegExp(`^${other.name}: most reference values in .+, most current values in .+`))
  assert.ok(await detail.locator('svg[role=img] rect').count() >= other.reference.shares.length, 'a bar for each bin of the reference')
  await detail.locator('canvas').waitFor()
  await shot(page, 'monitor-feature')
  await row(other.name).click()
  await detail.waitFor({ state: 'detached' })
}))

test('monitor: a cell of the strip opens its window', within(async (page, api) => {
  const { items } = await api.get('/api/v1/monitors/bike-demand/windows?limit=60')
  await open(page, '/monitors/bike-demand')
  const cells = page.locator('main svg[role=img][aria-label^="Drift: "] g')
  await cells.first().waitFor()
  assert.equal(await cells.count(), items.length, 'a cell for each window')
  await cells.first().click()
  await page.waitForURL(/window=/)
  assert.ok(items.some((w) => w.id === new URL(page.url()).searchParams.get('window')))
}))

test('pipeline run: the graph has its steps, and each step its log', within(async (page, api) => {
  const name = (await api.get('/api/v1/pipelines')).items[0].name
  const { items } = await api.get(`/api/v1/pipelines/${name}/runs`)
  const run = await api.get(`/api/v1/pipeline-runs/${items.find((r) => r.state === 'succeeded').id}`)
  await open(page, `/pipelines/${name}/runs/${run.id}`)
  const graph = page.getByRole('group', { name: new RegExp(`^Steps of ${name}: ${run.steps.length} nodes, ${run.steps.flatMap((s) => s.needs ?? []).length} edges`) })
  await graph.waitFor()
  for (const step of run.steps) {
    await graph.locator(`[data-node="${step.name}"]`).click()
    const log = page.getByRole('log', { name: `Log of ${step.name}` })
    const text = await api.get(`/api/v1/pipeline-runs/${run.id}/steps/${step.name}/log?offset=0`)
    const line = text.split('\n').map((l) => l.trim()).filter((l) => /^[\x20-\x7e]{12,}$/.test(l) && !l.includes('  ')).at(-1)
    assert.ok(line, `step ${step.name} printed something`)
    await log.getByText(line).first().waitFor()
  }
  await page.getByRole('textbox', { name: 'Search the log' }).fill('no line is like this')
  await page.getByText(/^0 of /).waitFor()
  await page.getByRole('textbox', { name: 'Search the log' }).fill('')
  await page.getByText('Timeline', { exact: true }).click()
  await shot(page, 'pipeline-run-timeline')
}))

test('alerts: one is opened, acknowledged and resolved by keyboard and button, and the server says so', within(async (page, api) => {
  let { items } = await api.get('/api/v1/alerts')
  let alert = items.find((a) => a.state === 'open')
  if (!alert) {
    // All of the demo's alerts may be resolved by now: a pipeline whose step fails opens one.
    await api.put('/api/v1/pipelines/e2e-fails', { spec: 'name: e2e-fails\nsteps:\n  - name: stop\n    run: exit 3\n' })
    await api.post('/api/v1/pipelines/e2e-fails/runs')
    alert = await eventually(async () => {
      ({ items } = await api.get('/api/v1/alerts'))
      const found = items.find((a) => a.state === 'open')
      assert.ok(found, 'a failed pipeline run opens an alert')
      return found
    }, 90)
  }
  await open(page, `/alerts?alert=${alert.id}`)
  const drawer = page.getByRole('complementary', { name: 'Alert' })
  await drawer.getByText(alert.title).first().waitFor()
  await shot(page, 'alert-drawer')
  await drawer.getByRole('button', { name: 'Acknowledge' }).click()
  await eventually(async () => assert.equal((await api.get(`/api/v1/alerts/${alert.id}`)).state, 'acknowledged'))
  await drawer.getByText('Acknowledged').first().waitFor()
  await page.keyboard.press('r')
  const dialog = page.getByRole('dialog', { name: 'Resolve this alert' })
  await dialog.getByLabel('What was done').fill('looked at in the browser test')
  await dialog.getByRole('button', { name: 'Resolve' }).click()
  await eventually(async () => {
    const now = await api.get(`/api/v1/alerts/${alert.id}`)
    assert.equal(now.state, 'resolved')
    assert.match(now.resolved_reason, /looked at in the browser test/)
  })
  await dialog.waitFor({ state: 'detached' })
  await page.keyboard.press('Escape')
  await drawer.waitFor({ state: 'detached' })
}))

test('lineage: from a model version back to its data and on to its endpoint', within(async (page, api) => {
  const endpoint = await api.get('/api/v1/endpoints/bike-demand')
  const version = endpoint.spec.targets.find((t) => t.role === 'champion').version
  const node = `version:${endpoint.model}/${version}`
  const lineage = await api.get(`/api/v1/lineage?node=${encodeURIComponent(node)}&depth=3`)
  const { run_id: run } = await api.get(`/api/v1/models/${endpoint.model}/versions/${version}`)
  const data = lineage.edges.find((e) => e.to === `run:${run}` && e.from.startsWith('dataset_version:'))
  assert.ok(data, 'the server knows the data of the run')
  await open(page, `/lineage?node=${node}`)
  const graph = page.getByRole('group', { name: new RegExp(`${lineage.nodes.length} nodes, ${lineage.edges.length} edges`) })
  await graph.waitFor()
  for (const id of [data.from, `run:${run}`, node, 'endpoint:bike-demand']) await graph.locator(`[data-node="${id}"]`).waitFor()
  await page.locator('.verdict').getByText('bike-demand').first().waitFor()
  // What is out of sight comes into it with the focus.
  await graph.locator(`[data-node="${data.from}"]`).focus()
  await graph.locator(`[data-node="${data.from}"]`).click()
  const drawer = page.getByRole('complementary', { name: 'Node' })
  await drawer.getByText('dataset version').waitFor()
  await shot(page, 'lineage-node')
  await drawer.getByRole('button', { name: 'Centre here' }).click()
  await page.waitForURL(/node=dataset_version/)
}))
