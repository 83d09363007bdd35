import { useQueries } from '@tanstack/react-query'
import { lazy, Suspense, useMemo, type ReactNode } from 'react'
import { align, seriesStyle, smooth as ema, type Value } from '@/charts/maths'
import { q } from '@/lib/api/queries'
import type { Run } from '@/lib/api/types'
import { num } from '@/lib/format'
import { lowerIsBetter } from '@/lib/metrics'
import { Segmented } from '@/ui/Segmented'
import { Slider, Switch } from '@/ui/Controls'

const TimeSeries = lazy(() => import('@/charts/TimeSeries').then((m) => ({ default: m.TimeSeries })))

export interface CurveView {
  smooth: number
  byTime: boolean
  log: boolean
}

interface Props {
  metric: string
  runs: readonly Run[]
  /** Runs behind the others: thin and grey. */
  context?: readonly Run[]
  colors: ReadonlyMap<string, string>
  view: CurveView
  height?: number
  sync?: string
  right?: ReactNode
  legend?: ReactNode
}

/** One metric over steps (or seconds since each run began) for some runs. */
export function MetricChart({ metric, runs, context = [], colors, view, height = 180, sync, right, legend }: Props) {
  const all = useMemo(() => [...context, ...runs], [context, runs])
  const histories = useQueries({ queries: all.map((r) => q.metric(r.id, metric, r.status === 'RUNNING')) })
  const stamp = histories.map((h) => h.dataUpdatedAt).join()
  const { x, ys } = useMemo(() => align(histories.map((h, i) => curve(h.data?.points ?? [], Date.parse(all[i]!.start_time), view))),
    // The answers are told apart by when they came.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [stamp, all, view.byTime, view.smooth])
  const series = useMemo(() => all.map((r, i) => ({
    id: r.id, label: r.name, color: i < context.length ? 'var(--idle-fill)' : (colors.get(r.id) ?? 'var(--c1)'), values: ys[i] ?? [], span: true, quiet: i < context.length,
    width: i < context.length ? 1 : i === context.length ? 2 : 1.5, points: (ys[i] ?? []).filter((v) => v !== null).length === 1,
  })), [all, ys, colors, context.length])
  const lower = lowerIsBetter(metric)
  const pending = histories.some((h) => h.isPending)
  return (
    <Suspense fallback={<div style={{ height: height + 18 }} />}>
      <TimeSeries title={metric} unit={lower === undefined ? '' : lower ? 'lower is better' : 'higher is better'} x={x} series={series} height={height} log={view.log} {...(sync ? { sync } : {})} right={right} legend={legend}
        xLabel={(at) => (view.byTime ? `${num(at)} s after start` : `step ${Math.round(at).toLocaleString('en')}`)} empty={pending ? 'Reading the points' : 'No point of this metric yet'} />
    </Suspense>
  )
}

function curve(points: readonly { step: number; time: string; value: number | null }[], start: number, view: CurveView): { x: number[]; y: Value[] } {
  const x = points.map((p) => (view.byTime ? (Date.parse(p.time) - start) / 1000 : p.step))
  return { x, y: ema(points.map((p) => (typeof p.value === 'number' ? p.value : null)), view.smooth)}
}

/** The switches of all metric charts of a page. */
export function CurveControls({ view, onChange }: { view: CurveView; onChange: (view: CurveView) => void }) {
  return (
    <span className="flex items-center gap-3 text-sm text-2">
      <span className="flex items-center gap-2">Smooth <span className="w-20"><Slider label="Smoothing" min={0} max={0.99} step={0.01} value={view.smooth} onChange={(smooth) => onChange({ ...view, smooth })} /></span><span className="w-7">{view.smooth || '0'}</span></span>
      <Segmented small label="Axis" value={view.byTime ? 'time' : 'step'} onChange={(v) => onChange({ ...view, byTime: v === 'time' })} options={[{ value: 'step', label: 'Step' }, { value: 'time', label: 'Time' }]} />
      <Switch checked={view.log} onChange={(log) => onChange({ ...view, log })}>Log</Switch>
    </span>
  )
}

/** Colours for chosen runs, in the order they were chosen. */
export function runColors(ids: readonly string[]): Map<string, string> {
  return new Map(ids.map((id, i) => [id, seriesStyle(i).color]))
}

