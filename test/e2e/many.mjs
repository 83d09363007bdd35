// The page of an experiment with very many runs. Usage: MODELYARD_BIN=bin/modelyard node many.mjs [runs]; MANY_URL names a server that was
// seeded already, MANY_EXPERIMENT its experiment. Fails when rows pile up in the page or it has a fault; bench/ui takes the same figures in earnest.
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { launch } from './lib/browser.mjs'
import { interactive, walk } from './lib/many.mjs'
import { start } from './lib/server.mjs'
import { seed } from './seed.mjs'

process.env.CHROMIUM ??= '/usr/bin/chromium'
const runs = Number(process.argv[2] ?? 100_000)
const dir = await mkdtemp(path.join(os.tmpdir(), 'modelyard-many-'))
const given = process.env.MANY_URL
const server = given ? { url: given, stop: async () => {} } : await start(path.join(dir, 'data'))
const browser = await launch()
try {
  const id = process.env.MANY_EXPERIMENT ?? (given ? '1' : await seed(server.url, runs))
  const page = await browser.page(server.url)
  const figures = { 'time to interactive': await interactive(page, server.url, id), ...await walk(page, runs) }
  for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(38)} ${Math.round(value)}`)
  page.mustBeClean()
  if (figures['rows in the page, count'] > 120) throw new Error('rows pile up in the page')
} finally {
  await browser.close()
  await server.stop()
  await rm(dir, { recursive: true, force: true })
}
process.exit(0)
