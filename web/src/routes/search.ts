// What each page keeps in its address. Every reader is total: a bad link opens the page in its usual state.
import { flag, list, oneOf, real, text, whole, type RawSearch } from '@/lib/url'

/**
 * What is not set stays as a key without a value: the router lays this over what the link carried, and a key
 * that is left out would let a bad value through. The address is written without them.
 */
function tidy<T extends object>(search: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return search as { [K in keyof T]?: Exclude<T[K], undefined> }
}

export const ranges = ['15m', '1h', '6h', '24h', '7d'] as const

export const experimentSearch = (raw: RawSearch) => tidy({
  tab: oneOf(raw, 'tab', ['charts', 'traces', 'models', 'notes']), filter: text(raw, 'filter'), sort: text(raw, 'sort'), cols: list(raw, 'cols'), pin: list(raw, 'pin'), group: list(raw, 'group'), diff: flag(raw, 'diff'), wide: list(raw, 'wide'),
  rows: oneOf(raw, 'rows', ['dense', 'roomy']), chart: oneOf(raw, 'chart', ['off']), view: text(raw, 'view'), metric: text(raw, 'metric'), smooth: real(raw, 'smooth', 0, 0.99), x: oneOf(raw, 'x', ['time', 'epoch']),
  log: flag(raw, 'log'), runs: list(raw, 'runs'), run: text(raw, 'run'), find: text(raw, 'find'),
  tfilter: text(raw, 'tfilter'), tsort: text(raw, 'tsort'), tstate: oneOf(raw, 'tstate', ['ok', 'error']),
})
export const traceSearch = (raw: RawSearch) => tidy({ span: text(raw, 'span'), part: oneOf(raw, 'part', ['assessments', 'details']) })
export const compareSearch = (raw: RawSearch) => tidy({
  runs: list(raw, 'runs'), smooth: real(raw, 'smooth', 0, 0.99), x: oneOf(raw, 'x', ['time', 'epoch']), group: text(raw, 'group'), log: flag(raw, 'log'), zoom: text(raw, 'zoom'), charts: list(raw, 'charts'), hide: list(raw, 'hide'),
  tab: oneOf(raw, 'tab', ['relations', 'files']), axes: list(raw, 'axes'), limits: list(raw, 'limits'), fit: flag(raw, 'fit'), alone: flag(raw, 'alone'),
  plot: oneOf(raw, 'plot', ['contour', 'box']), px: text(raw, 'px'), py: text(raw, 'py'), pz: text(raw, 'pz'), by: text(raw, 'by'),
  all: flag(raw, 'all'), turn: oneOf(raw, 'turn', ['rows', 'columns']), ref: text(raw, 'ref'), find: text(raw, 'find'), file: text(raw, 'file'), a: text(raw, 'a'), b: text(raw, 'b'),
})
export const runSearch = (raw: RawSearch) => tidy({ tab: oneOf(raw, 'tab', ['files', 'details', 'reproduce', 'children']), file: text(raw, 'file'), smooth: real(raw, 'smooth', 0, 0.99), x: oneOf(raw, 'x', ['time', 'epoch']), log: flag(raw, 'log'), find: text(raw, 'find') })
export const modelSearch = (raw: RawSearch) => tidy({ version: text(raw, 'version'), tab: oneOf(raw, 'tab', ['compare', 'files', 'activity']), base: text(raw, 'base'), all: flag(raw, 'all'), file: text(raw, 'file'), gate: text(raw, 'gate') })
export const promptsSearch = (raw: RawSearch) => tidy({ find: text(raw, 'find'), sort: text(raw, 'sort'), new: flag(raw, 'new') })
export const promptSearch = (raw: RawSearch) => tidy({ version: text(raw, 'version'), tab: oneOf(raw, 'tab', ['compare', 'activity', 'write']), base: text(raw, 'base'), look: oneOf(raw, 'look', ['lines']) })
export const datasetSearch = (raw: RawSearch) => tidy({ version: text(raw, 'version'), tab: oneOf(raw, 'tab', ['rows', 'contract']), column: text(raw, 'column') })
export const endpointSearch = (raw: RawSearch) => tidy({ tab: oneOf(raw, 'tab', ['versions', 'requests', 'history', 'try']), range: oneOf(raw, 'range', ranges), zoom: text(raw, 'zoom'), prediction: text(raw, 'prediction'), only: oneOf(raw, 'only', ['labelled', 'failed']), version: text(raw, 'version') })
export const monitorSearch = (raw: RawSearch) => tidy({ window: text(raw, 'window'), feature: text(raw, 'feature'), order: oneOf(raw, 'order', ['name']), windows: whole(raw, 'windows', 10, 500) })
export const pipelineRunSearch = (raw: RawSearch) => tidy({ step: text(raw, 'step') })
export const alertsSearch = (raw: RawSearch) => tidy({ state: oneOf(raw, 'state', ['resolved', 'all']), alert: text(raw, 'alert'), tab: oneOf(raw, 'tab', ['webhooks']) })
export const lineageSearch = (raw: RawSearch) => tidy({ node: text(raw, 'node'), depth: whole(raw, 'depth', 1, 10), at: text(raw, 'at') })
export const jobsSearch = (raw: RawSearch) => tidy({ state: text(raw, 'state'), job: text(raw, 'job') })
export const trashSearch = (raw: RawSearch) => tidy({ kind: text(raw, 'kind'), workspace: text(raw, 'workspace') })
export const auditSearch = (raw: RawSearch) => tidy({ type: text(raw, 'type'), kind: text(raw, 'kind'), id: text(raw, 'id'), event: text(raw, 'event') })
export const listSearch = (raw: RawSearch) => tidy({ find: text(raw, 'find'), sort: text(raw, 'sort') })
