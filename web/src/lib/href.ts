// Addresses of pages. A name may hold anything, so each part is escaped.
const seg = encodeURIComponent

function at(path: string, search: Record<string, string | number | undefined> = {}): string {
  const query = Object.entries(search).filter(([, v]) => v !== undefined && v !== '').map(([k, v]) => `${k}=${seg(String(v))}`).join('&')
  return query === '' ? path : `${path}?${query}`
}

export const href = {
  home: '/',
  experiments: '/experiments',
  experiment: (id: string, search?: { filter?: string; runs?: string }) => at(`/experiments/${seg(id)}`, search),
  run: (id: string) => `/runs/${seg(id)}`,
  trace: (id: string, span?: string) => at(`/traces/${seg(id)}`, { span }),
  traces: (experiment: string) => at(`/experiments/${seg(experiment)}`, { tab: 'traces' }),
  compare: (runs: readonly string[]) => `/compare?runs=${runs.map(seg).join(',')}`,
  models: '/models',
  model: (name: string, version?: string | number, tab?: string) => at(`/models/${seg(name)}`, { version, tab }),
  prompts: '/prompts',
  prompt: (name: string, version?: string | number, tab?: string) => at(`/prompts/${seg(name)}`, { version, tab }),
  datasets: '/datasets',
  dataset: (name: string, version?: string | number) => at(`/datasets/${seg(name)}`, { version }),
  endpoints: '/endpoints',
  endpoint: (name: string, search?: { tab?: string; prediction?: string }) => at(`/endpoints/${seg(name)}`, search),
  monitors: '/monitors',
  monitor: (name: string, search?: { window?: string; feature?: string }) => at(`/monitors/${seg(name)}`, search),
  pipelines: '/pipelines',
  pipeline: (name: string) => `/pipelines/${seg(name)}`,
  pipelineRun: (name: string, id: string, step?: string) => at(`/pipelines/${seg(name)}/runs/${seg(id)}`, { step }),
  alerts: '/alerts',
  alert: (id: string) => at('/alerts', { alert: id }),
  lineage: (node?: string) => at('/lineage', { node }),
  audit: (search?: { type?: string; kind?: string; id?: string }) => at('/audit', search),
  jobs: '/jobs',
  trash: (kind?: string) => at('/trash', { kind }),
} as const

/** Where a resource of the server is shown; undefined when it has no page of its own. */
export function pageOf(kind: string, id: string): string | undefined {
  const slash = id.indexOf('/')
  const name = slash < 0 ? id : id.slice(0, slash)
  const rest = slash < 0 ? '' : id.slice(slash + 1)
  switch (kind) {
    case 'experiment': return href.experiment(id)
    case 'run': return href.run(id)
    case 'trace': return href.trace(id)
    case 'model': return href.model(id)
    case 'version': return href.model(name, rest)
    case 'endpoint': return href.endpoint(id)
    case 'monitor': return href.monitor(id)
    case 'dataset': return href.dataset(id)
    case 'dataset_version': return href.dataset(name, rest)
    case 'pipeline': return href.pipeline(id)
    case 'alert': return href.alert(id)
    default: return undefined
  }
}

/** The dataset version that an MLflow dataset source points to: …/api/v1/datasets/{name}/versions/{v}/data. */
export function datasetOf(source: string | undefined): { name: string; version: string } | undefined {
  const match = /\/api\/v1\/datasets\/([^/?#]+)\/versions\/([^/?#]+)/.exec(source ?? '')
  return match ? { name: decodeURIComponent(match[1]!), version: match[2]! } : undefined
}
