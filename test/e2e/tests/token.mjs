// A server with a token: the page asks for it, refuses a wrong one, and works with the right one.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { test } from 'node:test'
import { open } from '../lib/browser.mjs'
import { start } from '../lib/server.mjs'
import { shot, world } from '../lib/world.mjs'

test('token: asked for, refused, accepted, and kept for the session', async () => {
  const token = randomBytes(24).toString('hex')
  const server = await start(path.join(world.dir, 'guarded'), { token })
  const page = await world.browser.page(server.url, { expected: [/40[13]/] })
  try {
    await server.api.post('/api/v1/models', { name: 'guarded-model' })
    assert.equal((await fetch(`${server.url}/api/v1/models`)).status, 401)
    await open(page, '/models')
    const dialog = page.getByRole('dialog', { name: 'Sign in' })
    await dialog.waitFor()
    await shot(page, 'token')
    await dialog.getByLabel('Admin token').fill('not the token')
    await dialog.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForFunction(() => document.querySelector('[role=dialog] .text-bad')?.textContent)
    assert.equal(await page.getByText('guarded-model').count(), 0)
    await dialog.getByLabel('Admin token').fill(token)
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'detached' })
    await page.getByRole('link', { name: 'guarded-model' }).first().waitFor()
    await page.getByRole('status').getByText('Live', { exact: true }).waitFor()
    await page.reload()
    await page.getByRole('link', { name: 'guarded-model' }).first().waitFor()
    assert.equal(await page.getByRole('dialog').count(), 0)
    const cookie = (await page.context().cookies()).find((c) => c.httpOnly)
    assert.ok(cookie, 'the token is in a cookie that scripts cannot read')
    assert.equal(await page.evaluate((t) => JSON.stringify({ ...localStorage, ...sessionStorage }).includes(t), token), false)
    page.mustBeClean()
  } finally {
    await page.context().close()
    await server.stop()
  }
})
