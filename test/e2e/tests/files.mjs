// Files of a model version: the tree, a preview of each kind, and nothing of them is trusted.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessibility, open, overflow } from '../lib/browser.mjs'
import { filed } from '../lib/made.mjs'
import { within } from '../lib/within.mjs'
import { shot } from '../lib/world.mjs'

test('model: the files of a version are shown as those of a run, without being trusted', within(async (page, api) => {
  const { name } = await filed(api)
  const see = async (file) => { await open(page, `/models/${name}?version=1&tab=files&file=${encodeURIComponent(file)}`); return page.getByRole('region', { name: file }).first() }
  let box = await see('README.md')
  await box.getByRole('heading', { name: 'Night model' }).waitFor()
  await box.locator('em').filter({ hasText: 'quiet' }).waitFor()
  assert.equal(await box.locator('script').count(), 0)
  box = await see('config.json')
  await box.getByText('rate').waitFor()
  await box.getByText('0.01').waitFor()
  box = await see('rows.csv')
  await box.getByText('0000').waitFor()
  await box.getByText(/The first 200 of 300 rows/).waitFor()
  await shot(page, 'model-file-csv')
  await box.getByRole('button', { name: 'Show 1,000' }).click()
  await box.getByText(/^300 rows/).waitFor()
  box = await see('table.json')
  await box.getByRole('columnheader', { name: 'question' }).waitFor()
  box = await see('walk.ipynb')
  await box.getByText('Night walk').waitFor()
  await box.getByRole('columnheader', { name: 'hour' }).waitFor()
  assert.equal(await box.locator('img, script').count(), 0)
  box = await see('sample.parquet')
  const { rows } = await api.get('/api/v1/datasets/bike-demand/versions/latest')
  await box.getByRole('columnheader', { name: 'temperature' }).waitFor()
  await box.getByText(`of ${rows.toLocaleString('en')} rows`, { exact: false }).waitFor()
  await shot(page, 'model-file-parquet')
  box = await see('plots/line.png')
  await page.waitForFunction(() => document.querySelector('main img')?.naturalWidth === 32)
  box = await see('page.html')
  await box.getByText('<h1>report</h1>').waitFor()
  box = await see('notes.txt')
  await box.getByText('kept as it is').waitFor()
  box = await see('MLmodel')
  await box.getByText('loader_module: mlflow.sklearn').waitFor()
  box = await see('weights.bin')
  await box.getByText(/Download it to open it/).waitFor()
  assert.doesNotMatch(await page.title(), /owned/)
}))

test('model: the tree of files is walked by keyboard, and what is open is in the address', within(async (page, api) => {
  const { name } = await filed(api)
  await open(page, `/models/${name}?version=1&tab=files`)
  const tree = page.getByRole('tree', { name: 'Files' })
  const folder = tree.getByRole('treeitem', { name: /plots/ })
  await folder.focus()
  await page.keyboard.press('ArrowRight')
  await tree.getByRole('treeitem', { name: /line\.png/ }).waitFor()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.waitForURL(/file=plots/)
  await page.waitForFunction(() => document.querySelector('main img')?.naturalWidth === 32)
  await page.reload()
  await page.waitForFunction(() => document.querySelector('main img')?.naturalWidth === 32)
}))

test('model: the link to a run elsewhere is one to follow only when it leads into the web', within(async (page, api) => {
  const { name } = await filed(api)
  await open(page, `/models/${name}?version=1`)
  const link = page.getByRole('link', { name: /elsewhere\.example/ })
  await link.waitFor()
  assert.equal(await link.getAttribute('href'), 'https://elsewhere.example/#/runs/1')
  assert.match(await link.getAttribute('rel'), /noopener/)
  await open(page, `/models/${name}?version=2`)
  await page.getByText('javascript:alert(1)').waitFor()
  assert.equal(await page.locator('a[href^="javascript:" i]').count(), 0)
}))

test('model: a version whose files are in an object store says where they are, and what brings them here', within(async (page, api) => {
  const name = 'e2e-elsewhere'
  const source = 's3://models-of-the-bank/credit/limit/v3'
  await api.post('/api/2.0/mlflow/registered-models/create', { name })
  await api.post('/api/2.0/mlflow/model-versions/create', { name, source })
  await open(page, `/models/${name}?version=1`)
  await page.locator('.verdict').getByText(`The files of v1 are not in this server: they are in ${source}. It cannot be served or previewed from here.`).waitFor()
  assert.equal(await page.getByRole('button', { name: /Deploy/ }).count(), 0)
  assert.equal(await page.getByText('without a signature').count(), 0)
  await shot(page, 'model-elsewhere')
  await page.getByRole('link', { name: 'Files' }).click()
  await page.getByText(`download_artifacts("${source}")`).waitFor()
  assert.deepEqual(await accessibility(page), [])
}))

test('model: an alias and a link lead to versions that are older than a list holds', within(async (page, api) => {
  const name = 'e2e-many-versions'
  await api.post('/api/2.0/mlflow/registered-models/create', { name })
  for (let i = 1; i <= 205; i++) await api.post('/api/2.0/mlflow/model-versions/create', { name, source: `s3://models-of-the-bank/many/${i}` })
  await api.put(`/api/v1/models/${name}/aliases/champion`, { version: '2', reason: 'the first that held' })
  await open(page, `/models/${name}?version=3`)
  await page.getByRole('heading', { name: `${name} v3`, level: 1 }).waitFor()
  await page.getByText('202 of 205').waitFor()
  const champion = page.getByRole('link', { name: /^v2 @champion/ })
  await champion.click()
  await page.getByRole('heading', { name: `${name} v2`, level: 1 }).waitFor()
  await page.locator('main .title').getByText('@champion').waitFor()
}))

test('model: a version that is not there is said', within(async (page, api) => {
  const { name } = await filed(api)
  await open(page, `/models/${name}?version=77`)
  await page.getByText(`There is no v77 of ${name}`).waitFor()
  await page.getByRole('link', { name: 'Open the newest, v2' }).click()
  await page.getByRole('heading', { name: `${name} v2`, level: 1 }).waitFor()
}, { expected: [/404/] }))

test('model: files fit a phone', within(async (page, api) => {
  const { name } = await filed(api)
  for (const file of ['rows.csv', 'walk.ipynb', 'sample.parquet']) {
    await open(page, `/models/${name}?version=1&tab=files&file=${file}`)
    await page.getByRole('region', { name: file }).first().locator('td').first().waitFor()
    await shot(page, `model-file-phone-${file}`)
    assert.deepEqual([...await accessibility(page), ...await overflow(page)], [], file)
  }
}, { theme: 'dark', size: { width: 390, height: 844 } }))
