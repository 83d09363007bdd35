// Every page, light and dark, wide and narrow: it loads without a fault, says what the server says, and axe finds nothing serious.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { accessibility, narrow, open, overflow, settled, wide } from '../lib/browser.mjs'
import { answers, demoExperiments, discarded, filed, lab, prompt } from '../lib/made.mjs'
import { eventually } from '../lib/within.mjs'
import { shot, world } from '../lib/world.mjs'

const count = (n) => n.toLocaleString('en')
const plain = (text) => text.replaceAll(/[\u00a0\u202f\s]+/g, ' ')

/** Three significant digits, as the pages print a measured number. */
const num = (v) => (Math.abs(v) >= 100 ? count(Math.round(v)) : String(Number(v.toPrecision(3))))

async function firstRun(api) {
  const { items } = await api.post('/api/v1/runs/search', { experiment_ids: (await demoExperiments(api)).map((e) => e.id), filter: '', order_by: ['attributes.start_time DESC'], page_size: 100 })
  const run = items.find((r) => r.status === 'FINISHED' && Object.keys(r.metrics).length > 0 && r.models?.length > 0)
  assert.ok(run, 'the demo left a finished run with metrics and a model')
  return { run, items }
}

/** Each page: where it is, and what it has to show, asked from the server in the same test. */
const pages = {
  home: async (api) => {
    const { items } = await api.get('/api/v1/endpoints')
    return { path: '/', texts: ['Needs you', 'Endpoints', 'Recent runs', ...items.map((e) => e.name)] }
  },
  experiments: async (api) => {
    // Those that tests made are still growing while this one looks.
    const items = await demoExperiments(api)
    return { path: '/experiments', title: 'Experiments', texts: items.flatMap((e) => [e.name, count(e.runs_count)]) }
  },
  experiment: async (api) => {
    const { run, items } = await firstRun(api)
    const own = items.filter((r) => r.experiment_id === run.experiment_id)
    return { path: `/experiments/${run.experiment_id}`, title: (await api.get(`/api/v1/experiments/${run.experiment_id}`)).name, texts: own.slice(0, 5).map((r) => r.name) }
  },
  compare: async (api) => {
    const { run, items } = await firstRun(api)
    const two = [run, items.find((r) => r.id !== run.id)]
    return { path: `/compare?runs=${two.map((r) => r.id).join(',')}`, title: 'Compare 2 runs', texts: ['Differences', ...two.map((r) => r.name)] }
  },
  'compare-relations': async (api) => {
    const { run, items } = await firstRun(api)
    return { path: `/compare?tab=relations&runs=${[run, items.find((r) => r.id !== run.id)].map((r) => r.id).join(',')}`, title: 'Compare 2 runs', texts: ['Scatter', 'Contour', 'Boxes'] }
  },
  'compare-files': async (api) => {
    const { runs } = await lab(api)
    return { path: `/compare?tab=files&runs=${runs.slice(0, 3).map((r) => r.id).join(',')}`, title: 'Compare 3 runs', texts: ['config.json', 'plots/line.png'] }
  },
  'compare-many': async (api) => {
    const { name, runs } = await lab(api)
    return { path: `/compare?runs=${runs.map((r) => r.id).join(',')}`, title: `Compare ${runs.length} runs`, texts: [name, 'val_mae', 'Parameters against result', 'learning_rate', runs.at(-1).name] }
  },
  run: async (api) => {
    const { run } = await firstRun(api)
    const key = Object.keys(run.metrics).find((k) => !k.startsWith('system/'))
    return { path: `/runs/${run.id}`, title: run.name, texts: [key, num(run.metrics[key]), run.models[0].name] }
  },
  'run-details': async (api) => {
    const { run } = await firstRun(api)
    const [key, value] = Object.entries(run.params)[0]
    return { path: `/runs/${run.id}?tab=details`, title: run.name, texts: [key, value] }
  },
  traces: async (api) => {
    const { id, name, traces } = await answers(api)
    return { path: `/experiments/${id}?tab=traces`, title: name, texts: ['1 of 4 traces failed', ...traces.map((t) => t.question)] }
  },
  trace: async (api) => {
    const { traces } = await answers(api)
    return { path: `/traces/${traces[2].id}`, title: 'answer', texts: ['Failed in count bikes', 'no such station', 'look up', '3 spans'] }
  },
  models: async (api) => {
    const { items } = await api.get('/api/v1/models')
    return { path: '/models', title: 'Models', texts: items.map((m) => m.name) }
  },
  model: async (api) => {
    const model = (await api.get('/api/v1/models')).items[0]
    const version = await api.get(`/api/v1/models/${model.name}/versions/${model.aliases.champion}`)
    return { path: `/models/${model.name}?version=${version.version}`, title: `${model.name} v${version.version}`, texts: ['@champion', ...version.signature.inputs.map((c) => c.name), ...version.gates.map((g) => g.gate)] }
  },
  'model-files': async (api) => {
    const { name } = await filed(api)
    return { path: `/models/${name}?version=1&tab=files&file=README.md`, title: `${name} v1`, texts: ['Night model', 'quiet', 'rows.csv', 'sample.parquet'] }
  },
  'model-activity': async (api) => {
    const model = (await api.get('/api/v1/models')).items[0]
    return { path: `/models/${model.name}?tab=activity`, title: new RegExp(`^${model.name} v`), texts: ['champion'] }
  },
  'model-compare': async (api) => {
    const model = (await api.get('/api/v1/models')).items[0]
    return { path: `/models/${model.name}?version=2&tab=compare&base=1`, title: `${model.name} v2`, texts: ['v1 to v2'] }
  },
  prompts: async (api) => {
    await prompt(api)
    return { path: '/prompts', title: 'Prompts', texts: ['e2e-answer', '@production v2'] }
  },
  prompt: async (api) => {
    await prompt(api)
    return { path: '/prompts/e2e-answer', title: 'e2e-answer v3', texts: ['{{ question }}', 'language', 'prompts:/e2e-answer'] }
  },
  'prompt-write': async (api) => {
    await prompt(api)
    return { path: '/prompts/e2e-answer?tab=write', title: 'e2e-answer v3', texts: ['What changes', 'Variables', 'Save as v4'] }
  },
  'prompt-new': async () => ({ path: '/prompts?new=true', title: 'New prompt', texts: ['Template', 'Variables', 'Save the prompt'] }),
  'prompt-compare': async (api) => {
    await prompt(api)
    return { path: '/prompts/e2e-answer?tab=compare&look=lines&base=1', title: 'e2e-answer v3', texts: ['v1 to v3'] }
  },
  datasets: async (api) => {
    const { items } = await api.get('/api/v1/datasets')
    return { path: '/datasets', title: 'Datasets', texts: items.map((d) => d.name) }
  },
  dataset: async (api) => {
    const v = await api.get('/api/v1/datasets/bike-demand/versions/latest')
    return { path: '/datasets/bike-demand', title: `bike-demand v${v.version}`, texts: [`${count(v.rows)} rows`, ...v.columns.map((c) => c.name)] }
  },
  'dataset-contract': async (api) => {
    const v = await api.get('/api/v1/datasets/bike-demand/versions/latest')
    return { path: '/datasets/bike-demand?tab=contract', title: `bike-demand v${v.version}`, texts: ['temperature'] }
  },
  endpoints: async (api) => {
    const { items } = await api.get('/api/v1/endpoints')
    return { path: '/endpoints', title: 'Endpoints', texts: items.map((e) => e.name) }
  },
  endpoint: async (api) => {
    const e = await api.get('/api/v1/endpoints/bike-demand')
    return { path: '/endpoints/bike-demand?range=24h', title: 'bike-demand', texts: ['Traffic', 'Requests', ...e.spec.targets.map((t) => `v${t.version}`)] }
  },
  'endpoint-requests': async (api) => {
    const { items } = await api.get('/api/v1/endpoints/bike-demand/predictions?limit=1')
    return { path: '/endpoints/bike-demand?tab=requests', title: 'bike-demand', texts: [`v${items[0].version}`] }
  },
  'endpoint-history': async (api) => {
    const { items } = await api.get('/api/v1/endpoints/bike-demand/history')
    return { path: '/endpoints/bike-demand?tab=history', title: 'bike-demand', texts: ['Generation', ...items.slice(0, 3).map((h) => h.reason).filter(Boolean)] }
  },
  monitors: async (api) => {
    const { items } = await api.get('/api/v1/monitors')
    return { path: '/monitors', title: 'Monitors', texts: items.map((m) => m.endpoint) }
  },
  monitor: async (api) => {
    const m = await api.get('/api/v1/monitors/bike-demand')
    return { path: '/monitors/bike-demand', title: 'bike-demand', texts: ['Verdict by window', 'Features', ...m.features.map((f) => f.name)] }
  },
  pipelines: async (api) => {
    const { items } = await api.get('/api/v1/pipelines')
    return { path: '/pipelines', title: 'Pipelines', texts: items.map((p) => p.name) }
  },
  pipeline: async (api) => {
    const name = (await api.get('/api/v1/pipelines')).items[0].name
    const { items } = await api.get(`/api/v1/pipelines/${name}/runs`)
    return { path: `/pipelines/${name}`, title: name, texts: items.slice(0, 3).map((r) => r.id.replaceAll('-', '').slice(-8)) }
  },
  'pipeline-run': async (api) => {
    const name = (await api.get('/api/v1/pipelines')).items[0].name
    const { items } = await api.get(`/api/v1/pipelines/${name}/runs`)
    const run = items.find((r) => r.state === 'succeeded')
    return { path: `/pipelines/${name}/runs/${run.id}`, title: /^Run of/, texts: run.steps.map((s) => s.name) }
  },
  alerts: async (api) => {
    const { items } = await api.get('/api/v1/alerts')
    assert.ok(items.length > 0, 'the demo left alerts')
    return { path: '/alerts?state=all', title: 'Alerts', texts: items.slice(0, 5).map((a) => a.title) }
  },
  webhooks: async () => ({ path: '/alerts?tab=webhooks', title: 'Alerts', texts: ['No webhook'] }),
  lineage: async (api) => {
    const { items } = await api.get('/api/v1/datasets')
    return { path: '/lineage', title: 'Lineage', texts: items.map((d) => `${d.name} v${d.latest_version}`) }
  },
  'lineage-graph': async (api) => {
    const m = (await api.get('/api/v1/models')).items[0]
    return { path: `/lineage?node=version:${m.name}/${m.aliases.champion}`, title: /./, texts: ['bike-demand'] }
  },
  trash: async (api) => {
    const run = await discarded(api)
    // Who deleted it is told by its event, which comes a moment later.
    await eventually(async () => assert.ok((await api.get('/api/v1/trash?kind=run')).items.some((i) => i.name === run && i.deleted_by), 'the trash knows who deleted'))
    return { path: '/trash', title: 'Trash', texts: ['can be brought back', run, 'Contents without a name'] }
  },
  jobs: async (api) => {
    const { items } = await api.get('/api/v1/jobs')
    return { path: '/jobs', title: 'Jobs', texts: items.length > 0 ? [items[0].kind] : [] }
  },
  audit: async (api) => {
    const { items } = await api.get('/api/v1/events?limit=3')
    return { path: '/audit', title: 'Audit', texts: items.map((e) => e.type) }
  },
}

