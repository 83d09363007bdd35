import { useQueries, useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useMemo, type ReactNode } from 'react'
import { epochKey, lineOf, placeName } from '@/charts/curve'
import { bandOf, commonGrid, seriesStyle } from '@/charts/maths'
import { q } from '@/lib/api/queries'
import type { Run, RunGroup } from '@/lib/api/types'
import { betterWords, useBetter } from '@/lib/better'
import { plural } from '@/lib/format'
import { narrowed } from './columns'
import type { CurveView } from './MetricChart'
import { runQueries, type RunsQuery } from './source'

const TimeSeries = lazy(() => import('@/charts/TimeSeries').then((m) => ({ default: m.TimeSeries })))

/** Groups that the chart draws, and the runs of each that it reads. */
export const chartGroups = 6
const runsPerGroup = 30
const points = 150

/** What a group is called: its values, in the order of the keys. */
const groupName = (g: RunGroup) => Object.values(g.keys).map((v) => v ?? 'not set').join(', ')

/** One metric of the largest groups: the mean of their newest runs in the range from the smallest to the largest. */
export function GroupChart({ query, metric, groups, view, height }: { query: RunsQuery; metric: string; groups: readonly RunGroup[]; view: CurveView; height: number }): ReactNode {
  const shown = groups.slice(0, chartGroups)
  const found = useQueries({ queries: shown.map((g) => runQueries.some({ ...query, filter: narrowed(query.filter, g.keys), order: undefined }, metric, runsPerGroup)) })
  const stamp = found.map((f) => f.dataUpdatedAt).join()
  const members = useMemo(() => found.map((f) => (f.data?.items ?? []).filter((r) => metric in r.metrics)),
    // The answers are told apart by when they came.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [stamp, metric])
  const all = useMemo(() => members.flat(), [members])
  const ids = useMemo(() => all.map((r) => r.id), [all])
  const live = all.some((r) => r.status === 'RUNNING')
  const histories = useQuery(q.histories(ids, metric, points, live))
  const epoch = useMemo(() => epochKey(Object.assign({}, ...all.map((r) => r.metrics)) as Run['metrics']), [all])
  const counters = useQuery({ ...q.histories(ids, epoch ?? '', points, live), enabled: view.axis === 'epoch' && epoch !== undefined && ids.length > 0 })
  const { x, series } = useMemo(() => {
    const [lines, epochs] = [histories.data?.series, counters.data?.series].map((s) => new Map((s ?? []).map((one) => [one.run_id, one.points])))
    const drawn = members.map((of) => of.map((r) => lineOf(lines!.get(r.id) ?? [], { axis: view.axis, start: Date.parse(r.start_time), epochs: epochs!.get(r.id) ?? [], weight: view.smooth })))
    const x = commonGrid(drawn.flat())
    return { x, series: shown.map((g, i) => { const { mean, low, high } = bandOf(drawn[i] ?? [], x); return { id: JSON.stringify(g.keys), label: `${groupName(g)} (${plural(members[i]?.length ?? 0, 'run')})`, ...seriesStyle(i), values: mean, low, high, width: 2, points: mean.filter((v) => v !== null).length === 1 } }) }
    // The groups that are shown are those whose members were read.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [histories.data, counters.data, members, view.axis, view.smooth])
  const better = useBetter()
  const sampled = shown.some((g) => g.runs > runsPerGroup)
  return (
    <Suspense fallback={<div style={{ height: height + 18 }} />}>
      <TimeSeries title={metric} unit={[`mean and range of ${sampled ? `the newest ${runsPerGroup} runs of ` : ''}${groups.length > chartGroups ? `the ${chartGroups} largest of ${groups.length} groups` : 'each group'}`, betterWords(better(metric))].filter(Boolean).join(', ')}
        x={x} series={series} height={height} log={view.log} xLabel={(at) => placeName(view.axis, at)} xUnit={view.axis === 'time' ? 's' : undefined} empty={found.some((f) => f.isPending) || histories.isPending ? 'Reading the points' : 'No point of this metric yet'} />
    </Suspense>
  )
}
