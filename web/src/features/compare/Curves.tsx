import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useMemo, type ReactNode } from 'react'
import { BarChart } from '@/charts/BarChart'
import { epochKey, lineOf, placeName, type Line, type XAxis } from '@/charts/curve'
import { bandOf, commonGrid, seriesStyle } from '@/charts/maths'
import type { Series } from '@/charts/TimeSeries'
import { q } from '@/lib/api/queries'
import type { MetricSeries, Run } from '@/lib/api/types'
import { betterWords, useBetter } from '@/lib/better'
import { num, plural } from '@/lib/format'
import { Slider } from '@/ui/Controls'
import { ErrorBox } from '@/ui/ErrorBox'
import { Segmented } from '@/ui/Segmented'
import { onGrid, type Look, type RunGroup } from './select'

const TimeSeries = lazy(() => import('@/charts/TimeSeries').then((m) => ({ default: m.TimeSeries })))

export interface CurveView {
  smooth: number
  axis: XAxis
  log: boolean
  zoom: [number, number] | undefined
}

/** Cells that the charts of a page may hold, over all runs of one of them. */
const cells = 40_000
const places = 1500

interface CurveProps {
  metric: string
  runs: readonly Run[]
  looks: ReadonlyMap<string, Look>
  /** The runs as groups: each is drawn as its mean in its range. */
  groups: readonly RunGroup[] | undefined
  view: CurveView
  focus: string | undefined
  height?: number
  onZoom: (zoom: [number, number] | undefined) => void
}

/** One metric of the runs, or of groups of them, over steps, seconds since each began, or epochs. */
export function Curve({ metric, runs, looks, groups, view, focus, height = 164, onZoom }: CurveProps) {
  const with_ = useMemo(() => runs.filter((r) => metric in r.metrics), [runs, metric])
  const points = Math.max(120, Math.min(1000, Math.floor(cells / Math.max(1, with_.length))))
  const ids = useMemo(() => with_.map((r) => r.id), [with_])
  const live = with_.some((r) => r.status === 'RUNNING')
  // Zoomed in, the points of that stretch alone are asked for, so that its detail comes out.
  const query = useQuery(q.histories(ids, metric, points, live, view.axis === 'step' ? view.zoom : undefined))
  const epoch = useMemo(() => epochKey(Object.assign({}, ...with_.map((r) => r.metrics)) as Run['metrics']), [with_])
  const counters = useQuery({ ...q.histories(ids, epoch ?? '', 1000, live), enabled: view.axis === 'epoch' && epoch !== undefined && ids.length > 0 })
  const better = useBetter()
  const { x, series } = useMemo(() => {
    const of = (all: readonly MetricSeries[] | undefined) => new Map((all ?? []).map((s) => [s.run_id, s.points]))
    const [found, epochs] = [of(query.data?.series), of(counters.data?.series)]
    const line = (r: Run, weight: number) => lineOf(found.get(r.id) ?? [], { axis: view.axis, start: Date.parse(r.start_time), epochs: epochs.get(r.id) ?? [], weight })
    return groups ? bands(groups, (r) => line(r, view.smooth)) : lines(with_, looks, focus, (r) => line(r, view.smooth), view.smooth > 0 ? (r) => line(r, 0) : undefined)
  }, [query.data, counters.data, with_, groups, view.axis, view.smooth, looks, focus])
  const lower = better(metric)
  const single = !view.zoom && query.data !== undefined && query.data.series.every((s) => s.points.length < 2)
  if (single && with_.length > 0) return <Bars metric={metric} runs={with_} looks={looks} groups={groups} lower={lower} height={height} />
  if (query.error && !query.data) return <div style={{ height: height + 18 }}><div className="ctitle">{metric}</div><ErrorBox error={query.error} title="Can't read its points" onRetry={() => void query.refetch()} /></div>
  const without = view.axis === 'epoch' ? with_.filter((r) => !epochKey(r.metrics)).length : 0
  return (
    <Suspense fallback={<div style={{ height: height + 18 }} />}>
      <TimeSeries title={metric} unit={[groups ? 'mean and range of each group' : '', betterWords(lower), without > 0 ? `${plural(without, 'run')} without epochs left out` : ''].filter(Boolean).join(', ')} x={x} series={series} height={height} log={view.log} sync="compare" xRange={view.zoom}
        onZoom={(from, to) => onZoom([from, to])} onReset={() => onZoom(undefined)} xLabel={(at) => placeName(view.axis, at)} xUnit={view.axis === 'time' ? 's' : undefined}
        empty={query.isPending ? 'Reading the points' : view.axis === 'epoch' && epoch === undefined ? 'No run here logged epochs' : with_.some((r) => !Number.isFinite(r.metrics[metric] ?? NaN)) ? 'No finite point of this metric' : 'No point of this metric yet'} />
    </Suspense>
  )
}

interface Drawn {
  x: number[]
  series: Series[]
}

