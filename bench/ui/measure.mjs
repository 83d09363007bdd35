// Takes the figures of RESULTS.md: see run.sh. A round is a new browser context, so nothing is in its cache at its start.
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { launch } from '../../test/e2e/lib/browser.mjs'
import { file, interactive, walk } from '../../test/e2e/lib/many.mjs'
import { start } from '../../test/e2e/lib/server.mjs'
import { seed } from '../../test/e2e/seed.mjs'

const runs = Number(process.env.RUNS ?? 100_000)
const rounds = Number(process.env.ROUNDS ?? 7)
const out = process.env.OUT
const command = `RUNS=${runs} ROUNDS=${rounds} bench/ui/run.sh`
const load = () => os.loadavg().map((v) => v.toFixed(1)).join(', ')

const dir = await mkdtemp(path.join(os.tmpdir(), 'modelyard-bench-ui-'))
const data = path.join(dir, 'data')
const figures = new Map()
const note = (found) => { for (const [name, value] of Object.entries(found)) figures.set(name, [...(figures.get(name) ?? []), value]) }
const before = load()
let server = await start(data)
const browser = await launch()
let seeded
// Broken off, it leaves nothing behind.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void Promise.allSettled([browser.close(), server.stop()]).then(() => rm(dir, { recursive: true, force: true })).then(() => process.exit(130)))
try {
  const begun = performance.now()
  const id = await seed(server.url, runs)
  seeded = (performance.now() - begun) / 1000
  console.error(`seeded ${runs} runs in ${seeded.toFixed(1)} s`)
  for (let i = 0; i < rounds; i++) {
    // The server begins anew: it has no run in memory, and reads the experiment for the first page.
    await server.stop()
    server = await start(data)
    const page = await browser.page(server.url)
    note({ 'time to interactive, server just started': await interactive(page, server.url, id) })
    await page.context().close()
    const again = await browser.page(server.url)
    note({ 'time to interactive, new visitor': await interactive(again, server.url, id) })
    await again.goto('about:blank')
    note({ 'time to interactive, files of the page in the cache': await interactive(again, server.url, id) })
    note(await walk(again, runs))
    again.mustBeClean()
    await again.context().close()
    if (i < 3) note(await file(server.url, id))
    console.error(`round ${i + 1} of ${rounds}, load ${load()}`)
  }
} finally {
  await browser.close()
  await server.stop()
  await rm(dir, { recursive: true, force: true })
}

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor((list.length - 1) / 2)]
const show = (name, v) => (/count|MB$/.test(name) ? String(Math.round(v)) : v >= 10_000 ? `${(v / 1000).toFixed(1)} s` : `${v < 10 ? v.toFixed(1) : Math.round(v)} ms`)
const unit = (name) => name.replace(/, (count|MB)$/, (_, u) => (u === 'MB' ? ' (MB)' : ''))
const table = ['| figure | median | smallest | largest |', '|---|---|---|---|', ...[...figures].map(([name, list]) => `| ${unit(name)} | ${[median(list), Math.min(...list), Math.max(...list)].map((v) => show(name, v)).join(' | ')} |`)].join('\n')
console.log(table)
if (out) {
  const chromium = execFileSync(process.env.CHROMIUM, ['--version'], { encoding: 'utf8', env: process.env }).trim().split(/\s+/).slice(0, 2).join(' ')
  const program = execFileSync(process.env.MODELYARD_BIN, ['version'], { encoding: 'utf8' }).trim().split('\n')[0]
  await writeFile(out, `# Results

The figures that \`${command}\` printed on ${new Date().toISOString().slice(0, 10)}: ${program}; ${os.cpus().length} cores of ${os.cpus()[0].model.trim()}, ${Math.round(os.totalmem() / 2 ** 30)} GB, ${os.platform()} ${os.release().split('-')[0]},
${chromium} without a display, drawing in software on the same cores as the server. Load average (1, 5, 15 min) ${before} at the start and ${load()} at the end; with much more than the
work of this script in it, repeat the figures on a calm machine before quoting them.

    make build && bench/ui/run.sh

${runs.toLocaleString('en')} runs in one experiment (five parameters, four metrics of which one has a curve of 12 points, three tags), in the embedded SQLite store, seeded through MLflow's API in
${seeded.toFixed(0)} s. Each of the ${rounds} rounds starts the server and opens new browser contexts. Interactive is from the address being opened to a key press that moved the focus to the first run: page,
script, first rows and keyboard are there. The other figures are from the click to what it asked for being on the screen.

${table}
`)
}
process.exit(0)
