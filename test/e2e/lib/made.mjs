// Things that the demo does not leave, made once through MLflow's own API: a tuning experiment with files, and a prompt.
import { deflateSync } from 'node:zlib'

const once = new Map()
/** The experiments of the demo, without those that tests made. */
export const demoExperiments = async (api) => (await api.get('/api/v1/experiments?page_size=1000')).items.filter((e) => !e.name.startsWith('e2e-'))

const remember = (key, make) => { if (!once.has(key)) once.set(key, make()); return once.get(key) }

/** A picture of one colour. */
function png(width, height, rgb) {
  const crcTable = Array.from({ length: 256 }, (_, n) => { let c = n; for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1; return c >>> 0 })
  const crc = (bytes) => { let c = 0xffffffff; for (const b of bytes) c = crcTable[(c ^ b) & 0xff] ^ (c >>> 8); return (c ^ 0xffffffff) >>> 0 }
  const chunk = (type, data) => { const body = Buffer.concat([Buffer.from(type), data]); const out = Buffer.alloc(body.length + 8); out.writeUInt32BE(data.length, 0); body.copy(out, 4); out.writeUInt32BE(crc(body), body.length + 4); return out }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 2, 0, 0, 0], 8)
  const rows = Buffer.concat(Array.from({ length: height }, () => Buffer.from([0, ...Array.from({ length: width }, () => rgb).flat()])))
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))])
}

/** A hundred runs of two curves and one single figure each; the first three with files. The first is the best. */
export const lab = (api) => remember('lab', async () => {
  const name = 'e2e-lab'
  const { experiment_id: id } = await api.post('/api/2.0/mlflow/experiments/create', { name })
  const begun = Date.now() - 3_600_000
  const runs = []
  for (let i = 0; i < 100; i++) {
    const params = { learning_rate: String(0.01 * (i + 1)), depth: String(3 + (i % 4)), kind: ['dart', 'gbdt', 'goss'][i % 3], seed: '42' }
    const { run } = await api.post('/api/2.0/mlflow/runs/create', { experiment_id: id, run_name: `lab-${i}`, start_time: begun + i * 1000, tags: [{ key: 'team', value: i % 2 ? 'city' : 'ops' }] })
    const floor = 40 + i
    const metrics = Array.from({ length: 120 }, (_, step) => ['val_mae', 'train_mae'].map((key, k) => ({ key, value: step === 119 ? floor - 5 * k : floor + 50 / (step + 1) - 5 * k + Math.sin(step + i), timestamp: begun + i * 1000 + step * (50 + i), step }))).flat()
    await api.post('/api/2.0/mlflow/runs/log-batch', { run_id: run.info.run_id, metrics: [...metrics, { key: 'latency_ms', value: 5 + (i % 7), timestamp: begun, step: 0 }], params: Object.entries(params).map(([key, value]) => ({ key, value })), tags: [] })
    await api.post('/api/2.0/mlflow/runs/update', { run_id: run.info.run_id, status: 'FINISHED', end_time: begun + i * 1000 + 30_000 })
    runs.push({ id: run.info.run_id, name: `lab-${i}`, params, val_mae: floor })
    if (i > 2) continue
    const put = (path, body) => api.upload(`/api/2.0/mlflow-artifacts/artifacts/${id}/${run.info.run_id}/artifacts/${path}`, body)
    await put('config.json', JSON.stringify(i === 0 ? { rate: 0.01, rows: 8645, extra: true } : { rows: 8645, rate: 0.02 }))
    await put('notes.txt', `kept as it is\nrun ${i === 0 ? 'first' : 'later'}\nend\n`)
    await put('same.txt', 'equal in all runs\n')
    await put('plots/line.png', png(32, 20, [200, 40 * i, 90]))
  }
  return { id, name, runs }
})

/** The name of a run that lies in the trash. */
export const discarded = (api) => remember('discarded', async () => {
  const { experiment_id: id } = await api.post('/api/2.0/mlflow/experiments/create', { name: 'e2e-discarded' })
  const { run } = await api.post('/api/2.0/mlflow/runs/create', { experiment_id: id, run_name: 'e2e-discarded-run', start_time: Date.now() })
  await api.upload(`/api/2.0/mlflow-artifacts/artifacts/${id}/${run.info.run_id}/artifacts/notes.txt`, 'kept until it is purged\n')
  await api.post('/api/v1/runs/delete', { run_ids: [run.info.run_id] })
  return 'e2e-discarded-run'
})

