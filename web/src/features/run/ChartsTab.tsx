import { useQuery } from '@tanstack/react-query'
import { useMemo, useState, type ReactNode } from 'react'
import { epochKey } from '@/charts/curve'
import type { Experiment } from '@/lib/api/types'
import { plural } from '@/lib/format'
import { href } from '@/lib/href'
import { useBetter } from '@/lib/better'
import { mainMetric } from '@/lib/metrics'
import { rank } from '@/lib/search'
import { parseSort } from '@/lib/url'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorPanel } from '@/ui/ErrorBox'
import { FilterBox } from '@/ui/FilterBox'
import { Go } from '@/ui/Go'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import { useQueries } from '@tanstack/react-query'
import { orderedMetrics } from './columns'
import { CurveControls, curveSearch, curveView, MetricChart, runColors } from './MetricChart'
import type { RunsSearch } from './RunsTab'
import { runQueries, useRuns, type RunsQuery } from './source'

const mostRuns = 8

/** Every metric of the chosen runs, or of the first ones of the table, side by side. */
export function ChartsTab({ experiment: e, search, set }: { experiment: Experiment; search: RunsSearch & { find?: string | undefined }; set: (change: Partial<RunsSearch & { find?: string | undefined }>) => void }): ReactNode {
  const query = useMemo<RunsQuery>(() => ({ experiment: e.id, filter: search.filter ?? '', order: parseSort(search.sort), columns: undefined }), [e.id, search.filter, search.sort])
  const rows = useRuns(query)
  const keys = useQuery(runQueries.keys(e.id)).data
  const chosen = (search.runs ?? []).slice(0, mostRuns)
  const named = useQueries({ queries: chosen.map((id) => q.run(id)) })
  const stamp = named.map((n) => n.dataUpdatedAt).join()
  const runs = useMemo(() => (chosen.length > 0 ? named.flatMap((n) => n.data ?? []) : rows.here.filter((r) => Object.keys(r.metrics).length > 0).slice(0, mostRuns)),
    // The answers are told apart by when they came.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [stamp, chosen.join(), rows.here])
  const ids = runs.map((r) => r.id).join()
  const colors = useMemo(() => runColors(ids.split(',')), [ids])
  const [most, setMost] = useState(12)
  const better = useBetter()
  const all = useMemo(() => { const of = [...new Set(runs.flatMap((r) => Object.keys(r.metrics)))]; return orderedMetrics(of, mainMetric(keys?.metrics ?? of, better), better) }, [runs, keys, better])
  const found = useMemo(() => rank(search.find ?? '', all, (k) => k, (k) => k), [search.find, all])
  const view = curveView(search)
  if (rows.error && runs.length === 0) return <ErrorPanel error={rows.error} title="Can't read the runs" onRetry={rows.retry} />
  if (rows.pending) return <Skeleton rows={6} />
  if (all.length === 0) return <section className="panel"><Empty title="No metric to draw" command={cli.mlflow()}>Runs that log metrics are drawn here, one chart a metric.</Empty></section>
  return (
    <>
      <div className="flex flex-wrap items-center gap-3 mb-3">
        <div className="legend">{runs.map((r) => <span key={r.id}><i className="sw" style={{ background: colors.get(r.id) }} /><Go to={href.run(r.id)} className="inline-flex items-center min-h-6 hover:underline">{r.name}</Go></span>)}</div>
        <span className="text-3 text-sm">{chosen.length > 0 ? `${plural(runs.length, 'chosen run')}` : `the first ${runs.length} of ${plural(rows.total, 'run')}; select others in the table`}</span>
        <span className="ml-auto"><CurveControls view={view} epochs={runs.some((r) => epochKey(r.metrics))} onChange={(v) => set(curveSearch(v))} /></span>
      </div>
      {all.length > 6 && <div className="flex mb-3"><FilterBox value={search.find ?? ''} placeholder="Find a metric" onChange={(find) => set({ find: find || undefined })} /></div>}
      <div className="grid gap-3.5 cols:grid-cols-3 sheet:grid-cols-2">{found.slice(0, most).map((k) => <section key={k} className="panel px-3.5 py-2"><MetricChart metric={k} runs={runs} colors={colors} view={view} height={172} sync={`experiment-${e.id}`} /></section>)}</div>
      {found.length > most && <button type="button" className="btn mt-3.5" onClick={() => setMost(most + 24)}>Show {Math.min(24, found.length - most)} more of {found.length - most}</button>}
      {found.length === 0 && <p className="text-3">No metric is called “{search.find}”.</p>}
    </>
  )
}
