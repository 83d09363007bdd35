// Where the rows of a runs table come from: pages by position, read as they come into view, whatever the number of runs.
import { keepPreviousData, queryOptions, useQueries, type QueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { ApiError, http } from '@/lib/api/http'
import type { Run, RunGroup, RunKeys, RunSearch } from '@/lib/api/types'
import { exported, parseColumn, reference, wanted } from './columns'

export interface RunsQuery {
  experiment: string
  filter: string
  /** "m:val_mae", downwards when `desc`; the newest first without. */
  order: { id: string; desc: boolean } | undefined
  /** Column ids; undefined reads all that was logged. */
  columns: readonly string[] | undefined
}

export const pageSize = 100
const mostPerPage = 1000
/** More than these are not chosen by hand; a file with named runs holds as many. */
export const mostSelected = 10_000
const mostVaried = 500
/** The server tags so many runs at once, all or none. */
export const mostTagged = 1000

/** The body of a search, as the server takes it. */
export function searchBody(query: RunsQuery, extra: readonly string[] = []): Record<string, unknown> {
  const order = query.order && reference(query.order.id)
  const columns = query.columns && [...new Set([...query.columns, ...extra].flatMap((id) => wanted(id) ?? []))]
  return {
    experiment_ids: [query.experiment], filter: query.filter, order_by: order ? [`${order} ${query.order?.desc ? 'DESC' : 'ASC'}`] : ['attributes.start_time DESC'],
    // An empty list means everything, so a table without values of its own asks for one small attribute.
    ...(columns ? { columns: columns.length > 0 ? columns : ['attributes.run_name'] } : {}),
  }
}

const post = <T>(path: string, body: unknown, signal?: AbortSignal) => http.post<T>(`/api/v1${path}`, { body, ...(signal ? { signal } : {}) })

function page(body: Record<string, unknown>, index: number) {
  return queryOptions({
    queryKey: ['runs', 'table', body, index], gcTime: 60_000,
    queryFn: async ({ signal }) => {
      const begun = performance.now()
      const answer = await post<RunSearch>('/runs/search', { ...body, page_size: pageSize, offset: index * pageSize, count_total: true }, signal)
      return { ...answer, took: performance.now() - begun }
    },
    refetchInterval: (query: { state: { data?: RunSearch | undefined } }) => (query.state.data?.items.some((r) => r.status === 'RUNNING') ? 2_000 : false),
  })
}

export interface Rows {
  total: number
  at: (index: number) => Run | undefined
  /** The rows that are here, in order; for what is computed of "the runs at hand". */
  here: readonly Run[]
  first: RunSearch | undefined
  /** What is shown answers an older question. */
  stale: boolean
  pending: boolean
  error: unknown
  retry: () => void
  /** How long the server took for the first page, in milliseconds. */
  took: number | undefined
  see: (from: number, to: number) => void
  /** Tells one search from another. */
  question: string
}

interface Shown {
  body: string
  pages: ReadonlyMap<number, RunSearch & { took: number }>
  total: number
}

/** The rows of a search. `see` tells which of them are on the screen; those, and the first page, are read and kept up to date. */
export function useRuns(query: RunsQuery): Rows {
  const body = useMemo(() => searchBody(query), [query])
  const name = JSON.stringify(body)
  const [window, setWindow] = useState<readonly [number, number]>([0, 0])
  const wantedPages = useMemo(() => {
    const out = new Set([0])
    for (let i = window[0]; i <= window[1]; i++) out.add(i)
    return [...out]
  }, [window])
  const answers = useQueries({ queries: wantedPages.map((i) => page(body, i)) })
  const stamp = answers.map((a) => a.dataUpdatedAt).join()
  const last = useRef<Shown | undefined>(undefined)
  const shown = useMemo<Shown | undefined>(() => {
    const pages = new Map(wantedPages.flatMap((i, at) => (answers[at]?.data ? [[i, answers[at].data] as const] : [])))
    const first = pages.get(0)
    if (!first) return last.current
    return { body: name, pages, total: first.total ?? first.items.length }
    // The answers are told apart by when they came.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [stamp, wantedPages, name])
  useEffect(() => {
    last.current = shown
  })
  // Of the first time that the question was asked, not of the looks for what changed.
  const took = useRef<{ body: string; ms: number } | undefined>(undefined)
  const first = shown?.pages.get(0)
  if (shown && first && took.current?.body !== shown.body) took.current = { body: shown.body, ms: first.took }
  const see = useCallback((from: number, to: number) => {
    const next = [Math.floor(from / pageSize), Math.floor(to / pageSize)] as const
    setWindow((old) => (old[0] === next[0] && old[1] === next[1] ? old : next))
  }, [])
  const here = useMemo(() => [...(shown?.pages ?? [])].sort(([a], [b]) => a - b).flatMap(([, p]) => p.items), [shown])
  const failed = answers.find((a) => a.error)
  return {
    total: shown?.total ?? 0, here, first: shown?.pages.get(0), see, question: JSON.stringify([query.experiment, query.filter, query.order]),
    at: (i) => shown?.pages.get(Math.floor(i / pageSize))?.items[i % pageSize],
    stale: shown !== undefined && shown.body !== name, pending: shown === undefined && !failed, error: failed?.error,
    retry: () => { for (const a of answers) if (a.error) void a.refetch() },
    took: took.current?.ms,
  }
}

/** The ids of the first runs of a search, and how many it has. */
export async function firstIds(query: RunsQuery, most: number): Promise<{ ids: string[]; total: number }> {
  const body = { ...searchBody({ ...query, columns: [] }), page_size: Math.min(mostPerPage, most) }
  let answer = await post<RunSearch>('/runs/search', { ...body, count_total: true })
  const ids = answer.items.map((r) => r.id)
  const { total } = answer
  while (answer.next_page_token && ids.length < most) {
    answer = await post<RunSearch>('/runs/search', { ...body, page_token: answer.next_page_token })
    ids.push(...answer.items.map((r) => r.id))
  }
  return { ids: ids.slice(0, most), total: total ?? ids.length }
}

export const runQueries = {
  keys: (experiment: string) => queryOptions({ queryKey: ['runs', 'keys', experiment], staleTime: 15_000, queryFn: ({ signal }) => http.get<RunKeys>(`/api/v1/experiments/${encodeURIComponent(experiment)}/keys`, { signal }) }),
  /** The best run of a search by a metric whose direction is known. */
  best: (query: RunsQuery, metric: string, lower: boolean) => queryOptions({
    queryKey: ['runs', 'best', query.experiment, query.filter, metric, lower], staleTime: 15_000,
    queryFn: async ({ signal }) => {
      const column = `metrics.${/^\w+$/.test(metric) ? metric : `\`${metric}\``}`
      const answer = await post<RunSearch>('/runs/search', { experiment_ids: [query.experiment], filter: query.filter, order_by: [`${column} ${lower ? 'ASC' : 'DESC'}`], page_size: 1 }, signal)
      const run = answer.items[0]
      return run && Number.isFinite(run.metrics[metric] ?? NaN) ? run : null
    },
  }),
  /** The newest runs of a search that have a metric, with their metrics alone. */
  some: (query: RunsQuery, metric: string, most: number) => queryOptions({
    queryKey: ['runs', 'some', query.experiment, query.filter, metric, most], staleTime: 15_000, placeholderData: keepPreviousData,
    queryFn: ({ signal }) => post<RunSearch>('/runs/search', { experiment_ids: [query.experiment], filter: query.filter, page_size: most }, signal),
  }),
  /** Which of these columns differ among all runs of a search. */
  varied: (query: RunsQuery, columns: readonly string[]) => queryOptions({
    queryKey: ['runs', 'varied', query.experiment, query.filter, columns], staleTime: 5_000, placeholderData: keepPreviousData, enabled: columns.length > 0,
    queryFn: ({ signal }) => post<{ columns: string[]; runs: number }>('/runs/varied', { experiment_ids: [query.experiment], filter: query.filter, columns: columns.slice(0, mostVaried) }, signal),
  }),
  running: (experiment: string) => queryOptions({
    queryKey: ['runs', 'running', experiment],
    queryFn: async ({ signal }) => (await post<RunSearch>('/runs/search', { experiment_ids: [experiment], filter: "attributes.status = 'RUNNING'", page_size: 1, count_total: true }, signal)).total ?? 0,
  }),
  groups: (query: RunsQuery, by: readonly string[], metrics: readonly string[]) => queryOptions({
    queryKey: ['runs', 'groups', query.experiment, query.filter, by, metrics],
    queryFn: ({ signal }) => post<{ items: RunGroup[] }>('/runs/groups', { experiment_ids: [query.experiment], filter: query.filter, by: by.flatMap((id) => groupReference(id) ?? []), metrics }, signal),
  }),
}

/** "p:depth" as the server groups by it. */
export function groupReference(id: string): string | undefined {
  const c = parseColumn(id)
  return c?.kind === 'param' || c?.kind === 'tag' ? reference(id) : undefined
}

/** The server changes so many runs in one transaction, all or none. */
const mostEdited = 1000

/**
 * A change of any number of runs, all or none, and which ones it changed: more than the server takes at once go in several calls, and when
 * one is refused those before it are taken back.
 */
export async function inParts(ids: readonly string[], change: (part: readonly string[]) => Promise<readonly string[]>, back: (part: readonly string[]) => Promise<unknown>): Promise<string[]> {
  const changed: string[] = []
  for (let i = 0; i < ids.length; i += mostEdited) {
    try {
      changed.push(...await change(ids.slice(i, i + mostEdited)))
    } catch (error) {
      for (let k = 0; k < changed.length; k += mostEdited) await back(changed.slice(k, k + mostEdited))
      throw error
    }
  }
  return changed
}

const turn = (path: string) => async (ids: readonly string[]) => (await post<{ run_ids: string[] }>(path, { run_ids: ids })).run_ids
const [remove, restore] = [turn('/runs/delete'), turn('/runs/restore')]
const place = (experiment: string) => async (ids: readonly string[]) => (await post<{ items: { run_id: string }[] }>('/runs/move', { run_ids: ids, experiment_id: experiment })).items.map((r) => r.run_id)

export const bulk = {
  remove: (ids: readonly string[]) => inParts(ids, remove, restore),
  restore: (ids: readonly string[]) => inParts(ids, restore, remove),
  move: (ids: readonly string[], to: string, from: string) => inParts(ids, place(to), place(from)),
  // One request, so that all are tagged or none.
  tag: (ids: readonly string[], key: string, value: string) => post('/runs/tags', { run_ids: ids, set: { [key]: value } }),
  untag: (ids: readonly string[], key: string) => post('/runs/tags', { run_ids: ids, remove: [key] }),
}

/** A file with all runs of a search, or with those that are named; the server writes it row by row. */
export async function exportRuns(what: { query: RunsQuery } | { runs: readonly string[] }, columns: readonly string[]): Promise<Blob> {
  const of = 'query' in what ? (({ experiment_ids, filter, order_by }) => ({ experiment_ids, filter, order_by }))(searchBody(what.query)) : { run_ids: what.runs }
  const response = await http.rawPost('/api/v1/runs/export', { body: { ...of, columns: [...new Set(['attributes.run_id', 'attributes.run_name', ...columns.flatMap((id) => exported(id) ?? [])])] } })
  return response.blob()
}

/** After a change by hand: the tables read again at once, without waiting for the event. */
export function renew(client: QueryClient): Promise<unknown> {
  return Promise.all([client.invalidateQueries({ queryKey: ['runs'] }), client.invalidateQueries({ queryKey: ['experiments'] })])
}

/** The words of a filter that the server refused; undefined for every other failure. */
export function refusal(error: unknown): ApiError | undefined {
  return error instanceof ApiError && error.status === 400 ? error : undefined
}
