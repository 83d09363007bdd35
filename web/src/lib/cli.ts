// The commands the pages show. All of them are here, so that a change of the command line is a change of one file.

/** A word as a shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./{}-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

const run = (...words: string[]) => ['modelyard', ...words].map(quoted).join(' ')

export const cli = {
  deploy: (uri: string, endpoint: string) => run('deploy', uri, '--name', endpoint),
  predict: (endpoint: string, record: string) => run('endpoint', 'predict', endpoint, record),
  predictions: (endpoint: string) => run('endpoint', 'predictions', endpoint),
  conclude: (experiment: string) => `${run('experiment', 'conclude', experiment, 'refuted')} --summary "…"`,
  getRun: (id: string) => run('run', 'get', id),
  promote: (model: string, version: string, alias: string, reason: string) => run('model', 'promote', `${model}/${version}`, ...(alias === 'champion' ? [] : ['--alias', alias]), ...(reason ? ['--reason', reason] : [])),
  rollout: (endpoint: string, version: string, options: { steps?: string; minSamples?: string; maxErrorRate?: string; maxLatencyRatio?: string; maxMetricIncrease?: string } = {}) =>
    run('rollout', 'start', endpoint, version, ...(options.steps ? ['--steps', options.steps] : []), ...(options.minSamples ? ['--min-samples', options.minSamples] : []), ...(options.maxErrorRate ? ['--max-error-rate', options.maxErrorRate] : []),
      ...(options.maxLatencyRatio ? ['--max-latency-ratio', options.maxLatencyRatio] : []), ...(options.maxMetricIncrease ? ['--max-metric-increase', options.maxMetricIncrease] : [])),
  gateCheck: (model: string, version: string) => run('gate', 'check', `${model}/${version}`, '-f', 'gate.yaml', '--alias', 'champion'),
  pushData: (name: string, file: string, options: { target?: string; timeColumn?: string } = {}) => run('dataset', 'push', name, file, ...(options.target ? ['--target', options.target] : []), ...(options.timeColumn ? ['--time-column', options.timeColumn] : [])),
  setContract: (name: string) => run('dataset', 'contract', name, 'contract.yaml'),
  applyPipeline: (name: string) => run('pipeline', 'apply', name, '-f', 'pipeline.yaml'),
  runPipeline: (name: string, params: Record<string, string> = {}) => run('pipeline', 'run', name, ...Object.entries(params).flatMap(([k, v]) => ['-p', `${k}=${v}`])),
  addWebhook: (url: string, events: readonly string[]) => run('webhook', 'create', url, ...(events.length > 0 ? ['--event', events.join(',')] : [])),
  events: () => run('event', 'list'),
  jobs: () => run('job', 'list'),
  demo: () => run('demo'),
  /** What MLflow's client needs to know. */
  mlflow: () => `export MLFLOW_TRACKING_URI=${new URL(document.baseURI).href.replace(/\/$/, '')}`,
}
