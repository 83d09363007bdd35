// What all tests share: a server that lived through weeks of the demo, a new and empty one, and one browser.
import { cp, mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { launch } from './browser.mjs'
import { seed, start } from './server.mjs'

export const world = {}

export async function begin() {
  world.dir = await mkdtemp(path.join(os.tmpdir(), 'modelyard-e2e-'))
  const kept = process.env.E2E_SEED
  const lived = path.join(world.dir, 'lived')
  if (!kept) await seed(lived, path.join(world.dir, 'demo.log'))
  else {
    if (!await stat(path.join(kept, 'data')).catch(() => undefined)) {
      await mkdir(path.dirname(kept), { recursive: true })
      await seed(kept, path.join(world.dir, 'demo.log'))
    }
    await cp(kept, lived, { recursive: true })
  }
  const [full, empty, browser] = await Promise.all([start(path.join(lived, 'data')), start(path.join(world.dir, 'empty')), launch()])
  Object.assign(world, { full, empty, browser })
  if (process.env.E2E_SHOTS) await mkdir(process.env.E2E_SHOTS, { recursive: true })
}

export async function end() {
  await world.browser?.close()
  await Promise.all([world.full?.stop(), world.empty?.stop()])
  if (world.dir) await rm(world.dir, { recursive: true, force: true, maxRetries: 5 })
}

/** A picture for people, when a folder for them was named. */
export async function shot(page, name) {
  if (process.env.E2E_SHOTS) await page.screenshot({ path: path.join(process.env.E2E_SHOTS, `${name}.png`), animations: 'disabled' })
}