/** A model version of many kinds of files, registered with a link to a run elsewhere; the second version's link is not one of the web. */
export const filed = (api) => remember('filed', async () => {
  const name = 'e2e-filed'
  const { experiment_id: id } = await api.post('/api/2.0/mlflow/experiments/create', { name: `${name}-runs` })
  const { run } = await api.post('/api/2.0/mlflow/runs/create', { experiment_id: id, run_name: name, start_time: Date.now() })
  const put = (path, body) => api.upload(`/api/2.0/mlflow-artifacts/artifacts/${id}/${run.info.run_id}/artifacts/model/${path}`, body)
  await put('MLmodel', 'flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n')
  await put('README.md', '# Night model\n\nMade for *quiet* hours. <script>document.title="owned"</script>\n')
  await put('config.json', JSON.stringify({ rate: 0.01, layers: [64, 32] }))
  await put('rows.csv', `id,name\n${Array.from({ length: 300 }, (_, i) => `${String(i).padStart(4, '0')},"a, ${i}"`).join('\n')}\n`)
  await put('table.json', JSON.stringify({ columns: ['question', 'answer'], data: [['one', 1], ['two', null]] }))
  await put('walk.ipynb', JSON.stringify({ cells: [{ cell_type: 'markdown', source: '# Night walk' }, { cell_type: 'code', execution_count: 1, source: 'df.head()', outputs: [{ output_type: 'execute_result', data: { 'text/html': '<table><tr><th>hour</th></tr><tr><td>5<img src=x onerror="document.title=\'owned\'"></td></tr></table>' } }] }] }))
  await put('page.html', '<script>document.title="owned"</script><h1>report</h1>')
  await put('notes.txt', 'kept as it is\n')
  await put('weights.bin', new Uint8Array([0, 1, 2, 3]))
  await put('plots/line.png', png(32, 20, [200, 40, 90]))
  await put('sample.parquet', new Uint8Array(await (await fetch(`${api.url}/api/v1/datasets/bike-demand/versions/latest/data?format=parquet`)).arrayBuffer()))
  await api.post('/api/2.0/mlflow/registered-models/create', { name })
  for (const link of ['https://elsewhere.example/#/runs/1', 'javascript:alert(1)']) await api.post('/api/2.0/mlflow/model-versions/create', { name, source: `runs:/${run.info.run_id}/model`, run_link: link })
  return { name }
})

const hex = (n, digits) => n.toString(16).padStart(digits, '0')

/**
 * An experiment of traces, sent as an OpenTelemetry exporter sends them: a question that is looked up and answered, the third of which fails in
 * its tool. Each takes 100 ms longer than the one before.
 */
export async function traces(api, name, howMany = 4) {
  const { experiment_id: id } = await api.post('/api/2.0/mlflow/experiments/create', { name })
  const base = Number(id) * 1000
  const attributes = (o) => Object.entries(o).map(([key, value]) => ({ key, value: { stringValue: typeof value === 'string' ? value : JSON.stringify(value) } }))
  const made = []
  for (let i = 1; i <= howMany; i++) {
    const failed = i === 3
    const traceId = hex(base + i, 32)
    const start = (Date.now() - (howMany - i + 1) * 60_000) * 1e6
    const took = (100 + 100 * i) * 1e6
    const span = (n, parent, called, from, to, o, status = { code: 1 }) => ({
      traceId, spanId: hex((base + i) * 10 + n, 16), ...(parent ? { parentSpanId: hex((base + i) * 10 + parent, 16) } : {}), name: called, kind: 1, startTimeUnixNano: String(start + from * took), endTimeUnixNano: String(start + to * took), attributes: attributes(o), status,
    })
    const question = `What is station ${i} like at night?`
    const spans = [
      span(1, 0, 'answer', 0, 1, { 'mlflow.spanType': '"AGENT"', 'mlflow.spanInputs': { question }, ...(failed ? {} : { 'mlflow.spanOutputs': { answer: `Quiet, ${i} bikes on average.` } }) }, failed ? { code: 2, message: 'the tool failed' } : { code: 1 }),
      span(2, 1, 'look up', 0.05, 0.3, { 'mlflow.spanType': '"RETRIEVER"', 'mlflow.spanInputs': { q: question } }),
      span(3, 1, failed ? 'count bikes' : 'write', 0.3, 0.95, { 'mlflow.spanType': failed ? '"TOOL"' : '"LLM"', 'mlflow.chat.tokenUsage': { input_tokens: 20 * i, output_tokens: 10, total_tokens: 20 * i + 10 }, model: i % 2 ? 'small' : 'large' }, failed ? { code: 2, message: 'no such station' } : { code: 1 }),
    ]
    await api.post('/v1/traces', { resourceSpans: [{ scopeSpans: [{ spans }] }] }, { 'x-mlflow-experiment-id': id })
    made.push({ id: `tr-${traceId}`, question, failed })
  }
  return { id, name, traces: made }
}

