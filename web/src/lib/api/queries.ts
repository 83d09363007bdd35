// Every read of the server, as query options. The first part of a key is what `live.ts` makes old.
import { infiniteQueryOptions, keepPreviousData, QueryClient, queryOptions } from '@tanstack/react-query'
import { ApiError, http, type Query } from './http'
import { loadHistory } from './histories'
import type * as t from './types'

export function createClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 5_000,
        refetchOnWindowFocus: true,
        // A refusal is not asked again; a server that restarts is.
        retry: (failures, error) => failures < 2 && error instanceof ApiError && (error.status === 0 || error.status >= 502),
        retryDelay: (attempt) => Math.min(4_000, 500 * 2 ** attempt),
      },
    },
  })
}

const api = '/api/v1'
const seg = encodeURIComponent

function read<T>(key: readonly unknown[], path: string, query?: Query) {
  return queryOptions({ queryKey: query ? [...key, query] : key, queryFn: ({ signal }) => http.get<T>(api + path, { signal, ...(query ? { query } : {}) }) })
}

const mostPages = 10

/** A whole list, page by page: ten thousand things, and what is more is found by other means. */
function readAll<T>(key: readonly unknown[], path: string, query: Query = {}) {
  return queryOptions({
    queryKey: [...key, query],
    queryFn: async ({ signal }) => {
      const page = (token?: string) => http.get<t.List<T>>(api + path, { signal, query: { ...query, page_size: 1000, page_token: token } })
      let last = await page()
      const items = [...last.items]
      for (let n = 1; n < mostPages && last.next_page_token; n++) {
        last = await page(last.next_page_token)
        items.push(...last.items)
      }
      return { items }
    },
  })
}

/** JSON has no word for a metric that is not finite; the server writes "NaN" and "Infinity", which are numbers here. */
export function withNumbers(found: t.RunSearch): t.RunSearch {
  return { ...found, items: found.items.map((r) => (Object.values(r.metrics).some((v) => typeof v === 'string') ? { ...r, metrics: Object.fromEntries(Object.entries(r.metrics).map(([k, v]) => [k, v === null ? null : Number(v)])) } : r)) }
}

