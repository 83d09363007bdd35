// What the pages of traces read, and what it looks like.
import { queryOptions } from '@tanstack/react-query'
import { http } from '@/lib/api/http'
import { mostIds, trash } from '@/lib/api/trash'
import type { List } from '@/lib/api/types'

export type TraceState = 'OK' | 'ERROR' | 'IN_PROGRESS' | 'STATE_UNSPECIFIED'

export interface Assessment {
  id: string
  name: string
  kind: 'feedback' | 'expectation' | 'issue'
  value: unknown
  error?: { error_code?: string; error_message?: string }
  source_type: string
  source_id: string
  span_id?: string
  rationale?: string
  metadata?: Record<string, string>
  created_at: string
  overrides?: string
  valid: boolean
}

export interface Trace {
  id: string
  experiment_id: string
  name: string
  state: TraceState
  start_time: string
  duration_ms?: number
  request_preview: string
  response_preview: string
  client_request_id?: string
  run_id?: string
  session_id?: string
  user?: string
  tokens?: { input_tokens: number; output_tokens: number; total_tokens: number }
  cost_usd?: number
  span_count: number
  tags: Record<string, string>
  metadata: Record<string, string>
  assessments: Assessment[]
}

export interface Attribute {
  key: string
  value: unknown
}

export interface Span {
  id: string
  parent_id?: string
  name: string
  type: string
  status: 'UNSET' | 'OK' | 'ERROR'
  message?: string
  offset_ms: number
  duration_ms?: number
  inputs?: unknown
  outputs?: unknown
  attributes: Attribute[]
  events: { name: string; offset_ms: number; attributes: Attribute[] }[]
  links?: { trace_id: string; span_id: string }[]
}

export interface TraceDetail extends Trace {
  spans: Span[]
  runs: string[]
  prompts: string[]
}

export interface TraceQuery {
  experiment_ids: string[]
  filter: string
  state?: string
  order_by: string[]
  page_size: number
}

export const searchTraces = (body: TraceQuery, token: string, signal: AbortSignal) => http.post<List<Trace>>('/api/v1/traces/search', { signal, body: { ...body, page_token: token } })

export const traceQuery = (id: string) => queryOptions({
  queryKey: ['traces', id], queryFn: ({ signal }) => http.get<TraceDetail>(`/api/v1/traces/${encodeURIComponent(id)}`, { signal }),
  refetchInterval: (query) => (query.state.data?.state === 'IN_PROGRESS' ? 2_000 : false),
})

/** MLflow's words for the states of a trace. */
export function stateOf(state: TraceState): { kind: 'ok' | 'bad' | 'info' | 'idle'; word: string } {
  switch (state) {
    case 'OK': return { kind: 'ok', word: 'OK' }
    case 'ERROR': return { kind: 'bad', word: 'Error' }
    case 'IN_PROGRESS': return { kind: 'info', word: 'Running' }
    default: return { kind: 'idle', word: 'No state' }
  }
}

/** The three lines that log a trace. */
export const threeLines = (experiment: string) => `import mlflow; mlflow.set_tracking_uri("${new URL(document.baseURI).href.replace(/\/$/, '')}")
mlflow.set_experiment(experiment_id="${experiment}")
mlflow.openai.autolog()  # or put @mlflow.trace before a function`

/** A preview as people read it: of a text the text, of inputs or outputs with one text in them that text, else "name: value". */
export function plain(preview: string): string {
  if (!/^(\{"[^"]{1,60}":|")/.test(preview)) return preview
  try {
    const value: unknown = JSON.parse(preview)
    if (typeof value === 'string') return value
    const parts = Object.entries(value as Record<string, unknown>)
    const flat = (v: unknown) => (typeof v === 'string' ? v : JSON.stringify(v))
    return parts.length === 1 && typeof parts[0]![1] === 'string' ? parts[0]![1] : parts.map(([k, v]) => `${k}: ${flat(v)}`).join(', ')
  } catch {
    return preview
  }
}

/** An assessment's value as a short text. */
export function said(a: Assessment): string {
  if (a.error) return a.error.error_message || a.error.error_code || 'error'
  if (a.value === true) return 'yes'
  if (a.value === false) return 'no'
  return typeof a.value === 'string' ? a.value : JSON.stringify(a.value)
}

/** How traces of an experiment go to the trash and come back. */
export const discardTraces = (experiment: string, ids: readonly string[]) => ({
  remove: () => http.post('/api/v1/traces/delete', { body: { experiment_id: experiment, ids } }),
  restore: async () => { for (let i = 0; i < ids.length; i += mostIds) await trash.restore(ids.slice(i, i + mostIds).map((id) => `trace:${id}`)) },
})
