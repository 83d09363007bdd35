// The trash: what was deleted is listed, comes back, or goes for good after it was said what goes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessibility, open, overflow } from '../lib/browser.mjs'
import { comes, eventually, within } from '../lib/within.mjs'
import { shot } from '../lib/world.mjs'

const phone = { width: 390, height: 844 }

/** An experiment with some runs, the first with a file of a known size. */
async function experiment(api, name, runs) {
  const { experiment_id: id } = await api.post('/api/2.0/mlflow/experiments/create', { name })
  const made = []
  for (let i = 0; i < runs; i++) {
    const { run } = await api.post('/api/2.0/mlflow/runs/create', { experiment_id: id, run_name: `${name}-${i}`, start_time: Date.now() })
    made.push({ id: run.info.run_id, name: `${name}-${i}` })
  }
  await api.upload(`/api/2.0/mlflow-artifacts/artifacts/${id}/${made[0].id}/artifacts/weights.txt`, `${name} `.repeat(400))
  return { id, name, runs: made }
}

const inTrash = async (api, kind) => (await api.get(`/api/v1/trash?kind=${kind}&page_size=200`)).items

test('trash: a run is deleted from its page, undone, deleted again, and restored from the trash', within(async (page, api) => {
  const lab = await experiment(api, 'e2e-trash-run', 1)
  const [run] = lab.runs
  const gone = async () => (await inTrash(api, 'run')).some((i) => i.id === `run:${run.id}`)
  const remove = async () => {
    await page.getByRole('button', { name: 'More' }).click()
    await page.getByRole('menuitem', { name: 'Delete', exact: true }).click()
    await page.getByText(`Deleted ${run.name}`).waitFor()
    await page.waitForURL(`**/experiments/${lab.id}`)
  }
  await open(page, `/runs/${run.id}`)
  await remove()
  assert.equal(await gone(), true)
  await page.getByRole('button', { name: /^Undo/ }).click()
  await page.waitForURL(`**/runs/${run.id}`)
  await comes(gone, false)
  await remove()
  await page.getByRole('status').getByRole('link', { name: 'Trash' }).click()
  await page.waitForURL('**/trash')
  const row = page.getByRole('table', { name: 'Things in the trash' }).locator('tr[data-row]').filter({ hasText: run.name })
  await row.waitFor()
  const told = (await inTrash(api, 'run')).find((i) => i.id === `run:${run.id}`)
  assert.match(await row.innerText(), /run[\s\S]*e2e-trash-run[\s\S]*5.6.?kB[\s\S]*(just now|ago)/)
  assert.equal(told.bytes, 'e2e-trash-run '.length * 400)
  await row.getByRole('button', { name: `Restore ${run.name}` }).click()
  await row.waitFor({ state: 'detached' })
  assert.equal(await gone(), false)
  await page.getByRole('status').getByRole('link', { name: 'Open' }).click()
  await page.getByRole('heading', { name: run.name }).waitFor()
}))

test('trash: experiment, model, version and prompt go from their pages and come back by Undo', within(async (page, api) => {
  const lab = await experiment(api, 'e2e-trash-things', 2)
  await api.post('/api/v1/models', { name: 'e2e-trash-model' })
  const mark = { key: 'mlflow.prompt.is_prompt', value: 'true' }
  await api.post('/api/2.0/mlflow/registered-models/create', { name: 'e2e-trash-prompt', tags: [mark] })
  for (const text of ['one', 'two']) await api.post('/api/2.0/mlflow/model-versions/create', { name: 'e2e-trash-prompt', source: 'prompt-template', tags: [mark, { key: 'mlflow.prompt.text', value: text }] })
  const things = [
    { at: `/experiments/${lab.id}`, item: /^Delete the experiment with 2 runs$/, kind: 'experiment', name: lab.name, away: '**/experiments', more: 'More about the experiment' },
    { at: '/models/e2e-trash-model', item: 'Delete the model', kind: 'model', name: 'e2e-trash-model', away: '**/models' },
    { at: '/prompts/e2e-trash-prompt', item: 'Delete v2', kind: 'prompt_version', name: 'e2e-trash-prompt version 2', away: '**/prompts/e2e-trash-prompt' },
    { at: '/prompts/e2e-trash-prompt', item: 'Delete the prompt', kind: 'prompt', name: 'e2e-trash-prompt', away: '**/prompts' },
  ]
  for (const { at, item, kind, name, away, more = 'More' } of things) {
    const gone = async () => (await inTrash(api, kind)).some((i) => i.name === name)
    await open(page, at)
    await page.getByRole('button', { name: more, exact: true }).click()
    await page.getByRole('menuitem', { name: item }).click()
    await page.waitForURL(away)
    await eventually(async () => assert.equal(await gone(), true, `${name} is in the trash`))
    await page.getByRole('button', { name: /^Undo/ }).waitFor() // the deletion was answered: before that there is nothing to undo
    await page.keyboard.press('z')
    await page.waitForURL(`**${at}*`)
    await eventually(async () => assert.equal(await gone(), false, `${name} came back`))
  }
}))

