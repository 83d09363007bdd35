import { useQueries } from '@tanstack/react-query'
import { lazy, Suspense, useMemo, type ReactNode } from 'react'
import { BarChart } from '@/charts/BarChart'
import { epochKey, lineOf, placeName, type XAxis } from '@/charts/curve'
import { align, seriesStyle } from '@/charts/maths'
import { q } from '@/lib/api/queries'
import type { Run } from '@/lib/api/types'
import { betterWords, useBetter } from '@/lib/better'
import { num } from '@/lib/format'
import { Segmented } from '@/ui/Segmented'
import { Slider, Switch } from '@/ui/Controls'

const TimeSeries = lazy(() => import('@/charts/TimeSeries').then((m) => ({ default: m.TimeSeries })))

export interface CurveView {
  smooth: number
  axis: XAxis
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

/** One metric over steps, seconds since each run began, or epochs, for some runs. */
export function MetricChart({ metric, runs, context = [], colors, view, height = 180, sync, right, legend }: Props) {
  const all = useMemo(() => [...context, ...runs], [context, runs])
  const live = (r: Run) => r.status === 'RUNNING'
  const histories = useQueries({ queries: all.map((r) => q.metric(r.id, metric, live(r))) })
  const counted = view.axis === 'epoch' ? all.filter((r) => epochKey(r.metrics)) : []
  const epochs = useQueries({ queries: counted.map((r) => q.metric(r.id, epochKey(r.metrics)!, live(r))) })
  const stamp = [...histories, ...epochs].map((h) => h.dataUpdatedAt).join()
  const { x, ys, lines } = useMemo(() => {
    const lines = histories.map((h, i) => lineOf(h.data?.points ?? [], { axis: view.axis, start: Date.parse(all[i]!.start_time), epochs: epochs[counted.indexOf(all[i]!)]?.data?.points ?? [], weight: view.smooth }))
    return { ...align(lines), lines }
    // The answers are told apart by when they came.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [stamp, all, view.axis, view.smooth])
  const series = useMemo(() => all.map((r, i) => ({
    id: r.id, label: r.name, color: i < context.length ? 'var(--idle-fill)' : (colors.get(r.id) ?? 'var(--c1)'), values: ys[i] ?? [], odd: lines[i]?.odd, quiet: i < context.length,
    width: i < context.length ? 1 : i === context.length ? 2 : 1.5, points: (ys[i] ?? []).filter((v) => typeof v === 'number').length === 1,
  })), [all, ys, lines, colors, context.length])
  const better = useBetter()
  const pending = histories.some((h) => h.isPending)
  const failed = histories.find((h) => h.isError && !h.data)?.error
  const finite = (r: Run) => r.metrics[metric] === undefined || Number.isFinite(Number(r.metrics[metric]))
  const single = runs.length > 1 && histories.every((h) => h.data !== undefined && h.data.points.length < 2)
  if (single) return <OneValue metric={metric} runs={runs} colors={colors} words={betterWords(better(metric))} height={height} />
  return (
    <Suspense fallback={<div style={{ height: height + 18 }} />}>
      <TimeSeries title={metric} unit={betterWords(better(metric))} x={x} series={series} height={height} log={view.log} {...(sync ? { sync } : {})} right={right} legend={legend}
        xLabel={(at) => placeName(view.axis, at)} xUnit={view.axis === 'time' ? 's' : undefined}
        empty={pending ? 'Reading the points' : failed ? `Its points could not be read: ${failed.message}` : view.axis === 'epoch' && counted.length === 0 ? 'No run here logged epochs' : runs.every(finite) ? 'No point of this metric yet' : 'No finite point of this metric'} />
    </Suspense>
  )
}

/** A metric that each run logged once has no curve: its values as bars, in the order of the runs. */
function OneValue({ metric, runs, colors, words, height }: { metric: string; runs: readonly Run[]; colors: ReadonlyMap<string, string>; words: string; height: number }) {
  const value = (r: Run) => Number(r.metrics[metric] ?? NaN)
  const odd = runs.filter((r) => r.metrics[metric] !== undefined && !Number.isFinite(value(r)))
  return (
    <figure className="min-w-0">
      <figcaption className="ctitle"><span>{metric}</span> <small>{['one value a run', words].filter(Boolean).join(', ')}</small></figcaption>
      <div className="overflow-auto pt-1" style={{ maxHeight: height }} tabIndex={0} role="region" aria-label={`${metric}, scrolls`}>
        <BarChart name={metric} rows={runs.filter((r) => Number.isFinite(value(r))).map((r) => ({ label: r.name, value: value(r), color: colors.get(r.id) ?? 'var(--ref)' }))} />
        {odd.length > 0 && <p className="text-2 text-sm pt-1">{odd.map((r) => `${r.name} is ${num(value(r))}`).join(', ')}.</p>}
      </div>
    </figure>
  )
}

/** The switches of all metric charts of a page; epochs are offered where a run logged them. */
export function CurveControls({ view, epochs, onChange }: { view: CurveView; epochs: boolean; onChange: (view: CurveView) => void }) {
  return (
    <span className="flex flex-wrap items-center gap-x-3 gap-y-1.5 text-sm text-2">
      <span className="flex items-center gap-2">Smooth <span className="w-20"><Slider label="Smoothing" min={0} max={0.99} step={0.01} value={view.smooth} onChange={(smooth) => onChange({ ...view, smooth })} /></span><span className="w-7">{view.smooth || '0'}</span></span>
      <Segmented small label="Axis" value={view.axis} onChange={(axis) => onChange({ ...view, axis })} options={axisOptions(epochs || view.axis === 'epoch')} />
      <Switch checked={view.log} onChange={(log) => onChange({ ...view, log })}>Log</Switch>
    </span>
  )
}

const axisOptions = (epochs: boolean): { value: XAxis; label: string }[] => [{ value: 'step', label: 'Step' }, { value: 'time', label: 'Time' }, ...(epochs ? [{ value: 'epoch' as const, label: 'Epoch' }] : [])]

/** The view that an address says, and what changes in the address with a view. */
export const curveView = (s: { smooth?: number | undefined; x?: 'time' | 'epoch' | undefined; log?: boolean | undefined }): CurveView => ({ smooth: s.smooth ?? 0, axis: s.x ?? 'step', log: s.log ?? false })
export const curveSearch = (v: CurveView) => ({ smooth: v.smooth || undefined, x: v.axis === 'step' ? undefined : v.axis, log: v.log || undefined })

/** Colours for chosen runs, in the order they were chosen. */
export function runColors(ids: readonly string[]): Map<string, string> {
  return new Map(ids.map((id, i) => [id, seriesStyle(i).color]))
}
