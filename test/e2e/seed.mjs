// Fills an experiment with runs as a search over parameters leaves them, through MLflow's own calls. Usage: node seed.mjs URL [runs] [name]
import http from 'node:http'
import { pathToFileURL } from 'node:url'

const agent = new http.Agent({ keepAlive: true, maxSockets: 32 })

function post(base, path, body) {
  const text = JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const request = http.request(new URL(path, base), { agent, method: 'POST', headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) } }, (response) => {
      let said = ''
      response.setEncoding('utf8').on('data', (chunk) => { said += chunk }).on('end', () => (response.statusCode === 200 ? resolve(JSON.parse(said)) : reject(new Error(`${path}: ${response.statusCode} ${said}`))))
    })
    request.on('error', reject).end(text)
  })
}

/** The same numbers each time. */
function generator(seed) {
  let a = seed
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const words = [['lively', 'calm', 'brisk', 'swift', 'plain', 'noble', 'olive', 'dusty', 'rapid', 'mild', 'keen', 'vivid', 'still', 'amber'], ['heron', 'fjord', 'maple', 'ember', 'otter', 'crane', 'finch', 'lark', 'thorn', 'basin', 'willow', 'slate', 'raven', 'cove']]
const pick = (random, list) => list[Math.floor(random() * list.length)]

/** One run: five parameters, four metrics of which one has a curve, tags and, for some, a parent of a kind. */
function describe(i, random) {
  const rate = pick(random, [0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2])
  const leaves = pick(random, [15, 31, 47, 63, 95, 127])
  const model = pick(random, ['lightgbm', 'lightgbm', 'xgboost', 'linear'])
  const end = 38 + Math.abs(Math.log10(rate / 0.05)) * 9 + Math.abs(leaves - 95) / 12 + (model === 'linear' ? 11 : 0) + random() * 5
  const curve = Array.from({ length: 12 }, (_, s) => end + (60 - end * 0.4) * Math.exp(-s / 2.5) + (random() - 0.5) * 1.5)
  return {
    name: `${pick(random, words[0])}-${pick(random, words[1])}-${i}`, end: curve.at(-1), curve,
    params: { learning_rate: rate, num_leaves: leaves, model, bagging_fraction: pick(random, [0.6, 0.7, 0.8, 0.9, 1]), seed: Math.floor(random() * 1000) },
    tags: { 'mlflow.user': pick(random, ['ingrid', 'amir', 'lena']), team: pick(random, ['city', 'night']), 'mlflow.source.name': 'train.py', 'mlflow.source.git.commit': '9f31c2e47a5d0b8c6e1f2a3b4c5d6e7f80910a1b' },
    status: i % 997 === 0 ? 'FAILED' : 'FINISHED', took: 60_000 + Math.floor(random() * 240_000),
  }
}

/** Makes an experiment of `runs` runs and gives its id. */
export async function seed(base, runs, name = 'bike-demand', { batch = 32 } = {}) {
  const { experiment_id: id } = await post(base, '/api/2.0/mlflow/experiments/create', { name })
  const random = generator(42)
  const now = Date.now()
  let next = 0
  const work = async () => {
    for (let i = next++; i < runs; i = next++) {
      const r = describe(i, random)
      const start = now - (runs - i) * 20_000
      const tags = Object.entries(r.tags).map(([key, value]) => ({ key, value }))
      const { run } = await post(base, '/api/2.0/mlflow/runs/create', { experiment_id: id, run_name: r.name, start_time: start, tags })
      const at = (key, value, step, share) => ({ key, value, step, timestamp: start + Math.floor(r.took * share) })
      const metrics = [...r.curve.map((v, s) => at('val_mae', v, s * 100, s / r.curve.length)), at('val_rmse', r.end * 1.52, 1200, 1), at('train_mae', r.end - 2 - random() * 4, 1200, 1), at('fit_seconds', r.took / 1000, 1200, 1)]
      await post(base, '/api/2.0/mlflow/runs/log-batch', { run_id: run.info.run_id, metrics, params: Object.entries(r.params).map(([key, value]) => ({ key, value: String(value) })), tags: [] })
      if (i < runs - 3) await post(base, '/api/2.0/mlflow/runs/update', { run_id: run.info.run_id, status: r.status, end_time: start + r.took })
    }
  }
  await Promise.all(Array.from({ length: batch }, work))
  return id
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , base = 'http://127.0.0.1:5000', runs = '100000', name] = process.argv
  const begun = performance.now()
  const id = await seed(base, Number(runs), name)
  const seconds = (performance.now() - begun) / 1000
  console.log(`experiment ${id}: ${runs} runs in ${seconds.toFixed(1)} s, ${Math.round(Number(runs) / seconds)} a second`)
  agent.destroy()
}
