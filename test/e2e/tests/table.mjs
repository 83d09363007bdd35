// The table of runs as people arrange it: columns dragged, pinned and sized, by mouse and by keyboard; files; groups; runs that arrive while one looks.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { accessibility, open, overflow, phone, settled, wide } from '../lib/browser.mjs'
import { comes, eventually, within } from '../lib/within.mjs'
import { shot } from '../lib/world.mjs'
import { seed } from '../seed.mjs'

const rows = 'main tbody tr[data-row]'
const count = (page, n) => page.waitForFunction(([s, k]) => document.querySelectorAll(s).length === k, [rows, n])
/** How many runs the table has, on the screen or not. */
const has = (page, n) => page.waitForFunction((k) => document.querySelector('main [data-grid] table')?.getAttribute('aria-rowcount') === String(k + 1), n)
const head = (page, id) => page.locator(`th[data-column="${id}"]`)
const order = (page) => page.locator('th[data-column]').evaluateAll((all) => all.map((th) => th.dataset.column))
const menu = async (page, id) => { await head(page, id).hover(); await head(page, id).getByRole('button', { name: /: menu$/ }).click() }
const columns = 'started,m:val_mae,p:model,t:team'
const found = async (api, id, body = {}) => (await api.post('/api/v1/runs/search', { experiment_ids: [id], order_by: ['attributes.start_time DESC'], page_size: 1000, ...body })).items

test('table: columns are dragged, pinned and sized by mouse; the link and a saved view keep it', within(async (page, api) => {
  const id = await seed(page.base, 12, 'e2e-arrange')
  await open(page, `/experiments/${id}?cols=${columns}`)
  await count(page, 12)
  await comes(() => order(page), ['name', 'started', 'm:val_mae', 'p:model', 't:team'])
  await head(page, 't:team').dragTo(head(page, 'm:val_mae'))
  await page.waitForURL(/cols=started,t:team,m:val_mae,p:model/)
  await comes(() => order(page), ['name', 'started', 't:team', 'm:val_mae', 'p:model'])

  await menu(page, 'm:val_mae')
  await page.getByRole('menuitem', { name: 'Pin to the left' }).click()
  await page.waitForURL(/pin=m:val_mae/)
  await comes(() => order(page), ['name', 'm:val_mae', 'started', 't:team', 'p:model'])
  await comes(() => head(page, 'm:val_mae').evaluate((th) => getComputedStyle(th).position), 'sticky')
  await head(page, 'p:model').dragTo(head(page, 'm:val_mae'))
  await page.waitForURL(/pin=[^&]*p:model/)
  await comes(async () => (await order(page)).slice(0, 3).toSorted(), ['m:val_mae', 'name', 'p:model'], 'a column dropped on a pinned one is pinned')

  const before = await head(page, 'started').boundingBox()
  const grip = await page.locator('[data-grip="started"]').boundingBox()
  await page.mouse.move(grip.x + grip.width / 2, grip.y + 10)
  await page.mouse.down()
  await page.mouse.move(grip.x + grip.width / 2 + 60, grip.y + 10, { steps: 4 })
  await page.mouse.up()
  await page.waitForURL(/wide=started%3D|wide=started=/)
  const width = async () => Math.round((await head(page, 'started').boundingBox()).width)
  await comes(width, Math.round(before.width) + 60)

  await page.getByRole('button', { name: 'Views' }).click()
  await page.getByRole('menuitem', { name: /Save as a new view/ }).click()
  await page.getByRole('textbox', { name: 'Name' }).fill('Arranged')
  await page.getByRole('button', { name: 'Save view' }).click()
  await page.waitForURL(/view=/)
  const arranged = await order(page)
  await open(page, `/experiments/${id}`)
  await page.getByRole('button', { name: 'Views' }).click()
  await page.getByRole('menuitemradio', { name: 'Arranged' }).click()
  await page.waitForURL(/wide=/)
  await comes(() => order(page), arranged)
  await comes(width, Math.round(before.width) + 60)
  const { items: [view] } = await api.get(`/api/v1/experiments/${id}/views`)
  assert.deepEqual(view.query.wide, [`started=${Math.round(before.width) + 60}`])
  await page.locator('[data-grip="started"]').dblclick()
  await page.waitForFunction(() => !location.search.includes('wide='))
}))

