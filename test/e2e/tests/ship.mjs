// Endpoints: what is done in the page is what the server then does.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../lib/browser.mjs'
import { comes, eventually, within } from '../lib/within.mjs'
import { shot } from '../lib/world.mjs'

/** An endpoint of its own with two versions: the champion, and a second one beside it. */
async function endpoint(api, name) {
  const model = (await api.get('/api/v1/models')).items[0]
  const first = await api.get(`/api/v1/models/${model.name}/versions/${model.aliases.champion}`)
  const second = await api.post(`/api/v1/models/${model.name}/versions`, { source: first.source, description: `twin of v${first.version} for ${name}` })
  await api.post('/api/v1/endpoints', { name, model_uri: `models:/${model.name}/${first.version}` })
  await eventually(async () => assert.equal((await api.get(`/api/v1/endpoints/${name}`)).status.state, 'ready'), 90)
  await api.put(`/api/v1/endpoints/${name}/traffic`, { targets: [{ version: first.version, weight: 75, role: 'champion' }, { version: second.version, weight: 25, role: 'canary' }], reason: 'beside each other' })
  await eventually(async () => assert.equal((await api.get(`/api/v1/endpoints/${name}`)).status.versions.filter((v) => v.state === 'ready').length, 2), 90)
  return { first: first.version, second: second.version }
}

const weights = async (api, name) => Object.fromEntries((await api.get(`/api/v1/endpoints/${name}`)).spec.targets.map((t) => [t.version, t.weight]))

test('endpoint: a traffic change is drafted, shown in words, applied, and the server answers with it', within(async (page, api) => {
  const { first, second } = await endpoint(api, 'e2e-traffic')
  await open(page, '/endpoints/e2e-traffic')
  const slider = page.getByRole('slider', { name: `Traffic to v${second}` })
  await comes(() => slider.getAttribute('aria-valuenow'), '25')
  await slider.focus()
  await page.keyboard.press('Shift+ArrowLeft')
  await page.keyboard.press('ArrowLeft')
  await comes(() => slider.getAttribute('aria-valuenow'), '31')
  assert.deepEqual(await weights(api, 'e2e-traffic'), { [first]: 75, [second]: 25 }, 'a draft moves nothing')
  await page.getByText('1 pending change').waitFor()
  await page.getByText(`from v${first} to v${second}`).waitFor()
  await shot(page, 'endpoint-draft')
  await page.getByRole('button', { name: 'Discard' }).click()
  await comes(() => slider.getAttribute('aria-valuenow'), '25')
  await page.getByLabel(`Traffic to v${second} in percent`).fill('40')
  await page.getByRole('button', { name: new RegExp(`^Apply: .*v${second} 25 % → 40 %`) }).click()
  await eventually(async () => assert.deepEqual(await weights(api, 'e2e-traffic'), { [first]: 60, [second]: 40 }))
  await page.getByText('1 pending change').waitFor({ state: 'detached' })
  await eventually(async () => assert.equal(await slider.getAttribute('aria-valuenow'), '40'))
}))

test('endpoint: a change made elsewhere shows by itself', within(async (page, api) => {
  const { first, second } = await endpoint(api, 'e2e-elsewhere')
  await open(page, '/endpoints/e2e-elsewhere')
  const slider = page.getByRole('slider', { name: `Traffic to v${second}` })
  await slider.waitFor()
  await page.getByRole('status').getByText('Live', { exact: true }).waitFor()
  await api.put('/api/v1/endpoints/e2e-elsewhere/traffic', { targets: [{ version: first, weight: 90, role: 'champion' }, { version: second, weight: 10, role: 'canary' }], reason: 'by another person' })
  await eventually(async () => assert.equal(await slider.getAttribute('aria-valuenow'), '10'))
  await page.getByText('by another person').first().waitFor()
}))

test('endpoint: the rollback button asks once, says before and after, and rolls back', within(async (page, api) => {
  const { first } = await endpoint(api, 'e2e-rollback')
  await open(page, '/endpoints/e2e-rollback')
  await page.getByRole('button', { name: `Roll back to v${first}` }).click()
  const dialog = page.getByRole('dialog', { name: `Roll back e2e-rollback to v${first}` })
  assert.match(await dialog.innerText(), /75 %[\s\S]*→[\s\S]*100 %[\s\S]*25 %[\s\S]*→[\s\S]*0 %/)
  await shot(page, 'endpoint-rollback')
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  assert.equal((await weights(api, 'e2e-rollback'))[first], 75, 'Esc changes nothing')
  await page.getByRole('button', { name: `Roll back to v${first}` }).click()
  await dialog.getByLabel('Reason').fill('the second one is worse')
  await dialog.getByRole('button', { name: `Roll back to v${first}` }).click()
  await dialog.waitFor({ state: 'detached' })
  await eventually(async () => assert.deepEqual(await weights(api, 'e2e-rollback'), { [first]: 100 }))
  const { items } = await api.get('/api/v1/endpoints/e2e-rollback/history')
  assert.equal(items[0].reason, 'the second one is worse')
  await page.getByText(`e2e-rollback serves v${first}`).waitFor()
}))

test('endpoint: the try-it box sends the example and shows the prediction the server logged', within(async (page, api) => {
  await open(page, '/endpoints/bike-demand?tab=try')
  const box = page.getByRole('textbox', { name: 'Record as JSON' })
  const record = JSON.parse(await box.inputValue())
  const { signature } = await api.get('/api/v1/endpoints/bike-demand')
  assert.deepEqual(Object.keys(record).toSorted(), signature.inputs.map((c) => c.name).toSorted())
  await box.fill('{"hour": ')
  await page.getByText('No valid JSON').waitFor()
  assert.ok(await page.getByRole('button', { name: 'Send request' }).isDisabled())
  await box.fill(JSON.stringify(record))
  await page.getByRole('button', { name: 'Send request' }).click()
  const link = page.getByRole('link', { name: 'See its record' })
  await link.waitFor()
  await shot(page, 'endpoint-try')
  const id = new URL(await link.evaluate((a) => a.href)).searchParams.get('prediction')
  const shown = Number(await page.locator('main [aria-live] b').first().innerText())
  const logged = await eventually(() => api.get(`/api/v1/predictions/${id}`))
  const value = Array.isArray(logged.output) ? logged.output[0] : logged.output
  assert.ok(Number.isFinite(shown) && Math.abs(shown - Number(value)) < 1e-5 * Math.abs(Number(value)), `shown ${shown}, logged ${JSON.stringify(logged.output)}`)
  await link.click()
  await page.getByText(id.replaceAll('-', '').slice(-8)).first().waitFor()
  await shot(page, 'endpoint-record')
}))

test('endpoint: a wrong record is refused with the name of the field', within(async (page) => {
  await open(page, '/endpoints/bike-demand?tab=try')
  const box = page.getByRole('textbox', { name: 'Record as JSON' })
  const record = { ...JSON.parse(await box.inputValue()), temperature: 'warm' }
  await box.fill(JSON.stringify(record))
  await box.press('Control+Enter')
  await page.locator('main [role=alert]').filter({ hasText: 'temperature' }).waitFor()
  await shot(page, 'endpoint-try-refused')
}, { expected: [/400|422/] }))