function lines(runs: readonly Run[], looks: ReadonlyMap<string, Look>, focus: string | undefined, of: (r: Run) => Line, raw: ((r: Run) => Line) | undefined): Drawn {
  const many = runs.length > 12
  // What was smoothed away stays behind the line, while the eye can still tell whose it is.
  const ghosts = raw && runs.length <= 5 ? runs.map(raw) : []
  const drawn = runs.map(of)
  const { x, ys } = onGrid([...ghosts, ...drawn], places)
  const series = (r: Run, k: number, quiet: boolean): Series => {
    const look = looks.get(r.id)
    const values = ys[k] ?? []
    return { id: quiet ? `${r.id}~` : r.id, label: r.name, color: look?.color ?? 'var(--c1)', values, odd: quiet ? undefined : drawn[k - ghosts.length]?.odd, quiet, dash: look?.dash === true && !quiet, width: quiet ? 1 : r.id === focus ? 2.2 : many ? 1 : 1.6, points: values.filter((v) => typeof v === 'number').length === 1 }
  }
  return { x, series: [...ghosts.map((_, i) => series(runs[i]!, i, true)), ...runs.map((r, i) => series(r, ghosts.length + i, false))] }
}

/** Each group as the mean of its runs, in the range from their smallest to their largest. */
function bands(groups: readonly RunGroup[], of: (r: Run) => Line): Drawn {
  const drawn = groups.map((g) => g.runs.map(of))
  const x = commonGrid(drawn.flat())
  return { x, series: groups.map((g, i) => { const { mean, low, high } = bandOf(drawn[i]!, x); return { id: g.name, label: `${g.name} (${plural(g.runs.length, 'run')})`, ...seriesStyle(i), values: mean, low, high, width: 2, points: mean.filter((v) => v !== null).length === 1 } }) }
}

/** A metric that was logged once has no curve: its values, the best first where that is known. Those that are not finite are told after them. */
function Bars({ metric, runs, looks, groups, lower, height }: { metric: string; runs: readonly Run[]; looks: ReadonlyMap<string, Look>; groups: readonly RunGroup[] | undefined; lower: boolean | undefined; height: number }) {
  const finite = (of: readonly Run[]) => of.flatMap((r) => { const v = r.metrics[metric]; return typeof v === 'number' && Number.isFinite(v) ? [v] : [] })
  const sign = lower === false ? -1 : 1
  const rows = groups
    ? groups.flatMap((g, i) => { const vs = finite(g.runs); return vs.length > 0 ? [{ label: g.name, value: vs.reduce((a, b) => a + b, 0) / vs.length, color: seriesStyle(i).color, title: `mean of ${plural(vs.length, 'run')}, ${num(Math.min(...vs))} to ${num(Math.max(...vs))}` }] : [] })
    : runs.filter((r) => Number.isFinite(r.metrics[metric] ?? NaN)).map((r) => ({ label: r.name, value: r.metrics[metric]!, color: looks.get(r.id)?.color ?? 'var(--ref)' }))
  const odd = runs.filter((r) => !Number.isFinite(r.metrics[metric] ?? NaN))
  const note = [groups ? 'mean of one value a run' : 'one value a run', betterWords(lower)].filter(Boolean).join(', ')
  return (
    <div className="min-w-0"><div className="ctitle">{metric} <small>{note}</small></div>
      <div className="overflow-auto pt-1" style={{ height: rows.length > 4 ? height : undefined }} tabIndex={0} role="region" aria-label={`${metric}, scrolls`}>
        <BarChart name={metric} rows={rows.sort((a, b) => sign * (a.value - b.value))} />
        {odd.length > 0 && <p className="text-2 text-sm pt-1">{odd.slice(0, 6).map((r) => `${r.name} is ${num(r.metrics[metric])}`).join(', ')}{odd.length > 6 && ` and ${odd.length - 6} more are not finite`}.</p>}
      </div>
    </div>
  )
}

/** The switches of all curves of the page. */
export function CurveSwitches({ view, epochs, onChange, children }: { view: CurveView; epochs: boolean; onChange: (view: CurveView) => void; children?: ReactNode }) {
  return (
    <span className="flex flex-wrap items-center gap-3 text-sm text-2">
      {view.zoom && <button type="button" className="btn s" onClick={() => onChange({ ...view, zoom: undefined })}>Whole range</button>}
      <span className="flex items-center gap-2">Smooth <span className="w-20"><Slider label="Smoothing" min={0} max={0.99} step={0.01} value={view.smooth} onChange={(smooth) => onChange({ ...view, smooth })} /></span><span className="w-7">{view.smooth || '0'}</span></span>
      <Segmented small label="Axis" value={view.axis} onChange={(axis) => onChange({ ...view, axis, zoom: undefined })} options={[{ value: 'step', label: 'Step' }, { value: 'time', label: 'Time' }, ...(epochs || view.axis === 'epoch' ? [{ value: 'epoch' as const, label: 'Epoch' }] : [])]} />
      <Segmented small label="Scale" value={view.log ? 'log' : 'linear'} onChange={(v) => onChange({ ...view, log: v === 'log' })} options={[{ value: 'linear', label: 'Linear' }, { value: 'log', label: 'Log' }]} />
      {children}
    </span>
  )
}
