import { useQueries } from '@tanstack/react-query'
import { ChevronRight } from 'lucide-react'
import { useMemo, useState, type ReactNode } from 'react'
import { q } from '@/lib/api/queries'
import type { Run } from '@/lib/api/types'
import { useBetter } from '@/lib/better'
import { num, plural } from '@/lib/format'
import { rank } from '@/lib/search'
import { Empty } from '@/ui/Empty'
import { FilterBox } from '@/ui/FilterBox'
import { orderedMetrics } from './columns'
import { MetricChart, runColors, type CurveView } from './MetricChart'
import { byPrefix } from './reproduce'

const atFirst = 12
const further = 24

/** Every metric of a run, grouped by prefix: curves as charts, single values as a table. */
export function RunCharts({ run: r, view, main, find, onFind }: { run: Run; view: CurveView; main: string | undefined; find: string; onFind: (find: string) => void }): ReactNode {
  const better = useBetter()
  const keys = useMemo(() => rank(find, orderedMetrics(Object.keys(r.metrics), main, better), (k) => k, (k) => k), [r.metrics, main, find, better])
  const groups = useMemo(() => byPrefix(keys), [keys])
  if (Object.keys(r.metrics).length === 0) return <section className="panel"><Empty title="No metrics" command='mlflow.log_metric("val_mae", 38.2, step=10)'>This run logged none{r.status === 'RUNNING' ? ' yet; they appear here as they come' : ''}.</Empty></section>
  return (
    <>
      {Object.keys(r.metrics).length > 6 && <div className="flex mb-3"><FilterBox value={find} placeholder="Find a metric" onChange={onFind} /></div>}
      <div className="grid gap-4">{groups.map((g) => <Group key={g.name} name={g.name} keys={g.keys} alone={groups.length === 1} run={r} view={g.name === 'system' ? { ...view, axis: 'time' } : view} />)}</div>
      {keys.length === 0 && <p className="text-3">No metric is called “{find}”.</p>}
    </>
  )
}

function Group({ name, keys, alone, run: r, view }: { name: string; keys: readonly string[]; alone: boolean; run: Run; view: CurveView }) {
  const [open, setOpen] = useState(true)
  const title = name === '' ? 'Metrics' : name === 'system' ? 'System metrics' : name
  if (alone && name !== 'system') return <Charts keys={keys} run={r} view={view} large />
  return (
    <section aria-label={title}>
      <button type="button" className="flex items-center gap-1.5 h-7 mb-1.5 font-semibold" aria-expanded={open} onClick={() => setOpen(!open)}><ChevronRight size={14} style={{ rotate: open ? '90deg' : '0deg' }} />{title}<span className="text-3 font-normal text-sm">{keys.length}</span></button>
      {open && <Charts keys={keys} run={r} view={view} />}
    </section>
  )
}

/** A metric that has one point is a figure and no curve. */
function Charts({ keys, run: r, view, large }: { keys: readonly string[]; run: Run; view: CurveView; large?: boolean }) {
  const [most, setMost] = useState(atFirst)
  const asked = keys.slice(0, most)
  const histories = useQueries({ queries: asked.map((k) => q.metric(r.id, k, r.status === 'RUNNING')) })
  const stamp = histories.map((h) => h.data?.points.length ?? -1).join()
  const [curves, figures] = useMemo(() => {
    const single = new Set(asked.filter((_, i) => histories[i]?.data && histories[i].data.points.length < 2))
    return [asked.filter((k) => !single.has(k)), asked.filter((k) => single.has(k))]
    // The answers are told apart by how many points they have.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [stamp, asked.join('\n')])
  const colors = useMemo(() => runColors([r.id]), [r.id])
  const runs = useMemo(() => [r], [r])
  return (
    <>
      {curves.length > 0 && (
        <div className={`grid gap-3.5 ${large && curves.length === 1 ? '' : curves.length < 5 && curves.length !== 3 ? 'sheet:grid-cols-2' : 'cols:grid-cols-3 sheet:grid-cols-2'}`}>
          {curves.map((k) => <section key={k} className="panel px-3.5 py-2"><MetricChart metric={k} runs={runs} colors={colors} view={view} height={large && curves.length === 1 ? 260 : large && curves.length < 5 ? 180 : 140} sync={`run-${r.id}`} right={<b className="text-1 text-sm">{num(r.metrics[k])}</b>} /></section>)}
        </div>
      )}
      {figures.length > 0 && (
        <section className={`panel ${curves.length > 0 ? 'mt-3.5' : ''}`} aria-label="Metrics with one value">
          <dl className="grid gap-x-6 px-3.5 py-2" style={{ gridTemplateColumns: 'repeat(auto-fill, minmax(200px, 1fr))' }}>{figures.map((k) => <div key={k} className="flex items-baseline gap-3 py-1 border-b border-grid last:border-0 min-w-0"><dt className="text-2 clip flex-1" title={k}>{k}</dt><dd className="strong" title={String(r.metrics[k])}>{num(r.metrics[k])}</dd></div>)}</dl>
        </section>
      )}
      {keys.length > most && <button type="button" className="btn mt-3.5" onClick={() => setMost(most + further)}>Show {Math.min(further, keys.length - most)} more of {plural(keys.length - most, 'metric')}</button>}
    </>
  )
}
