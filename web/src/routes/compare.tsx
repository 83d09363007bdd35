import { useQueries } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Link2 } from 'lucide-react'
import { useMemo, type ReactNode } from 'react'
import { CurveControls, MetricChart, runColors, type CurveView } from '@/features/run/MetricChart'
import { q } from '@/lib/api/queries'
import type { Run } from '@/lib/api/types'
import { decimals, duration, fixed, millis, plural, signed, num } from '@/lib/format'
import { datasetOf, href } from '@/lib/href'
import { best, lowerIsBetter, mainMetric } from '@/lib/metrics'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { Page } from '@/ui/Page'
import { Panel } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { toast } from '@/ui/toasts'

const route = getRouteApi('/compare')
const most = 20
const charts = 6

export function Compare(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const ids = useMemo(() => (search.runs ?? []).slice(0, most), [search.runs])
  const queries = useQueries({ queries: ids.map((id) => q.run(id)) })
  const runs = queries.flatMap((r) => (r.data ? [r.data] : []))
  const failed = queries.find((r) => r.error)
  const colors = useMemo(() => runColors(ids), [ids])
  const crumbs = [{ label: 'Experiments', to: '/experiments' as const }, ...(runs[0] && runs.every((r) => r.experiment_id === runs[0]!.experiment_id) ? [{ label: runs[0].experiment_id, to: '/experiments/$id' as const, params: { id: runs[0].experiment_id }, search: { runs: ids } }] : [])]
  if (ids.length === 0) return <Page crumbs={crumbs} title="Compare runs"><section className="panel"><Empty title="No run chosen" link={<Go className="link" to={href.experiments}>Choose an experiment</Go>}>Select runs in an experiment with X and press C.</Empty></section></Page>
  const keys = [...new Set(runs.flatMap((r) => Object.keys(r.metrics)))].filter((k) => !k.startsWith('system/'))
  const main = mainMetric(keys)
  const shown = main ? [main, ...keys.filter((k) => k !== main)].slice(0, charts) : []
  const view: CurveView = { smooth: search.smooth ?? 0, byTime: search.x === 'time', log: search.log ?? false }
  return (
    <Page crumbs={crumbs} title={`Compare ${plural(ids.length, 'run')}`} verdict={runs.length > 1 ? <Verdict runs={runs} keys={keys} main={main} /> : undefined}
      actions={<button type="button" className="btn ghost" onClick={() => void navigator.clipboard.writeText(location.href).then(() => toast({ kind: 'ok', text: 'Link copied; it opens exactly this view' }))}><Link2 size={14} />Copy link</button>}>
      {failed && <div className="mb-3.5"><ErrorPanel error={failed.error} title="One of the runs can't be read" onRetry={() => void failed.refetch()} /></div>}
      {runs.length === 0 && !failed ? <Skeleton rows={6} /> : (
        <div className="flex flex-col gap-3.5">
          <div className="flex flex-wrap items-center gap-3">
            <div className="legend">{runs.map((r) => <span key={r.id}><i className="sw" style={{ background: colors.get(r.id) }} /><Go to={href.run(r.id)} className="hover:underline">{r.name}</Go></span>)}</div>
            <span className="ml-auto"><CurveControls view={view} onChange={(v) => set({ smooth: v.smooth || undefined, x: v.byTime ? 'time' : undefined, log: v.log || undefined })} /></span>
          </div>
          <div className="grid gap-3.5 cols:grid-cols-3 sheet:grid-cols-2">{shown.map((k) => <section key={k} className="panel px-3.5 py-2"><MetricChart metric={k} runs={runs} colors={colors} view={view} height={164} sync="compare" /></section>)}</div>
          <Differences runs={runs} colors={colors} keys={keys} all={search.all ?? false} onAll={(all) => set({ all: all || undefined })} />
        </div>
      )}
    </Page>
  )
}

