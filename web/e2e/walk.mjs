// Walks every page of a running server in a real Chromium, light and dark, and fails on what a user would see as
// broken: a script error, a breach of the content policy, a page without a title, text that overflows its window.
//   node e2e/walk.mjs http://127.0.0.1:5000 [folder for screenshots]
// CHROMIUM names the browser; the distribution's is the default.
import { mkdirSync } from 'node:fs'
import { chromium } from 'playwright-core'

const base = (process.argv[2] ?? 'http://127.0.0.1:5000').replace(/\/$/, '')
const folder = process.argv[3]
if (folder) mkdirSync(folder, { recursive: true })

async function read(path, body) {
  const response = await fetch(base + path, body ? { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) } : {})
  return response.ok ? response.json() : { items: [] }
}
const first = async (path) => (await read(path)).items?.[0]
const seg = encodeURIComponent

/** The pages there are, with one of each thing that exists. */
async function pages() {
  const out = ['/', '/experiments', '/models', '/datasets', '/endpoints', '/monitors', '/pipelines', '/alerts', '/alerts?tab=webhooks', '/lineage', '/jobs', '/audit', '/parts', '/no-such-page']
  const runs = (await read('/api/v1/runs/search', { page_size: 3 })).items ?? []
  if (runs[0]) out.push(`/experiments/${seg(runs[0].experiment_id)}`, ...['', '?tab=details', '?tab=files'].map((q) => `/runs/${runs[0].id}${q}`), `/compare?runs=${runs.map((r) => r.id).join(',')}`)
  const model = await first('/api/v1/models')
  if (model) out.push(...['', '?tab=files', '?tab=activity'].map((q) => `/models/${seg(model.name)}${q}`), `/lineage?node=${seg(`version:${model.name}/${model.latest_version}`)}`)
  const dataset = await first('/api/v1/datasets')
  if (dataset) out.push(...['', '?tab=rows', '?tab=contract'].map((q) => `/datasets/${seg(dataset.name)}${q}`))
  const endpoint = await first('/api/v1/endpoints')
  if (endpoint) {
    out.push(...['', '?tab=versions', '?tab=requests', '?tab=history', '?tab=try'].map((q) => `/endpoints/${seg(endpoint.name)}${q}`), `/monitors/${seg(endpoint.name)}`)
    const prediction = await first(`/api/v1/endpoints/${seg(endpoint.name)}/predictions?limit=1`)
    if (prediction) out.push(`/endpoints/${seg(endpoint.name)}?tab=requests&prediction=${prediction.id}`)
  }
  const pipeline = await first('/api/v1/pipelines')
  if (pipeline) {
    out.push(`/pipelines/${seg(pipeline.name)}`)
    if (pipeline.last_run) out.push(`/pipelines/${seg(pipeline.name)}/runs/${pipeline.last_run.id}`)
  }
  return out
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const problems = []
const list = await pages()
for (const [theme, width] of [['light', 1440], ['dark', 1280], ['light', 760]]) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: theme })
  for (const path of list) {
    const page = await context.newPage()
    const said = (what) => problems.push(`${path} (${theme}, ${width}): ${what}`)
    page.on('pageerror', (e) => said(e.message))
    page.on('console', (m) => {
      // A page may ask for something that is not there; the answer is shown, and it is no fault of the page.
      if (m.type() === 'error' && !/Failed to load resource/.test(m.text())) said(m.text().slice(0, 300))
    })
    await page.goto(base + path)
    const title = page.locator('h1').first()
    await title.waitFor({ timeout: 10_000 }).catch(() => said('no title appears'))
    await page.waitForTimeout(500)
    if ((await title.count()) > 0 && (await title.innerText()) === 'This page broke') said('the page broke')
    if ((await page.evaluate(() => document.documentElement.dataset.theme)) !== theme) said('the theme is not the system\'s')
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1)) said('the window scrolls sideways')
    if (folder) await page.screenshot({ path: `${folder}/${theme}-${width}-${path.replace(/[^a-z0-9]+/gi, '-').replace(/^-|-$/g, '').slice(0, 60) || 'home'}.png` })
    await page.close()
  }
  await context.close()
}
await browser.close()
console.log(`walked ${list.length} pages three times, ${problems.length} problems`)
for (const p of problems) console.error(p)
process.exit(problems.length > 0 ? 1 : 0)
