// One process, one browser, one seeded server: the files register their tests here in the order in which they run.
import { after, before } from 'node:test'
import { begin, end } from './lib/world.mjs'

before(begin, { timeout: 900_000 })
after(end)

await import('./tests/pages.mjs')
await import('./tests/empty.mjs')
await import('./tests/keyboard.mjs')
await import('./tests/address.mjs')
await import('./tests/build.mjs')
await import('./tests/runs.mjs')
await import('./tests/table.mjs')
await import('./tests/compare.mjs')
await import('./tests/odd.mjs')
await import('./tests/prompts.mjs')
await import('./tests/files.mjs')
await import('./tests/ship.mjs')
await import('./tests/watch.mjs')
await import('./tests/traces.mjs')
await import('./tests/trash.mjs')
await import('./tests/token.mjs')
