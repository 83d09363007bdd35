// A new server teaches: each list says what will be here and has the command that brings it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessibility, open, overflow } from '../lib/browser.mjs'
import { shot, world } from '../lib/world.mjs'

const lists = [
  ['home', '/', /Nothing needs you/, /./],
  ['experiments', '/experiments', /No experiment yet|Default/, /MLFLOW_TRACKING_URI=http:\/\/127/],
  ['prompts', '/prompts', /No prompt yet/, /^mlflow\.genai\.register_prompt/],
  ['models', '/models', /No model yet|No model/, /./],
  ['datasets', '/datasets', /No dataset yet/, /^modelyard dataset /],
  ['endpoints', '/endpoints', /No endpoint yet/, /^modelyard deploy /],
  ['monitors', '/monitors', /No monitor yet/, /^modelyard deploy /],
  ['pipelines', '/pipelines', /No pipeline yet/, /^modelyard pipeline /],
  ['alerts', '/alerts', /No alert is open/, undefined],
  ['webhooks', '/alerts?tab=webhooks', /No webhook/, /^modelyard webhook create /],
  ['trash', '/trash', /The trash is empty/, /^modelyard trash list/],
  ['lineage', '/lineage', /Nothing is linked yet/, /MLFLOW_TRACKING_URI/],
]

test('a new server: every list teaches how to begin', async () => {
  const page = await world.browser.page(world.empty.url)
  try {
    const told = []
    for (const [name, path, title, command] of lists) {
      await open(page, path)
      const main = page.locator('main')
      if (name === 'experiments' && (await world.empty.api.get('/api/v1/experiments')).items.length > 0) {
        // MLflow's own first experiment is there from the start; the runs in it are not.
        await main.getByRole('link', { name: 'Default' }).click()
        await main.getByText('No runs yet').waitFor()
      } else await main.getByText(title).first().waitFor()
      if (command) {
        const commands = (await main.locator('.code, pre, code').allInnerTexts()).map((t) => t.replace(/^\$\s*/, '').trim())
        assert.ok(commands.some((t) => command.test(t)), `${name} shows a command (${command}), has: ${commands.join(' | ')}`)
      }
      await shot(page, `empty-${name}`)
      told.push(...(await accessibility(page)).map((f) => `${name}: ${f}`), ...(await overflow(page)).map((f) => `${name}: ${f}`))
    }
    for (const path of ['/jobs', '/audit']) await open(page, path)
    page.mustBeClean()
    assert.deepEqual(told, [])
  } finally {
    await page.context().close()
  }
})

test('the command of an empty state is copied by its button', async () => {
  const page = await world.browser.page(world.empty.url)
  try {
    await open(page, '/endpoints')
    await page.locator('main').getByRole('button', { name: /copy/i }).first().click()
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^modelyard deploy /)
    page.mustBeClean()
  } finally {
    await page.context().close()
  }
})
