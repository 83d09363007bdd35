// What is not as usual: values that are no numbers, one metric alone, epochs as an axis, groups of compared runs, and versions against the champion.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessibility, open, overflow, phone, settled, wide } from '../lib/browser.mjs'
import { odd } from '../lib/made.mjs'
import { comes, eventually, within } from '../lib/within.mjs'
import { shot } from '../lib/world.mjs'

const address = (runs, more = '') => `/compare?runs=${runs.map((r) => r.id).join(',')}${more}`
const chart = (page, metric) => page.locator('main figure').filter({ hasText: new RegExp(`^${metric}`) })

async function twin(page, figure) {
  await figure.hover()
  await figure.getByRole('button', { name: /: menu$/ }).click()
  await page.getByRole('menuitem', { name: 'Show as table' }).click()
  return figure.getByRole('region', { name: /as a table/ })
}

test('compare: what is not finite is a gap that says so, and stands in tables as it is', within(async (page, api) => {
  const { runs } = await odd(api)
  await open(page, address(runs))
  const figure = chart(page, 'val_loss')
  await figure.getByRole('img', { name: /odd-1 0\.133, 10 points are not finite.*odd-2 0\.2\d+, 10 points are not finite/ }).waitFor()
  const table = await twin(page, figure)
  const line = async (step) => (await table.locator('tbody tr').nth(step).locator('td').allInnerTexts()).slice(0, 4)
  await comes(async () => (await line(25)).filter((_, i) => i === 2), ['NaN'])
  assert.deepEqual((await line(55)).filter((_, i) => i === 3), ['∞'])
  await page.getByText('odd-4 is NaN').waitFor()
  const values = page.getByRole('table', { name: 'Differences', exact: true })
  assert.match(await values.locator('tr').filter({ hasText: 'val_loss' }).innerText(), /∞/)
  assert.match(await values.locator('tr').filter({ hasText: 'gain' }).innerText(), /NaN/)
  await shot(page, 'compare-odd')
  await open(page, `/runs/${runs[1].id}`)
  await page.getByRole('img', { name: /^val_loss.*10 points are not finite/ }).waitFor()
}))

test('compare: one run with a metric, and one metric alone, are told as they are', within(async (page, api) => {
  const { single } = await odd(api)
  await open(page, address(single))
  await comes(() => page.locator('.verdict').innerText(), 'Only lone-0 has a finite loss, 1: there is nothing to compare it with.')
  await open(page, address(single, '&tab=relations'))
  await page.getByText('Only loss was logged').waitFor()
  assert.equal(await page.locator('main svg circle').count(), 0)
  await open(page, address((await odd(api)).runs, '&tab=relations&px=m:val_loss&py=m:val_loss'))
  await page.getByText('val_loss over itself is a straight line').waitFor()
}))

test('compare: epochs are an axis where they were logged, and groups are drawn as mean and range', within(async (page, api) => {
  const { runs } = await odd(api)
  await open(page, address(runs))
  await page.getByRole('radio', { name: 'Epoch' }).click()
  await page.waitForURL(/x=epoch/)
  const table = await twin(page, chart(page, 'val_loss'))
  await page.waitForFunction(() => document.querySelectorAll('[role=region][aria-label="val_loss as a table"] tbody tr').length === 10)
  await comes(async () => (await table.locator('tbody tr').first().locator('td').allInnerTexts()).slice(0, 2), ['0', '0.333'], 'the last value of the first epoch')
  await page.getByRole('button', { name: 'Group', exact: true }).click()
  await page.getByRole('menuitemradio', { name: 'opt' }).click()
  await page.waitForURL(/group=p:opt/)
  const groups = page.getByRole('group', { name: 'Groups by opt' })
  await eventually(async () => assert.match(await groups.innerText(), /opt adam\s*3 runs[\s\S]*opt sgd\s*3 runs/))
  const cells = async () => (await table.locator('tbody tr').first().locator('td').allInnerTexts()).map(Number)
  // The last steps of the first epoch: 2/6 + 0.1 i, of the odd runs and of the even ones.
  await eventually(async () => assert.deepEqual(await cells(), [0, 0.633, 0.533]))
  await open(page, address(runs.slice(0, 2), '&x=epoch&group=p:nothing'))
  await page.getByRole('group', { name: 'Runs' }).waitFor()
}))

test('compare: the better end of a metric is what the experiment says', within(async (page, api) => {
  const { id, runs } = await odd(api)
  await fetch(`${page.base}/api/v1/experiments/${id}`, { method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ best: { gain: 'min', val_loss: 'max' } }) })
  try {
    await open(page, address(runs))
    const best = (metric) => page.getByRole('table', { name: 'Differences', exact: true }).locator('tr').filter({ hasText: metric }).locator('td').evaluateAll((cells) => cells.findIndex((c) => c.querySelector('b')) - 1)
    await eventually(async () => assert.deepEqual([await best('gain'), await best('val_loss')], [0, 5]))
  } finally {
    await fetch(`${page.base}/api/v1/experiments/${id}`, { method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ best: { gain: '', val_loss: '' } }) })
  }
}))