export const q = {
  session: () => read<t.Session>(['session'], '/session'),
  server: () => read<t.ServerInfo>(['server'], '/version'),
  overview: () => ({ ...read<t.Overview>(['overview'], '/overview'), refetchInterval: 30_000 }),
  events: (query: Query) => read<t.List<t.Event>>(['events', 'list'], '/events', query),
  recentEvents: () => read<t.List<t.Event>>(['events', 'recent'], '/events', { limit: 40 }),
  jobs: (state?: string) => ({ ...read<t.List<t.Job>>(['jobs'], '/jobs', { state, limit: 200 }), refetchInterval: 5_000 }),

  experiments: () => readAll<t.Experiment>(['experiments', 'list'], '/experiments'),
  experiment: (id: string) => read<t.Experiment>(['experiments', id], `/experiments/${seg(id)}`),
  runs: (body: { experiment_ids?: string[]; filter?: string; order_by?: string[]; page_size: number; page_token?: string }) =>
    queryOptions({ queryKey: ['runs', 'search', body], queryFn: ({ signal }) => http.post<t.RunSearch>(`${api}/runs/search`, { body, signal }), placeholderData: keepPreviousData }),
  views: (experiment: string) => read<t.List<t.SavedView>>(['experiments', experiment, 'views'], `/experiments/${seg(experiment)}/views`),
  /** In the order that the server makes, for there may be as many as runs. */
  loggedModels: (experiment: string, order: readonly string[] = []) => infiniteQueryOptions({
    queryKey: ['experiments', experiment, 'models', order], initialPageParam: '', getNextPageParam: (last: t.List<t.LoggedModel>) => last.next_page_token || undefined, placeholderData: keepPreviousData,
    queryFn: ({ pageParam, signal }) => http.post<t.List<t.LoggedModel>>(`${api}/logged-models/search`, { body: { experiment_ids: [experiment], order_by: order, page_size: 200, ...(pageParam ? { page_token: pageParam } : {}) }, signal }),
  }),
  preview: (content: string, path: string, rows: number) => ({ ...read<t.FilePreview>(['preview', content, path], content.replace(/^\/api\/v1/, ''), { path, rows }), staleTime: 60_000, retry: false }),
  run: (id: string) => read<t.Run>(['runs', id], `/runs/${seg(id)}`),
  metric: (run: string, key: string, live: boolean) => queryOptions({
    queryKey: ['runs', run, 'metric', key], queryFn: () => loadHistory(run, key), ...(live ? { refetchInterval: 3_000 } : { staleTime: 60_000 }),
  }),
  /** Runs by their ids, whatever experiments they are of; one that is gone is missing from the answer. */
  runsById: (ids: readonly string[], live = false) => queryOptions({
    queryKey: ['runs', 'by-id', ids], enabled: ids.length > 0, select: withNumbers, placeholderData: keepPreviousData, refetchInterval: live ? 3_000 : false,
    queryFn: ({ signal }) => http.post<t.RunSearch>(`${api}/runs/search`, { signal, body: { experiment_ids: [], filter: `attributes.run_id IN (${ids.map((id) => `'${id.replaceAll("'", '')}'`).join(', ')})`, page_size: Math.max(1, ids.length) } }),
  }),
  /** The newest runs of an experiment, and how many it has. */
  newestRuns: (experiment: string, most: number) => queryOptions({
    queryKey: ['runs', 'newest', experiment, most], select: withNumbers, placeholderData: keepPreviousData, staleTime: 30_000,
    queryFn: ({ signal }) => http.post<t.RunSearch>(`${api}/runs/search`, { signal, body: { experiment_ids: [experiment], order_by: ['attributes.start_time DESC'], page_size: most, count_total: true } }),
  }),
  /** One metric of many runs (at most 200), each thinned by the server with its extremes kept; `span` asks for the points between two steps alone. */
  histories: (runs: readonly string[], key: string, maxPoints: number, live: boolean, span?: readonly [number, number]) => queryOptions({
    queryKey: ['runs', 'histories', key, maxPoints, runs, span], placeholderData: keepPreviousData, enabled: runs.length > 0, ...(live ? { refetchInterval: 3_000 } : { staleTime: 60_000 }),
    queryFn: ({ signal }) => http.post<{ series: t.MetricSeries[] }>(`${api}/metric-histories`, { signal, body: { runs, keys: [key], max_points: maxPoints, ...(span ? { start_step: Math.floor(span[0]), end_step: Math.ceil(span[1]) } : {}) } }),
  }),
  runFiles: (run: string, path: string) => read<t.List<t.FileInfo>>(['runs', run, 'files', path], `/runs/${seg(run)}/files`, { path }),

  models: () => readAll<t.Model>(['models', 'list'], '/models'),
  prompts: () => readAll<t.Model>(['models', 'prompts'], '/models', { kind: 'prompt' }),
  model: (name: string) => read<t.Model>(['models', name], `/models/${seg(name)}`),
  versions: (name: string) => read<t.List<t.Version>>(['models', name, 'versions'], `/models/${seg(name)}/versions`, { page_size: 200 }),
  version: (name: string, version: string) => read<t.Version>(['models', name, 'versions', version], `/models/${seg(name)}/versions/${seg(version)}`),
  versionFiles: (name: string, version: string, path: string) => read<t.List<t.FileInfo>>(['models', name, 'files', version, path], `/models/${seg(name)}/versions/${seg(version)}/files`, { path }),
  modelHistory: (name: string) => read<t.List<t.ModelEvent>>(['models', name, 'history'], `/models/${seg(name)}/history`),
  gates: (model: string, version?: string) => read<t.List<t.GateResult>>(['gates', model], '/gates/results', { model, version }),
  gate: (id: string) => read<t.GateResult>(['gates', 'one', id], `/gates/results/${seg(id)}`),

  datasets: () => read<t.List<t.Dataset>>(['datasets', 'list'], '/datasets', { page_size: 200 }),
  dataset: (name: string) => read<t.Dataset>(['datasets', name], `/datasets/${seg(name)}`),
  datasetVersions: (name: string) => read<t.List<t.DatasetVersion>>(['datasets', name, 'versions'], `/datasets/${seg(name)}/versions`, { page_size: 200 }),
  datasetVersion: (name: string, version: string) => read<t.DatasetVersion>(['datasets', name, 'versions', version], `/datasets/${seg(name)}/versions/${seg(version)}`),
  datasetRows: (name: string, version: string) => read<t.List<Record<string, unknown>>>(['datasets', name, 'rows', version], `/datasets/${seg(name)}/versions/${seg(version)}/rows`, { limit: 50 }),

  endpoints: () => ({ ...read<t.List<t.Endpoint>>(['endpoints', 'list'], '/endpoints'), refetchInterval: 15_000 }),
  endpoint: (name: string) => read<t.Endpoint>(['endpoints', name], `/endpoints/${seg(name)}`),
  endpointStats: (name: string, query: Query, every: number | false) => ({
    ...read<t.EndpointStats>(['stats', name], `/endpoints/${seg(name)}/stats`, query), refetchInterval: every, placeholderData: keepPreviousData,
  }),
  endpointHistory: (name: string) => read<t.List<t.RouteChange>>(['endpoints', name, 'history'], `/endpoints/${seg(name)}/history`),
  predictions: (name: string, query: Query) => ({ ...read<t.List<t.Prediction>>(['predictions', name], `/endpoints/${seg(name)}/predictions`, query), placeholderData: keepPreviousData }),
  prediction: (id: string) => read<t.Prediction>(['predictions', 'one', id], `/predictions/${seg(id)}`),
  predictionLineage: (id: string) => read<t.PredictionLineage>(['predictions', 'lineage', id], `/predictions/${seg(id)}/lineage`),

  monitors: () => read<t.List<t.Monitor>>(['monitors', 'list'], '/monitors'),
  monitor: (name: string) => read<t.Monitor>(['monitors', name], `/monitors/${seg(name)}`),
  windows: (name: string, limit: number) => ({ ...read<t.List<t.WindowSummary>>(['monitors', name, 'windows'], `/monitors/${seg(name)}/windows`, { limit }), placeholderData: keepPreviousData }),
  window: (name: string, id: string) => ({ ...read<t.MonitorWindow>(['monitors', name, 'windows', id], `/monitors/${seg(name)}/windows/${seg(id)}`), placeholderData: keepPreviousData }),
  feature: (name: string, feature: string, windows: number) => read<t.FeatureHistory>(['monitors', name, 'feature', feature], `/monitors/${seg(name)}/features/${seg(feature)}`, { windows }),

  alerts: (state?: string) => read<t.List<t.Alert>>(['alerts', 'list'], '/alerts', { state, page_size: 200 }),
  alert: (id: string) => read<t.Alert>(['alerts', id], `/alerts/${seg(id)}`),
  webhooks: () => read<t.List<t.Webhook>>(['webhooks'], '/webhooks'),
  deliveries: (id: string) => read<t.List<t.Delivery>>(['webhooks', id], `/webhooks/${seg(id)}/deliveries`),

  pipelines: () => read<t.List<t.Pipeline>>(['pipelines', 'list'], '/pipelines'),
  pipeline: (name: string) => read<t.Pipeline>(['pipelines', name], `/pipelines/${seg(name)}`),
  pipelineRuns: (name: string) => read<t.List<t.PipelineRun>>(['pipelines', name, 'runs'], `/pipelines/${seg(name)}/runs`, { page_size: 100 }),
  pipelineRun: (id: string) => read<t.PipelineRun>(['pipeline-runs', id], `/pipeline-runs/${seg(id)}`),

  policy: (endpoint: string) => read<t.Policy>(['policies', endpoint], `/lifecycle/policies/${seg(endpoint)}`),
  rollouts: (endpoint?: string) => read<t.List<t.Rollout>>(['rollouts', 'list'], '/rollouts', { endpoint }),
  rollout: (id: string) => read<t.Rollout>(['rollouts', id], `/rollouts/${seg(id)}`),
  retrainings: (endpoint?: string) => read<t.List<t.Retraining>>(['retrainings', 'list'], '/retrainings', { endpoint }),
  lineage: (node: string, depth: number) => ({ ...read<t.Lineage>(['lineage'], '/lineage', { node, depth }), placeholderData: keepPreviousData }),
}
