import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, type ReactNode } from 'react'
import { Histogram, type HistogramData } from '@/charts/Histogram'
import { q } from '@/lib/api/queries'
import type { Distribution, WindowFeature } from '@/lib/api/types'
import { num, pct } from '@/lib/format'
import { Skeleton } from '@/ui/Empty'
import { Load } from '@/ui/Load'

const TimeSeries = lazy(() => import('@/charts/TimeSeries').then((m) => ({ default: m.TimeSeries })))

export function histogramOf(reference: Distribution | undefined, current: Distribution | undefined): HistogramData | undefined {
  const either = reference ?? current
  if (!either || (either.shares?.length ?? 0) === 0) return undefined
  const empty = new Array<number>(either.shares.length).fill(0)
  return {
    ...(either.labels ? { labels: either.labels } : either.edges ? { edges: either.edges } : {}),
    reference: reference?.shares ?? empty,
    ...(current ? { current: current.shares } : {}),
  }
}

const tests: Record<string, string> = { ks: 'KS', psi: 'PSI', wasserstein: 'Wasserstein', chi_square: 'χ²', chi2: 'χ²', js: 'Jensen-Shannon', jensen_shannon: 'Jensen-Shannon' }
export const testName = (test: string) => tests[test.toLowerCase()] ?? test

/** What a feature's row opens to: both distributions, the distance over time, and what it means. */
export function FeatureDetail({ endpoint, feature, baseline, dateOf }: { endpoint: string; feature: WindowFeature; baseline: string; dateOf: (iso: string) => string }) {
  const history = useQuery(q.feature(endpoint, feature.name, 60))
  const { reference, current } = feature
  const data = histogramOf(reference, current)
  const marks = data?.edges ? [
    ...(reference?.mean != null ? [{ at: reference.mean, text: `${num(reference.mean)} ${baseline}`, of: 'reference' as const }] : []),
    ...(current?.mean != null ? [{ at: current.mean, text: `${num(current.mean)} this window`, of: 'current' as const }] : []),
  ] : []
  return (
    <div className="grid gap-6 cols:grid-cols-[minmax(0,1.15fr)_minmax(0,1fr)_240px]">
      <div className="min-w-0">
        <div className="ctitle">Distribution <small>share of predictions</small></div>
        {data ? <Histogram name={feature.name} data={data} marks={marks} currentName="this window" /> : <p className="text-3 text-sm py-4">This window holds no distribution of it.</p>}
      </div>
      <div className="min-w-0">
        <Load query={history} what="its history" skeleton={<Skeleton rows={3} />}>
          {(h) => {
            const windows = [...(h.windows ?? [])].sort((a, b) => a.to.localeCompare(b.to))
            return (
              <Suspense fallback={<Skeleton rows={3} />}>
                <TimeSeries title={`${testName(feature.test)} by window`} unit="distance to the reference" time zero height={124} x={windows.map((w) => Date.parse(w.to) / 1000)} xLabel={(x) => dateOf(new Date(x * 1000).toISOString())}
                  series={[{ id: 'd', label: testName(feature.test), color: 'var(--cur)', values: windows.map((w) => w.statistic), width: 1.8, fill: true, points: windows.length < 3 }]} limits={[{ value: feature.threshold, label: `breach ${num(feature.threshold)}`, tone: 'bad' }, ...(feature.watch ? [{ value: feature.watch, label: `watch ${num(feature.watch)}` }] : [])]} sync={`feature-${endpoint}`} empty="No earlier window" />
              </Suspense>
            )
          }}
        </Load>
      </div>
      <div className="text-sm">
        <div className="ctitle mb-1">What it means</div>
        <Meaning rows={[
          ['Mean', reference?.mean != null && current?.mean != null ? <>{num(reference.mean)} → <b>{num(current.mean)}</b></> : ''],
          ['Distance', <><b>{num(feature.statistic)}</b>, breach from {num(feature.threshold)}</>],
          ['Chance of it at no drift', feature.p_value != null ? (feature.p_value < 0.0001 ? '< 0.01 %' : pct(feature.p_value, 2)) : ''],
          ['Missing', feature.missing_share != null ? pct(feature.missing_share, 1) : ''],
          ['Outside the reference', feature.out_of_range_share != null ? pct(feature.out_of_range_share, 1) : ''],
          ['Not in the reference', feature.unseen_share != null ? pct(feature.unseen_share, 1) : ''],
        ]} />
      </div>
    </div>
  )
}

function Meaning({ rows }: { rows: readonly (readonly [string, ReactNode])[] }) {
  return <div className="grid grid-cols-[1fr_auto] gap-x-3">{rows.filter(([, v]) => v !== '').map(([k, v]) => <div key={k} className="contents [&>*]:py-0.5 [&>*]:border-b [&>*]:border-grid"><span className="text-3">{k}</span><span className="text-right">{v}</span></div>)}</div>
}