test('model: a version stands beside the champion with the interval of a gate, or says why there is none', within(async (page, api) => {
  const model = (await api.get('/api/v1/models')).items.find((m) => m.aliases.champion)
  const results = (await api.get(`/api/v1/gates/results?model=${model.name}`)).items
  const signed = (v) => `${v > 0 ? '+' : '−'}${Math.abs(v) >= 100 ? Math.round(Math.abs(v)) : Number(Math.abs(v).toPrecision(3))}`
  const versions = (await api.get(`/api/v1/models/${model.name}/versions`)).items
  const champion = versions.find((v) => v.version === model.aliases.champion)
  const before = versions.filter((v) => Number(v.version) < Number(champion.version)).toSorted((a, b) => Number(b.version) - Number(a.version))[0]
  await open(page, `/models/${model.name}?version=${champion.version}`)
  const table = page.getByRole('table', { name: 'Metrics', exact: true })
  await table.waitFor()
  const rule = results.find((g) => g.version === champion.version)?.rules.find((r) => r.against === `models:/${model.name}/${before.version}`)
  assert.ok(rule?.difference, 'the demo judged the champion against the version before it')
  const row = table.locator('tr').filter({ hasText: rule.metric }).first()
  await row.waitFor()
  const text = (await row.innerText()).replaceAll(/\s+/g, ' ')
  assert.ok(text.includes(`${signed(rule.difference.low)} to ${signed(rule.difference.high)}`) && /better$/.test(text), `${text} tells ${JSON.stringify(rule.difference)}`)
  const other = versions.find((v) => v.version !== champion.version && !results.some((g) => g.version === v.version && g.rules.some((r) => r.against === `models:/${model.name}/${champion.version}`)))
  await open(page, `/models/${model.name}?version=${other.version}`)
  await page.getByText('one number has no interval').waitFor()
  await page.getByText(/untested/).first().waitFor()
  await open(page, `/compare?runs=${[champion, other].map((v) => v.run_id).join(',')}`)
  await page.getByText(`${model.name} v${champion.version} champion`).waitFor()
  await page.locator('.verdict').getByText(/champion/).waitFor()
}))

for (const [name, size] of Object.entries({ wide, phone }))
  test(`runs: a very long name and three hundred parameters stay on the page, ${name}`, within(async (page, api) => {
    const { experiment_id: id } = await api.post('/api/2.0/mlflow/experiments/create', { name: `e2e-long-${name} ${'a name that goes on '.repeat(12)}` })
    const runs = []
    for (let i = 0; i < 2; i++) {
      const { run } = await api.post('/api/2.0/mlflow/runs/create', { experiment_id: id, run_name: i === 0 ? 'x'.repeat(240) : 'short', start_time: Date.now() })
      const params = Array.from({ length: 300 }, (_, k) => ({ key: `layer_${Math.floor(k / 10)}.block_${k % 10}.a_parameter_with_a_long_name_${k}`, value: String(k + i) }))
      for (let k = 0; k < 300; k += 100) await api.post('/api/2.0/mlflow/runs/log-batch', { run_id: run.info.run_id, params: params.slice(k, k + 100), metrics: [{ key: 'loss', value: 1e30 ** i * 0.02, step: 0, timestamp: Date.now() }], tags: [] })
      runs.push({ id: run.info.run_id })
    }
    for (const path of [`/experiments/${id}`, `/runs/${runs[0].id}`, `/runs/${runs[0].id}?tab=details`, address(runs)]) {
      await open(page, path)
      assert.deepEqual(await overflow(page), [], path)
    }
    await open(page, `/runs/${runs[0].id}?tab=details`)
    const last = page.locator('tr').filter({ hasText: 'a_parameter_with_a_long_name_299' })
    await last.getByText('299', { exact: true }).waitFor()
    assert.ok((await last.boundingBox()).height < 90, 'a value is not one letter wide')
    await open(page, `/experiments/${id}?sort=m:loss`)
    // Beside a run that went astray, 0.02 is no 0.
    await comes(() => page.locator('main tbody tr[data-row]').first().locator('td').filter({ hasText: /^0\.02$/ }).count(), 1)
  }, { size }))

for (const theme of ['light', 'dark'])
  test(`compare and model: odd values and groups on a phone, ${theme}`, within(async (page, api) => {
    const { runs, single } = await odd(api)
    const model = (await api.get('/api/v1/models')).items[0].name
    for (const [name, path] of Object.entries({ odd: address(runs), groups: address(runs, '&group=p:opt&x=epoch'), single: address(single), lone: address(single, '&tab=relations'), model: `/models/${model}` })) {
      await open(page, path)
      await settled(page)
      assert.deepEqual(await accessibility(page), [], name)
      assert.deepEqual(await overflow(page), [], name)
      await shot(page, `odd-${name}-phone-${theme}`)
    }
  }, { theme, size: phone }))