test('trash: a selection is made, restored and purged by keyboard; a dry run comes first', within(async (page, api) => {
  const lab = await experiment(api, 'e2e-trash-keys', 4)
  await api.post('/api/v1/runs/delete', { run_ids: lab.runs.map((r) => r.id) })
  await open(page, '/trash?kind=run')
  const table = page.getByRole('table', { name: 'Things in the trash' })
  const row = (r) => table.locator('tr[data-row]').filter({ hasText: r.name })
  await row(lab.runs[0]).waitFor()
  const order = await table.locator('tr[data-row]').allInnerTexts()
  const at = order.findIndex((t) => t.includes('e2e-trash-keys-'))
  for (let i = 0; i <= at; i++) await page.keyboard.press('j')
  await page.keyboard.press('x')
  await page.keyboard.press('j')
  await page.keyboard.press('x')
  const bar = page.getByRole('toolbar', { name: 'Selected things' })
  await bar.getByText('2 things').waitFor()
  await page.keyboard.press('r')
  await bar.waitFor({ state: 'detached' })
  const left = (await inTrash(api, 'run')).filter((i) => i.name.startsWith('e2e-trash-keys-'))
  assert.equal(left.length, 2, 'two came back')
  for (const i of left) await row(i).getByRole('checkbox').click()
  await page.keyboard.press('Delete')
  const dialog = page.getByRole('dialog', { name: 'Remove 2 things for good' })
  await dialog.getByRole('table', { name: 'What would go' }).waitFor()
  assert.match(await dialog.innerText(), /2 runs would go, and can't be brought back/)
  assert.deepEqual(await accessibility(page), [])
  await shot(page, 'trash-purge')
  assert.equal((await inTrash(api, 'run')).filter((i) => i.name.startsWith('e2e-trash-keys-')).length, 2, 'a dry run removes nothing')
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  assert.equal((await inTrash(api, 'run')).filter((i) => i.name.startsWith('e2e-trash-keys-')).length, 2, 'Esc removes nothing')
  await page.getByRole('toolbar', { name: 'Selected things' }).getByRole('button', { name: 'Purge…' }).click()
  await dialog.getByRole('button', { name: 'Remove 2 things for good' }).click()
  await dialog.waitFor({ state: 'detached' })
  await page.getByText('Removed 2 things for good').waitFor()
  for (const i of left) await row(i).waitFor({ state: 'detached' })
  assert.equal((await inTrash(api, 'run')).filter((i) => i.name.startsWith('e2e-trash-keys-')).length, 0)
  for (const i of left) await assert.rejects(api.get(`/api/v1/runs/${i.id.slice(4)}`), /404/)
}))

test('trash: a purge of everything of a kind asks for a word, and frees what it said', within(async (page, api) => {
  const lab = await experiment(api, 'e2e-trash-word', 2)
  await api.post(`/api/v1/experiments/${lab.id}/delete`)
  await open(page, '/trash?kind=experiment')
  await page.getByRole('button', { name: 'Purge…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Remove things for good' })
  await dialog.getByText('Nothing would go').waitFor()
  assert.ok(await dialog.getByRole('button', { name: 'Remove', exact: true }).isDisabled(), 'nothing has waited out the undo period')
  await dialog.getByLabel('Deleted').selectOption('0s')
  const remove = dialog.getByRole('button', { name: /^Remove \d+ things? for good/ })
  await remove.waitFor()
  assert.ok(await remove.isDisabled(), 'the word is missing')
  assert.match((await dialog.innerText()).replaceAll('\u202f', ' '), /6 kB become free/)
  await dialog.getByLabel(/to confirm/).fill('purge')
  await remove.click()
  await dialog.waitFor({ state: 'detached' })
  await eventually(async () => assert.equal((await inTrash(api, 'experiment')).length, 0))
  await page.getByText('No experiment is in the trash').or(page.getByText('The trash is empty')).waitFor()
}))

test('trash: contents without a name are counted before they are removed', within(async (page) => {
  await open(page, '/trash')
  await page.getByRole('button', { name: 'Look for them' }).click()
  await page.getByRole('status').filter({ hasText: /contents? can go|None among|can go,/ }).waitFor()
  await page.getByRole('button', { name: 'Look again' }).waitFor()
}))

for (const theme of ['light', 'dark']) {
  test(`trash: fits a phone, ${theme}`, within(async (page, api) => {
    const lab = await experiment(api, `e2e-trash-phone-${theme}`, 2)
    await api.post('/api/v1/runs/delete', { run_ids: [lab.runs[0].id] })
    await open(page, '/trash')
    await page.getByText(lab.runs[0].name).waitFor()
    await shot(page, `trash-phone-${theme}`)
    assert.deepEqual([...await accessibility(page), ...await overflow(page)], [])
    await page.getByRole('button', { name: 'Purge…' }).click()
    await page.getByText('Nothing would go').or(page.getByRole('table', { name: 'What would go' })).waitFor()
    assert.deepEqual([...await accessibility(page), ...await overflow(page)], [])
  }, { theme, size: phone }))
}

test('trash: logged models go from the list of their experiment by keyboard and from the page of their run, and come back', within(async (page, api) => {
  const lab = await experiment(api, 'e2e-trash-logged', 1)
  const made = []
  for (const name of ['first', 'second']) {
    const { model } = await api.post('/api/2.0/mlflow/logged-models', { experiment_id: lab.id, name, source_run_id: lab.runs[0].id })
    made.push(model.info.model_id)
  }
  await api.post(`/api/2.0/mlflow/runs/outputs`, { run_id: lab.runs[0].id, models: [{ model_id: made[0], step: 0 }] })
  const gone = async () => (await inTrash(api, 'logged_model')).map((i) => i.id.replace('logged_model:', '')).filter((id) => made.includes(id)).toSorted()
  await open(page, `/experiments/${lab.id}?tab=models`)
  const list = page.getByRole('table', { name: 'Logged models' }).locator('tr[data-row]')
  await comes(() => list.count(), 2)
  for (const key of ['j', 'x', 'j', 'x']) await page.keyboard.press(key)
  await page.getByRole('toolbar', { name: 'Selected models' }).getByText('2 models').waitFor()
  assert.deepEqual(await accessibility(page), [])
  await page.keyboard.press('Delete')
  await page.getByText('No model was logged').waitFor()
  assert.deepEqual(await gone(), made.toSorted())
  await page.getByRole('button', { name: /^Undo/ }).click()
  await comes(() => list.count(), 2)
  assert.deepEqual(await gone(), [])
  await open(page, `/runs/${lab.runs[0].id}`)
  await page.getByRole('button', { name: 'Delete the logged model first' }).click()
  await page.getByText('Deleted the logged model first').waitFor()
  await comes(gone, [made[0]])
  await page.keyboard.press('z')
  await comes(gone, [])
}))

test('trash: a workspace has its own, and the others are out of its reach', within(async (page, api) => {
  await api.post('/api/v1/workspaces', { name: 'e2e-team' })
  const inTeam = { 'X-MLFLOW-WORKSPACE': 'e2e-team' }
  const { experiment_id: id } = await api.post('/api/2.0/mlflow/experiments/create', { name: 'e2e-team-runs' }, inTeam)
  const { run: theirs } = await api.post('/api/2.0/mlflow/runs/create', { experiment_id: id, run_name: 'e2e-team-run', start_time: Date.now() }, inTeam)
  await api.post('/api/2.0/mlflow/runs/delete', { run_id: theirs.info.run_id }, inTeam)
  const lab = await experiment(api, 'e2e-trash-apart', 1)
  await api.post('/api/v1/runs/delete', { run_ids: [lab.runs[0].id] })
  await open(page, '/trash')
  const row = (name) => page.getByRole('table', { name: 'Things in the trash' }).locator('tr[data-row]').filter({ hasText: name })
  await row('e2e-team-run').waitFor()
  await row(lab.runs[0].name).waitFor()
  await page.getByRole('combobox', { name: 'Workspace' }).selectOption('e2e-team')
  await page.waitForURL(/workspace=e2e-team/)
  await row(lab.runs[0].name).waitFor({ state: 'detached' })
  await page.reload()
  await row('e2e-team-run').waitFor()
  assert.equal(await row(lab.runs[0].name).count(), 0)
  await assert.rejects(api.post('/api/v1/trash/restore', { ids: [`run:${lab.runs[0].id}`], workspace: 'e2e-team' }), /404/)
  await row('e2e-team-run').getByRole('button', { name: 'Restore e2e-team-run' }).click()
  await page.getByText('No run is in the trash').or(page.getByText('The trash is empty')).first().waitFor()
  assert.equal((await api.get(`/api/v1/runs/${theirs.info.run_id}`)).lifecycle, 'active')
}))
