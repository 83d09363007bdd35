import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { lazy, Suspense, useMemo, type ComponentType, type ReactNode } from 'react'
import { Notes, QuestionLine } from '@/features/experiment/Question'
import { RunsTab } from '@/features/run/RunsTab'
import { runQueries } from '@/features/run/source'
import { http } from '@/lib/api/http'
import { q } from '@/lib/api/queries'
import type { Experiment } from '@/lib/api/types'
import { BetterProvider } from '@/lib/better'
import { plural, shortId } from '@/lib/format'
import { href } from '@/lib/href'
import { betterOf } from '@/lib/metrics'
import { DeleteMenu, RestoreButton } from '@/ui/DeleteMenu'
import { Skeleton } from '@/ui/Empty'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Page, Tabs } from '@/ui/Page'
import { Pill } from '@/ui/Status'
import { Time } from '@/ui/Time'

const route = getRouteApi('/experiments/$id')
const crumbs = [{ label: 'Experiments', to: '/experiments' as const }]

const ChartsTab = lazy(() => import('@/features/run/ChartsTab').then((m) => ({ default: m.ChartsTab })))
const ModelsTab = lazy(() => import('@/features/experiment/ModelsTab').then((m) => ({ default: m.ModelsTab })))

// The traces of an experiment are a page of their own feature; the tab is there when the feature is.
const traces = Object.values(import.meta.glob<{ ExperimentTraces: ComponentType<{ id: string }> }>('../features/trace/ExperimentTraces.tsx'))[0]
const TracesTab = traces && lazy(() => traces().then((m) => ({ default: m.ExperimentTraces })))

/** How many there are, as far as they were read. */
const counted = (pages: readonly { items: readonly unknown[]; next_page_token?: string }[]) => { const n = pages.flatMap((p) => p.items).length; return pages.at(-1)?.next_page_token ? `${n}+` : n }

const deletion = (e: Experiment) => {
  const path = `/api/v1/experiments/${encodeURIComponent(e.id)}`
  return { label: `Delete the experiment${e.runs_count ? ` with ${plural(e.runs_count, 'run')}` : ''}`, what: e.name, remove: () => http.post(`${path}/delete`), restore: () => http.post(`${path}/restore`), away: href.experiments, back: href.experiment(e.id) }
}

export function ExperimentPage(): ReactNode {
  const { id } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const experiment = useQuery(q.experiment(id))
  const running = useQuery(runQueries.running(id)).data ?? 0
  const models = useInfiniteQuery(q.loggedModels(id)).data?.pages
  const e = experiment.data
  const declared = e?.best
  const better = useMemo(() => betterOf(declared), [declared])
  if (!e) return <Page crumbs={crumbs} title={shortId(id)}>{experiment.error ? <ErrorPanel error={experiment.error} title="Can't read the experiment" onRetry={() => void experiment.refetch()} /> : <Skeleton rows={6} />}</Page>
  const tab = search.tab === 'traces' && !TracesTab ? 'runs' : (search.tab ?? 'runs')
  return (
    <Page crumbs={crumbs} title={e.name} bare
      status={running > 0 ? <Pill kind="info">{running} running</Pill> : e.lifecycle === 'deleted' ? <Pill kind="pause">Deleted</Pill> : undefined}
      meta={<>{e.workspace && e.workspace !== 'default' && <>workspace {e.workspace}, </>}{plural(e.runs_count ?? 0, 'run')}{e.last_run_at && <>, the last <Time at={e.last_run_at} /></>}</>}
      actions={e.lifecycle === 'deleted' ? <RestoreButton id={`experiment:${e.id}`}>Restore the experiment</RestoreButton> : e.id === '0' ? undefined : <DeleteMenu label="More about the experiment" deletes={[deletion(e)]} />}
      verdict={e.hypothesis || e.verdict ? <QuestionLine experiment={e} /> : undefined}
      tabs={<Tabs value={tab} items={[
        { value: 'runs', label: 'Runs', count: e.runs_count }, { value: 'charts', label: 'Charts' }, ...(TracesTab ? [{ value: 'traces' as const, label: 'Traces' }] : []),
        { value: 'models', label: 'Models', count: models && counted(models) }, { value: 'notes', label: 'Question and notes' },
      ]} />}>
      <BetterProvider value={better}>
      {tab === 'runs' && <RunsTab key={e.id} experiment={e} search={search} set={(change) => set(change as Partial<typeof search>)} />}
      {tab !== 'runs' && (
        <div className="body">
          <Suspense fallback={<Skeleton rows={6} />}>
            {tab === 'charts' && <ChartsTab experiment={e} search={search} set={(change) => set(change as Partial<typeof search>)} />}
            {tab === 'traces' && TracesTab && <TracesTab id={e.id} />}
            {tab === 'models' && <ModelsTab experiment={e.id} />}
            {tab === 'notes' && <Notes experiment={e} />}
          </Suspense>
        </div>
      )}
      </BetterProvider>
    </Page>
  )
}
