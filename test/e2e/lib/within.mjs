import assert from 'node:assert/strict'
import { world } from './world.mjs'

/** A test on a page of its own, which has to end without a fault. */
export const within = (run, { on = 'full', ...options } = {}) => async () => {
  const page = await world.browser.page(world[on].url, options)
  try {
    await run(page, world[on].api)
    page.mustBeClean()
  } finally {
    await page.context().close()
  }
}

/** Reads until it is what is wanted. */
export const comes = (read, wanted, why) => eventually(async () => assert.deepEqual(await read(), wanted, why))

/** Asks until the answer holds; the last refusal is the failure. */
export async function eventually(check, seconds = 30) {
  const until = Date.now() + seconds * 1000
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (Date.now() > until) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