/** The traces that the pages show. */
export const answers = (api) => remember('answers', async () => {
  const made = await traces(api, 'e2e-answers')
  await api.post(`/api/v1/traces/${made.traces[0].id}/assessments`, { name: 'correct', kind: 'feedback', value: true, rationale: 'looked it up' })
  return made
})

/** Six runs in two groups: a loss that is NaN for a while, one that ends infinite, epochs, one figure each; and three runs of which one has a metric. */
export const odd = (api) => remember('odd', async () => {
  const begun = Date.now() - 3_600_000
  const make = async (experiment, name, metrics, params, tags = []) => {
    const { run } = await api.post('/api/2.0/mlflow/runs/create', { experiment_id: experiment, run_name: name, start_time: begun, tags })
    await api.post('/api/2.0/mlflow/runs/log-batch', { run_id: run.info.run_id, metrics, params: Object.entries(params).map(([key, value]) => ({ key, value })), tags: [] })
    await api.post('/api/2.0/mlflow/runs/update', { run_id: run.info.run_id, status: 'FINISHED', end_time: begun + 60_000 })
    return { id: run.info.run_id, name }
  }
  const { experiment_id: id } = await api.post('/api/2.0/mlflow/experiments/create', { name: 'e2e-odd' })
  const runs = []
  for (let i = 0; i < 6; i++) {
    const value = (step) => (i === 1 && step >= 20 && step < 30 ? 'NaN' : i === 2 && step >= 50 ? 'Infinity' : 2 / (step + 1) + i * 0.1)
    const curve = Array.from({ length: 60 }, (_, step) => [{ key: 'val_loss', value: value(step), step, timestamp: begun + step * 1000 }, { key: 'epoch', value: Math.floor(step / 6), step, timestamp: begun + step * 1000 }]).flat()
    runs.push(await make(id, `odd-${i}`, [...curve, { key: 'gain', value: i === 4 ? 'NaN' : i, step: 0, timestamp: begun }], { lr: String(0.1 / (i + 1)), opt: i % 2 ? 'adam' : 'sgd' }, [{ key: 'team', value: i < 4 ? 'city' : 'night' }]))
  }
  const { experiment_id: lone } = await api.post('/api/2.0/mlflow/experiments/create', { name: 'e2e-lone' })
  const single = []
  for (let i = 0; i < 3; i++) single.push(await make(lone, `lone-${i}`, i === 0 ? [{ key: 'loss', value: 1, step: 0, timestamp: begun }] : [], {}))
  return { id, runs, single }
})

/** A prompt of three versions: production serves the second. */
export const prompt = (api) => remember('prompt', async () => {
  const name = 'e2e-answer'
  const mark = { key: 'mlflow.prompt.is_prompt', value: 'true' }
  await api.post('/api/2.0/mlflow/registered-models/create', { name, tags: [mark, { key: 'team', value: 'support' }] })
  const texts = ['Answer {{ question }} in three sentences.', 'Answer {{ question }} in two sentences.\nSay so when you are not sure.', 'Answer {{ question }} in two sentences, in {{ language }}.\nSay so when you are not sure.']
  for (const [i, text] of texts.entries()) await api.post('/api/2.0/mlflow/model-versions/create', { name, source: 'prompt-template', description: `change ${i + 1}`, tags: [mark, { key: 'mlflow.prompt.text', value: text }] })
  await api.put(`/api/v1/models/${name}/aliases/production`, { version: '2', reason: 'shorter answers win' })
  return { name, texts }
})