test('table: columns are moved, sized and pinned by the keyboard alone', within(async (page) => {
  const id = await seed(page.base, 4, 'e2e-keys')
  await open(page, `/experiments/${id}?cols=${columns}`)
  await count(page, 4)
  const sort = head(page, 'm:val_mae').getByRole('button', { name: 'val_mae', exact: true })
  await sort.focus()
  await page.keyboard.press('Shift+ArrowRight')
  await page.waitForURL(/cols=started,p:model,m:val_mae,t:team/)
  await page.getByRole('status').filter({ hasText: 'val_mae is column 4 of 5' }).waitFor({ state: 'attached' })
  await comes(() => sort.evaluate((b) => b === document.activeElement), true, 'the keyboard stays with the column')
  await page.keyboard.press('Shift+ArrowLeft')
  await page.waitForURL(/cols=started,m:val_mae,p:model,t:team/)
  await sort.focus()
  const before = (await head(page, 'm:val_mae').boundingBox()).width
  await page.keyboard.press('Control+ArrowRight')
  await page.waitForURL(/wide=m:val_mae/)
  await comes(async () => Math.round((await head(page, 'm:val_mae').boundingBox()).width), Math.round(before) + 16)
  await head(page, 't:team').getByRole('button', { name: 'Column team: menu' }).press('Enter')
  await page.getByRole('menuitem', { name: 'Pin to the left' }).press('Enter')
  await page.waitForURL(/pin=t:team/)
  await head(page, 't:team').getByRole('button', { name: 'Column team: menu' }).press('Enter')
  await page.getByRole('menuitem', { name: 'Let it scroll' }).press('Enter')
  await page.waitForFunction(() => !location.search.includes('pin='))
  await sort.press('Enter')
  await page.waitForURL(/sort=m:val_mae/)
  await comes(() => head(page, 'm:val_mae').getAttribute('aria-sort'), 'ascending')
}))

test('table: smallest, largest, last and best values are columns of their own', within(async (page, api) => {
  const id = await seed(page.base, 5, 'e2e-values')
  await open(page, `/experiments/${id}?cols=m:val_mae,min:val_mae,max:val_mae,best:val_mae`)
  await count(page, 5)
  const first = (await found(api, id, { columns: ['metrics.val_mae', 'min(metrics.val_mae)', 'max(metrics.val_mae)', 'best(metrics.val_mae)'] }))[0]
  const cells = await page.locator(rows).first().locator('td.num').allInnerTexts()
  const wanted = [first.metrics.val_mae, ...['min', 'max', 'best'].map((a) => first.aggregates[`${a}(metrics.val_mae)`])]
  assert.deepEqual(cells.map(Number), wanted.map((v) => Number(v.toFixed(1))))
  assert.equal(wanted[1], wanted[3], 'a smaller error is the better one')
  await page.getByRole('button', { name: 'val_mae ▾' }).click()
  await page.getByRole('menuitemradio', { name: 'higher', exact: true }).click()
  await page.getByText('higher is better').first().waitFor()
  await eventually(async () => assert.equal(Number((await page.locator(rows).first().locator('td.num').allInnerTexts())[3]), Number(wanted[2].toFixed(1)), 'now the largest is best'))
  assert.deepEqual((await api.get(`/api/v1/experiments/${id}`)).best, { val_mae: 'max' })
  await menu(page, 'max:val_mae')
  await page.getByRole('menuitemradio', { name: 'Last', exact: true }).click()
  await page.waitForFunction(() => !location.search.includes('max:val_mae'))
}))

test('table: a file has every run that fits, not only those that were read, and no cell can start a formula', within(async (page, api) => {
  const id = await seed(page.base, 130, 'e2e-file')
  const all = await found(api, id)
  await api.post('/api/2.0/mlflow/runs/set-tag', { run_id: all.at(-1).id, key: 'note', value: '=HYPERLINK("http://x","a, b")' })
  await open(page, `/experiments/${id}?cols=m:val_mae,p:num_leaves,t:note&sort=-m:val_mae&filter=${encodeURIComponent("params.seed != 'none'")}`)
  await page.locator(rows).first().waitFor()
  const save = async (open) => { const [file] = await Promise.all([page.waitForEvent('download'), open()]); return { name: file.suggestedFilename(), text: await readFile(await file.path(), 'utf8') } }
  const { name, text } = await save(async () => {
    await page.getByRole('button', { name: 'More', exact: true }).click()
    await page.getByRole('menuitem', { name: 'Download all 130 runs as CSV' }).click()
  })
  const lines = text.trimEnd().split('\n')
  assert.equal(name, 'e2e-file-runs.csv')
  assert.equal(lines[0], 'attributes.run_id,attributes.run_name,metrics.val_mae,params.num_leaves,tags.note')
  assert.equal(lines.length, 131)
  const values = lines.slice(1).map((l) => Number(l.split(',')[2]))
  assert.deepEqual(values, values.toSorted((a, b) => b - a), 'in the order of the table')
  assert.deepEqual(new Set(lines.slice(1).map((l) => l.split(',')[0])), new Set(all.map((r) => r.id)))
  assert.ok(text.includes(`"'=HYPERLINK(""http://x"",""a, b"")"`), 'a formula is a text')
  for (const key of ['j', 'x', 'j', 'x']) await page.keyboard.press(key)
  const chosen = await save(() => page.getByRole('toolbar', { name: 'Selected runs' }).getByRole('button', { name: 'Export' }).click())
  assert.equal(chosen.text.trimEnd().split('\n').length, 3)
}))