describe('pages', { concurrency: 2 }, () => {
  for (const [name, about] of Object.entries(pages)) {
    for (const theme of ['light', 'dark']) {
      test(`page ${name}, ${theme}`, async () => {
        const { path, title, texts } = await about(world.full.api)
        const page = await world.browser.page(world.full.url, { theme, size: wide })
        try {
          await open(page, path)
          const told = []
          for (const [width, size] of [['wide', wide], ['narrow', narrow]]) {
            await page.setViewportSize(size)
            await shows(page, texts)
            await settled(page)
            const heading = await page.locator('main h1').innerText()
            if (title) assert.match(heading, title instanceof RegExp ? title : new RegExp(`^${RegExp.escape?.(title) ?? title.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`))
            assert.match(await page.title(), /Modelyard$/)
            await shot(page, `${name}-${theme}-${width}`)
            told.push(...(await accessibility(page)).map((f) => `${width}: ${f}`), ...(await overflow(page)).map((f) => `${width}: ${f}`))
          }
          assert.equal(await page.locator('html').getAttribute('data-theme'), theme)
          assert.equal(await page.locator('main [role=alert]').count(), 0, 'no part of the page reports an error')
          page.mustBeClean()
          assert.deepEqual(told, [])
        } finally {
          await page.context().close()
        }
      })
    }
  }

  test('an unknown address and an unknown thing are told, the navigation stays', async () => {
    const page = await world.browser.page(world.full.url, { expected: [/404/] })
    try {
      await open(page, '/no-such-page')
      await page.getByRole('heading', { name: 'No such page' }).waitFor()
      await open(page, '/models/nothing-of-this-name')
      await page.locator('main [role=alert]').getByText('nothing-of-this-name').first().waitFor()
      await page.getByRole('link', { name: /^Experiments/ }).waitFor()
      page.mustBeClean()
    } finally {
      await page.context().close()
    }
  })
})

/** All texts are on the page; what scrolls inside a part counts. */
async function shows(page, texts) {
  const missing = async () => {
    const all = plain(await page.locator('main').evaluate((main) => `${main.textContent} ${[...main.querySelectorAll('[aria-label]')].map((e) => e.getAttribute('aria-label')).join(' ')}`))
    return texts.filter((text) => !all.includes(plain(text)))
  }
  const until = Date.now() + 30_000
  let left = await missing()
  while (left.length > 0 && Date.now() < until) {
    await page.waitForTimeout(50)
    left = await missing()
  }
  assert.deepEqual(left, [], `${page.url()} must show what the server says`)
}
