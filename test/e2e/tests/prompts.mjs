// Prompts, and the history of aliases that models share with them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open, settled } from '../lib/browser.mjs'
import { prompt } from '../lib/made.mjs'
import { within } from '../lib/within.mjs'
import { shot } from '../lib/world.mjs'

test('prompts: have a list of their own and are not among the models', within(async (page, api) => {
  const { name } = await prompt(api)
  await open(page, '/prompts')
  await page.getByRole('link', { name }).waitFor()
  assert.equal(await page.getByRole('link', { name: 'bike-demand' }).count(), 0)
  await open(page, '/models')
  await page.getByRole('table', { name: 'Models' }).getByRole('link', { name: 'bike-demand' }).first().waitFor()
  assert.equal(await page.getByRole('link', { name }).count(), 0)
  await open(page, '/prompts/bike-demand')
  await page.getByText('This is no prompt').waitFor()
}))

test('prompts: text with its variables, versions by key, differences by word', within(async (page, api) => {
  const { name } = await prompt(api)
  await open(page, `/prompts/${name}`)
  assert.deepEqual(await page.locator('.prompt .var').filter({ hasText: '{{' }).allInnerTexts(), ['{{ question }}', '{{ language }}'])
  assert.match(await page.locator('.verdict').innerText(), /2 words added since v2, now needs language/)
  await page.getByText('shorter answers win', { exact: false }).first().waitFor()
  await page.keyboard.press('j')
  await page.getByRole('heading', { name: `${name} v2` }).waitFor()
  await page.keyboard.press('k')
  await page.getByRole('heading', { name: `${name} v3` }).waitFor()
  await page.getByRole('navigation', { name: 'Parts of this page' }).getByRole('link', { name: 'Compare' }).click()
  await page.getByRole('combobox', { name: 'Against' }).selectOption('1')
  await page.waitForURL(/base=1/)
  await page.locator('.prompt del').filter({ hasText: 'three' }).waitFor()
  await page.locator('.prompt ins').filter({ hasText: 'two' }).waitFor()
  await page.getByRole('radio', { name: 'Side by side' }).click()
  await page.getByRole('table', { name: 'Differences by line' }).locator('ins').filter({ hasText: 'two' }).waitFor()
  await page.reload()
  await settled(page)
  await page.getByRole('table', { name: 'Differences by line' }).waitFor()
}))

test('prompts: an alias is set with its reason, and the history says who and why', within(async (page, api) => {
  const { name } = await prompt(api)
  await open(page, `/prompts/${name}`)
  await page.getByRole('button', { name: 'Set alias…' }).click()
  await page.getByLabel('Alias', { exact: true }).fill('staging')
  await page.getByLabel('Reason').fill('tried on ten tickets')
  await page.getByRole('button', { name: 'Set @staging to v3' }).click()
  await page.locator('.title').getByText('@staging').waitFor()
  const { items } = await api.get(`/api/v1/models/${name}/history`)
  assert.equal(items[0].reason, 'tried on ten tickets')
  await page.getByRole('navigation', { name: 'Parts of this page' }).getByRole('link', { name: 'Activity' }).click()
  await page.getByRole('table', { name: 'History' }).getByText('tried on ten tickets').waitFor()
}))

test('model: the timeline tells how long each version was champion, and two versions are compared', within(async (page, api) => {
  const { items } = await api.get('/api/v1/models/bike-demand/history')
  const set = items.filter((e) => e.what === 'alias_set' && e.alias === 'champion')
  assert.ok(set.length > 1, 'the demo promoted more than once')
  await open(page, '/models/bike-demand')
  const timeline = page.locator('main section').filter({ has: page.getByRole('heading', { name: 'Versions' }) })
  await timeline.getByText(`then v${set[0].version}`, { exact: false }).first().waitFor()
  await timeline.getByText('@champion since', { exact: false }).waitFor()
  await page.getByRole('navigation', { name: 'Parts of this page' }).getByRole('link', { name: 'Compare' }).click()
  await page.getByRole('combobox', { name: 'Against' }).selectOption('1')
  const table = page.getByRole('table', { name: /^Differences of v1/ })
  await table.getByText('Data', { exact: true }).waitFor()
  await page.getByRole('radio', { name: 'All', exact: true }).click()
  await table.getByText('temperature').waitFor()
  await shot(page, 'model-versions-compared')
}))

test('graphs: fit their frame after a resize, and a large one stays readable', within(async (page, api) => {
  const { items } = await api.get('/api/v1/pipelines/bike-demand/runs')
  await open(page, `/pipelines/bike-demand/runs/${items.find((r) => r.state === 'succeeded').id}`)
  const inside = () => page.evaluate(() => {
    const frame = document.querySelector('.dag').getBoundingClientRect()
    return [...document.querySelectorAll('.dag [data-node]')].every((n) => { const b = n.getBoundingClientRect(); return b.left >= frame.left && b.right <= frame.right && b.top >= frame.top && b.bottom <= frame.bottom })
  })
  await page.locator('.dag [data-node]').first().waitFor()
  await page.setViewportSize({ width: 860, height: 900 })
  await page.waitForTimeout(100)
  assert.equal(await inside(), true)
  const model = (await api.get('/api/v1/models')).items[0]
  await open(page, `/lineage?node=version:${model.name}/${model.aliases.champion}&depth=5`)
  const self = page.locator(`.dag [data-node="version:${model.name}/${model.aliases.champion}"]`)
  await self.waitFor()
  assert.ok((await self.boundingBox()).height >= 54 * 0.79, 'names can be read')
}))