test('table: only what differs is asked of all runs, the ones that were not read too', within(async (page, api) => {
  const id = await seed(page.base, 130, 'e2e-differs')
  const all = await found(api, id)
  await api.post('/api/2.0/mlflow/runs/set-tag', { run_id: all.at(-1).id, key: 'rare', value: 'yes' })
  await open(page, `/experiments/${id}?cols=m:val_mae,source,t:rare,commit`)
  await page.locator(rows).first().waitFor()
  await page.getByRole('button', { name: /^Columns/ }).click()
  await page.getByRole('switch', { name: 'Only what differs' }).click()
  await page.getByText('2 columns are hidden: the same in all 130 runs.').waitFor()
  await comes(() => order(page), ['name', 'm:val_mae', 't:rare'])
  await page.keyboard.press('Escape')
  await page.waitForURL(/diff=1/)
  await page.getByRole('button', { name: 'Show all columns' }).click()
  await head(page, 'source').waitFor()
  await comes(() => order(page), ['name', 'm:val_mae', 'source', 't:rare', 'commit'])
}))

test('table: groups by a parameter and by a tag, with their bands, and the way into one', within(async (page, api) => {
  const id = await seed(page.base, 40, 'e2e-bands')
  await open(page, `/experiments/${id}`)
  await has(page, 40)
  await page.getByRole('button', { name: 'Group', exact: true }).click()
  await page.getByRole('menuitemcheckbox', { name: 'model' }).click()
  await page.keyboard.press('Escape')
  await page.waitForURL(/group=p:model/)
  const groups = async (by) => (await api.post('/api/v1/runs/groups', { experiment_ids: [id], by: [by], metrics: ['val_mae'] })).items
  const models = await groups('params.model')
  await count(page, models.length)
  for (const g of models) {
    const line = await page.locator(rows).filter({ hasText: g.keys['params.model'] }).locator('td').allInnerTexts()
    assert.deepEqual([line[1], line[2]], [String(g.runs), g.metrics.val_mae.min.toFixed(1)])
  }
  const chart = page.getByRole('img', { name: /^val_mae, mean and range of each group/ })
  await chart.waitFor()
  await page.waitForFunction((n) => (document.querySelector('main figure [role=img]')?.getAttribute('aria-label') ?? '').split(' (').length > n, models.length)
  assert.match(await chart.getAttribute('aria-label'), new RegExp(`${models[0].keys['params.model']} \\(${models[0].runs} runs\\)`))
  await open(page, `/experiments/${id}?group=t:team`)
  const teams = await groups('tags.team')
  await count(page, teams.length)
  await page.locator(rows).filter({ hasText: teams[0].keys['tags.team'] }).click()
  await page.waitForURL(/filter=tags.team/)
  await has(page, teams[0].runs)
}))

