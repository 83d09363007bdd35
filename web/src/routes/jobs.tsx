import type { ReactNode } from 'react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { RotateCcw } from 'lucide-react'
import { http } from '@/lib/api/http'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Job } from '@/lib/api/types'
import { absolute, plural } from '@/lib/format'
import { look } from '@/lib/states'
import { DataTable, type Column } from '@/ui/DataTable'
import { Drawer } from '@/ui/Drawer'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox } from '@/ui/ErrorBox'
import { JsonView } from '@/ui/JsonView'
import { Load } from '@/ui/Load'
import { Page } from '@/ui/Page'
import { KeyValues } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { Pill, Status } from '@/ui/Status'
import { Time } from '@/ui/Time'
import { toast } from '@/ui/toasts'

const route = getRouteApi('/jobs')

const columns: Column<Job>[] = [
  { id: 'kind', header: 'Job', cell: (j) => <b className="mono">{j.kind}</b>, value: (j) => j.kind },
  { id: 'state', header: 'State', cell: (j) => <Status kind={jobLook(j).kind}>{jobLook(j).word}</Status>, value: (j) => j.state, width: 130 },
  { id: 'key', header: 'About', cell: (j) => <span className="mono text-2">{j.key || j.group}</span> },
  { id: 'attempt', header: 'Attempt', num: true, cell: (j) => (j.max_attempts && j.max_attempts < 1000 ? `${j.attempt} of ${j.max_attempts}` : j.attempt), value: (j) => j.attempt, width: 100 },
  { id: 'run', header: 'Due', cell: (j) => <Time at={j.run_at} />, value: (j) => j.run_at, width: 120 },
  { id: 'changed', header: 'Made or done', cell: (j) => <Time at={j.finished_at ?? j.created_at} />, value: (j) => j.finished_at ?? j.created_at, width: 120 },
  { id: 'error', header: 'Error', cell: (j) => <span className="text-bad inline-block max-w-[360px] clip align-bottom" title={j.error}>{j.error}</span> },
]
const states = [{ value: 'all', label: 'All' }, { value: 'running', label: 'Running' }, { value: 'ready', label: 'Waiting' }, { value: 'failed', label: 'Failed' }, { value: 'done', label: 'Done' }]
const gaveUp = (j: Job) => j.state === 'failed'
const jobLook = (j: Job) => (j.state === 'ready' ? (j.attempt > 0 ? { kind: 'warn' as const, word: 'Tries again' } : { kind: 'idle' as const, word: 'Waiting' }) : j.state === 'failed' ? { kind: 'bad' as const, word: 'Gave up' } : look(j.state))

export function Jobs(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const query = useQuery(q.jobs(search.state))
  const items = query.data?.items ?? []
  const chosen = items.find((j) => j.id === search.job)
  const failed = items.filter(gaveUp)
  const running = items.filter((j) => j.state === 'running').length
  return (
    <Page title="Jobs" bare verdict={query.data ? <><b>{failed.length === 0 ? 'No job has given up' : `${plural(failed.length, 'job')} gave up`}</b>; {running} running{items.length >= 200 ? ', the newest 200 are shown' : ''}. Reactions to events, steps and deliveries run here; one that fails is tried again by itself.</> : undefined}>
      <div className="flex flex-1 min-h-0">
        <div className="body min-w-0">
          <div className="mb-3"><Segmented small label="State" value={search.state ?? 'all'} onChange={(v) => set({ state: v === 'all' ? undefined : v })} options={states} /></div>
          <section className="panel"><Load query={query} what="the jobs" skeleton={<Skeleton rows={8} />}>{(d) => d.items.length === 0 ? <Empty title="No job here" command={cli.jobs()}>Work that the server does behind requests appears here while it runs and after.</Empty> : <DataTable dense label="Jobs" columns={columns} rows={d.items} rowKey={(j) => j.id} focused={search.job} onOpen={(j) => set({ job: j.id })} />}</Load></section>
        </div>
        {chosen && <JobDrawer job={chosen} onClose={() => set({ job: undefined })} />}
      </div>
    </Page>
  )
}

function JobDrawer({ job: j, onClose }: { job: Job; onClose: () => void }) {
  const client = useQueryClient()
  const retry = useMutation({ mutationFn: () => http.post(`/api/v1/jobs/${encodeURIComponent(j.id)}/retry`), onSuccess: () => { toast({ kind: 'ok', text: 'It runs again' }); void client.invalidateQueries({ queryKey: ['jobs'] }) } })
  return (
    <Drawer label="Job" title={<span className="mono">{j.kind}</span>} onClose={onClose} footer={gaveUp(j) ? <button type="button" className="btn pri" disabled={retry.isPending} onClick={() => retry.mutate()}><RotateCcw size={14} />Run it again</button> : undefined}>
      <div className="px-4 pb-3"><Pill kind={jobLook(j).kind}>{jobLook(j).word}</Pill></div>
      {retry.error && <div className="ds"><ErrorBox error={retry.error} title="Not started" /></div>}
      <div className="ds"><KeyValues items={[['Id', <span key="i" className="mono">{j.id}</span>], ['Group', j.group], ['Key', j.key], ['Attempt', String(j.attempt)], ['Made', j.created_at ? absolute(j.created_at) : ''], ['Due', j.run_at ? absolute(j.run_at) : ''], ['Error', j.error ? <span key="e" className="text-bad">{j.error}</span> : '']]} /></div>
      {j.payload !== undefined && j.payload !== null && <div className="ds"><div className="sec">Payload</div><JsonView value={j.payload} /></div>}
    </Drawer>
  )
}
