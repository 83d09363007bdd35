import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useMemo, type ReactNode } from 'react'
import { BarChart } from '@/charts/BarChart'
import { smooth as ema } from '@/charts/maths'
import { q } from '@/lib/api/queries'
import type { Run } from '@/lib/api/types'
import { num } from '@/lib/format'
import { lowerIsBetter } from '@/lib/metrics'
import { Slider } from '@/ui/Controls'
import { ErrorBox } from '@/ui/ErrorBox'
import { Segmented } from '@/ui/Segmented'
import { onGrid, type Look } from './select'

const TimeSeries = lazy(() => import('@/charts/TimeSeries').then((m) => ({ default: m.TimeSeries })))

export interface CurveView {
  smooth: number
  byTime: boolean
  log: boolean
  zoom: [number, number] | undefined
}

/** Cells that the charts of a page may hold, over all runs of one of them. */
const cells = 40_000
const places = 1500

/** One metric of the runs over steps, or over seconds since each began. */
export function Curve({ metric, runs, looks, view, focus, height = 164, onZoom }: { metric: string; runs: readonly Run[]; looks: ReadonlyMap<string, Look>; view: CurveView; focus: string | undefined; height?: number; onZoom: (zoom: [number, number] | undefined) => void }) {
  const with_ = useMemo(() => runs.filter((r) => metric in r.metrics), [runs, metric])
  const points = Math.max(120, Math.min(1000, Math.floor(cells / Math.max(1, with_.length))))
  const ids = useMemo(() => with_.map((r) => r.id), [with_])
  // Zoomed in, the points of that stretch alone are asked for, so that its detail comes out.
  const query = useQuery(q.histories(ids, metric, points, with_.some((r) => r.status === 'RUNNING'), view.byTime ? undefined : view.zoom))
  const many = with_.length > 12
  const { x, series } = useMemo(() => {
    const found = new Map((query.data?.series ?? []).map((s) => [s.run_id, s]))
    const raw = with_.map((r) => {
      const list = found.get(r.id)?.points ?? []
      const begin = Date.parse(r.start_time)
      return { x: list.map((p) => (view.byTime ? (Date.parse(p.time) - begin) / 1000 : p.step)), y: list.map((p) => (typeof p.value === 'number' ? p.value : null)) }
    })
    const smoothed = raw.map((s) => ({ x: s.x, y: ema(s.y, view.smooth) }))
    // What was smoothed away stays behind the line, while the eye can still tell whose it is.
    const ghosts = view.smooth > 0 && with_.length <= 5 ? raw : []
    const { x, ys } = onGrid([...ghosts, ...smoothed], places)
    const line = (r: Run, k: number, quiet: boolean) => {
      const look = looks.get(r.id)
      return { id: quiet ? `${r.id}~` : r.id, label: r.name, color: look?.color ?? 'var(--c1)', values: ys[k] ?? [], span: true, quiet, dash: look?.dash === true && !quiet, width: quiet ? 1 : r.id === focus ? 2.2 : many ? 1 : 1.6, points: (ys[k] ?? []).filter((v) => v !== null).length === 1 }
    }
    return { x, series: [...ghosts.map((_, i) => line(with_[i]!, i, true)), ...with_.map((r, i) => line(r, ghosts.length + i, false))] }
  }, [query.data, with_, view.byTime, view.smooth, looks, focus, many])
  const lower = lowerIsBetter(metric)
  const single = !view.zoom && query.data !== undefined && query.data.series.every((s) => s.points.length < 2)
  if (single && with_.length > 0) return <Bars metric={metric} runs={with_} looks={looks} height={height} note={lower === undefined ? 'one value a run' : `one value a run, ${lower ? 'lower' : 'higher'} is better`} />
  if (query.error && !query.data) return <div style={{ height: height + 18 }}><div className="ctitle">{metric}</div><ErrorBox error={query.error} title="Can't read its points" onRetry={() => void query.refetch()} /></div>
  return (
    <Suspense fallback={<div style={{ height: height + 18 }} />}>
      <TimeSeries title={metric} unit={lower === undefined ? '' : lower ? 'lower is better' : 'higher is better'} x={x} series={series} height={height} log={view.log} sync="compare" xRange={view.zoom}
        onZoom={(from, to) => onZoom([from, to])} onReset={() => onZoom(undefined)}
        xLabel={(at) => (view.byTime ? `${num(at)} s after start` : `step ${Math.round(at).toLocaleString('en')}`)} xTick={(at) => (view.byTime ? `${num(at)} s` : num(at))} empty={query.isPending ? 'Reading the points' : 'No point of this metric yet'} />
    </Suspense>
  )
}

/** A metric that was logged once has no curve: its values, the best first where that is known. */
function Bars({ metric, runs, looks, height, note }: { metric: string; runs: readonly Run[]; looks: ReadonlyMap<string, Look>; height: number; note: string }) {
  const sign = lowerIsBetter(metric) === false ? -1 : 1
  const sorted = [...runs].filter((r) => Number.isFinite(r.metrics[metric])).sort((a, b) => sign * (a.metrics[metric]! - b.metrics[metric]!))
  return (
    <div className="min-w-0"><div className="ctitle">{metric} <small>{note}</small></div>
      <div className="overflow-auto pt-1" style={{ height }} tabIndex={0} role="region" aria-label={`${metric}, scrolls`}><BarChart name={metric} rows={sorted.map((r) => ({ label: r.name, value: r.metrics[metric]!, color: looks.get(r.id)?.color ?? 'var(--ref)' }))} /></div>
    </div>
  )
}

/** The switches of all curves of the page. */
export function CurveSwitches({ view, onChange, children }: { view: CurveView; onChange: (view: CurveView) => void; children?: ReactNode }) {
  return (
    <span className="flex flex-wrap items-center gap-3 text-sm text-2">
      {view.zoom && <button type="button" className="btn s" onClick={() => onChange({ ...view, zoom: undefined })}>Whole range</button>}
      <span className="flex items-center gap-2">Smooth <span className="w-20"><Slider label="Smoothing" min={0} max={0.99} step={0.01} value={view.smooth} onChange={(smooth) => onChange({ ...view, smooth })} /></span><span className="w-7">{view.smooth || '0'}</span></span>
      <Segmented small label="Axis" value={view.byTime ? 'time' : 'step'} onChange={(v) => onChange({ ...view, byTime: v === 'time', zoom: undefined })} options={[{ value: 'step', label: 'Step' }, { value: 'time', label: 'Time' }]} />
      <Segmented small label="Scale" value={view.log ? 'log' : 'linear'} onChange={(v) => onChange({ ...view, log: v === 'log' })} options={[{ value: 'linear', label: 'Linear' }, { value: 'log', label: 'Log' }]} />
      {children}
    </span>
  )
}