test('table: a run that begins while one looks comes by itself, and its values move', within(async (page, api) => {
  const id = await seed(page.base, 6, 'e2e-table-live')
  for (const r of await found(api, id)) if (r.status === 'RUNNING') await api.post('/api/2.0/mlflow/runs/update', { run_id: r.id, status: 'FINISHED', end_time: Date.now() })
  await open(page, `/experiments/${id}?cols=m:val_mae,took,status`)
  await count(page, 6)
  await page.getByRole('status').getByText('Live', { exact: true }).waitFor()
  // The run is told of by an event and brings its first value along; later values are read every two seconds while it runs.
  const { run } = await api.post('/api/2.0/mlflow/runs/create', { experiment_id: id, run_name: 'just-begun', start_time: Date.now() })
  await api.post('/api/2.0/mlflow/runs/log-metric', { run_id: run.info.run_id, key: 'val_mae', value: 33.25, step: 1, timestamp: Date.now() })
  await count(page, 7)
  const row = page.locator(rows).filter({ hasText: 'just-begun' })
  await row.getByText('running').first().waitFor()
  await page.locator('main .pill').filter({ hasText: '1 running' }).waitFor()
  await row.getByText('33.3').waitFor()
  await api.post('/api/2.0/mlflow/runs/log-metric', { run_id: run.info.run_id, key: 'val_mae', value: 31.75, step: 2, timestamp: Date.now() })
  await row.getByText('31.8').waitFor()
  await api.post('/api/2.0/mlflow/runs/update', { run_id: run.info.run_id, status: 'FINISHED', end_time: Date.now() })
  await row.getByText('Finished').first().waitFor()
  await open(page, `/runs/${run.info.run_id}`)
  await page.getByText('31.8').first().waitFor()
}))

test('table: chosen runs move to another experiment, and back', within(async (page, api) => {
  const id = await seed(page.base, 5, 'e2e-move')
  const { experiment_id: to } = await api.post('/api/2.0/mlflow/experiments/create', { name: 'e2e-moved-here' })
  await open(page, `/experiments/${id}`)
  await count(page, 5)
  for (const key of ['j', 'x', 'j', 'x']) await page.keyboard.press(key)
  await page.getByRole('toolbar', { name: 'Selected runs' }).getByRole('button', { name: 'Move…' }).click()
  await page.getByRole('combobox', { name: 'To the experiment' }).selectOption({ label: 'e2e-moved-here' })
  await page.getByRole('button', { name: 'Move 2 runs to e2e-moved-here' }).click()
  await count(page, 3)
  assert.equal((await found(api, to)).length, 2)
  await page.locator('.toast').filter({ hasText: 'Moved 2 runs' }).getByRole('button', { name: /Undo/ }).click()
  await count(page, 5)
  assert.equal((await found(api, to)).length, 0)
}))

test('table: when one of the chosen runs cannot be tagged, none is', within(async (page, api) => {
  const id = await seed(page.base, 4, 'e2e-all-or-none')
  await open(page, `/experiments/${id}`)
  await count(page, 4)
  const all = await found(api, id)
  for (const key of ['j', 'x', 'j', 'x', 't']) await page.keyboard.press(key)
  await page.getByRole('combobox', { name: 'Tag' }).or(page.getByRole('textbox', { name: 'Tag' })).fill('stage')
  await page.getByRole('textbox', { name: 'Value' }).fill('kept')
  await api.post('/api/v1/runs/delete', { run_ids: [all[1].id] })
  await page.getByRole('button', { name: 'Tag 2 runs' }).click()
  await page.getByText('1 of 2 runs cannot be tagged, so none was').first().waitFor()
  assert.equal((await found(api, id, { filter: "tags.stage = 'kept'", view: 'all' })).length, 0)
  await api.post('/api/v1/runs/restore', { run_ids: [all[1].id] })
  await page.getByRole('button', { name: 'Tag 2 runs' }).click()
  await eventually(async () => assert.equal((await found(api, id, { filter: "tags.stage = 'kept'" })).length, 2))
}, { expected: [/400/] }))

for (const [name, options] of Object.entries({ light: { theme: 'light', size: wide }, dark: { theme: 'dark', size: wide }, phone: { theme: 'light', size: phone }, 'phone, dark': { theme: 'dark', size: phone } })) {
  test(`table: fit for all, ${name}`, within(async (page, api) => {
    const list = (await api.get('/api/v1/experiments?page_size=1000')).items
    const id = list.find((e) => e.name === 'e2e-axe')?.id ?? await seed(page.base, 30, 'e2e-axe')
    const [run] = await found(api, id)
    for (const [state, address] of Object.entries({ arranged: `cols=${columns},best:val_mae&pin=m:val_mae&wide=name%3D300&sort=m:val_mae`, differing: `diff=1&cols=${columns},commit`, groups: 'group=p:model', charts: 'tab=charts', opened: `run=${run.id}`, chosen: `runs=${run.id}` })) {
      await open(page, `/experiments/${id}?${address}`)
      await page.locator('main figure canvas').first().waitFor()
      await settled(page)
      assert.deepEqual(await accessibility(page), [], state)
      assert.deepEqual(await overflow(page), [], state)
      await shot(page, `table-${state}-${name.replace(', ', '-')}`)
    }
  }, options))
}