function Verdict({ runs, keys, main }: { runs: readonly Run[]; keys: readonly string[]; main: string | undefined }) {
  const judged = keys.filter((k) => lowerIsBetter(k) !== undefined && runs.filter((r) => typeof r.metrics[k] === 'number').length > 1)
  const top = main ? best(runs, main) : undefined
  if (keys.length === 0) return <>These runs logged no metric; what differs between them is below.</>
  if (!main || !top) return <>The names of these metrics do not say which direction is better, so no run is called the best.</>
  const wins = judged.filter((k) => best(runs, k)?.id === top.id).length
  const values = runs.filter((r) => r.id !== top.id).map((r) => r.metrics[main]).filter((v): v is number => typeof v === 'number')
  const second = values.length > 0 ? (lowerIsBetter(main) ? Math.min(...values) : Math.max(...values)) : undefined
  const value = top.metrics[main]!
  return <><b>{top.name}</b> is best on {wins} of {plural(judged.length, 'metric')}: {main} {num(value)}{second !== undefined && <>, <b>{signed(value - second)}</b> to the next</>}.</>
}

interface Row {
  key: string
  kind: 'param' | 'metric' | 'other'
  cells: string[]
  differs: boolean
  best: number
}

function Differences({ runs, colors, keys, all, onAll }: { runs: readonly Run[]; colors: ReadonlyMap<string, string>; keys: readonly string[]; all: boolean; onAll: (all: boolean) => void }) {
  const params = [...new Set(runs.flatMap((r) => Object.keys(r.params)))].sort()
  const differs = (cells: readonly string[]) => new Set(cells).size > 1
  const rows: Row[] = [
    ...params.map((key): Row => { const cells = runs.map((r) => r.params[key] ?? ''); return { key, kind: 'param', cells, differs: differs(cells), best: -1 } }),
    ...[['Data', (r: Run) => (r.inputs ?? []).map((i) => { const d = datasetOf(i.source); return d ? `${d.name} v${d.version}` : i.name }).join(', ')], ['Commit', (r: Run) => (r.tags['mlflow.source.git.commit'] ?? '').slice(0, 7)], ['Took', (r: Run) => (r.end_time ? duration(millis(r.end_time) - millis(r.start_time)) : '')]].map(([key, f]): Row => { const cells = runs.map(f as (r: Run) => string); return { key: key as string, kind: 'other', cells, differs: differs(cells), best: -1 } }),
    ...keys.map((key): Row => {
      const digits = decimals(runs.map((r) => r.metrics[key] ?? null))
      const winner = best(runs, key)
      return { key, kind: 'metric', cells: runs.map((r) => fixed(r.metrics[key], digits)), differs: true, best: runs.findIndex((r) => r.id === winner?.id) }
    }),
  ]
  const shown = rows.filter((r) => all || r.differs)
  const count = rows.filter((r) => r.kind === 'param' && r.differs).length
  return (
    <Panel bare title="Differences" note={`${count} of ${plural(params.length, 'parameter')} differ`} right={<Segmented small label="Rows" value={all ? 'all' : 'diff'} onChange={(v) => onAll(v === 'all')} options={[{ value: 'diff', label: 'Only differences' }, { value: 'all', label: 'All' }]} />}>
      <div className="overflow-x-auto">
        <table className="tbl dense" aria-label="Differences">
          <thead><tr><th style={{ width: 190 }} />{runs.map((r) => <th key={r.id} className="num"><span className="inline-flex items-center gap-1.5"><i className="sw" style={{ background: colors.get(r.id) }} />{r.name}</span></th>)}</tr></thead>
          <tbody>
            {shown.map((row) => {
              const reference = row.cells.at(-1)
              return <tr key={row.kind + row.key}><td className={`text-2 ${row.kind === 'param' ? 'mono' : ''}`}>{row.key}</td>{row.cells.map((c, i) => <td key={i} className={`num ${row.kind === 'param' ? 'mono' : ''}`}>{row.kind !== 'metric' && row.differs && c !== reference ? <span className="bg-accent-soft rounded-tag px-1.5 -mr-1.5">{c || 'not set'}</span> : i === row.best ? <b className="text-ok font-semibold" title="best">{c}</b> : c}</td>)}</tr>
            })}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}
