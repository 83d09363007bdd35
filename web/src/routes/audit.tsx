import { useInfiniteQuery, useMutation } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { ShieldCheck } from 'lucide-react'
import { useMemo, type ReactNode } from 'react'
import { who } from '@/lib/actor'
import { http } from '@/lib/api/http'
import type { Event, List } from '@/lib/api/types'
import { cli } from '@/lib/cli'
import { tell } from '@/lib/events'
import { absolute, count } from '@/lib/format'
import { pageOf } from '@/lib/href'
import { saveText } from '@/lib/save'
import { DataTable, type Column } from '@/ui/DataTable'
import { Drawer } from '@/ui/Drawer'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox } from '@/ui/ErrorBox'
import { FilterBox } from '@/ui/FilterBox'
import { Go } from '@/ui/Go'
import { JsonView } from '@/ui/JsonView'
import { Load } from '@/ui/Load'
import { Page } from '@/ui/Page'
import { KeyValues, Note } from '@/ui/Panel'

const route = getRouteApi('/audit')
const size = 200

function utc(t: string): string {
  return t.slice(0, 19).replace('T', ' ')
}

const columns: Column<Event>[] = [
  { id: 'time', header: 'Time, UTC', cell: (e) => <span className="mono" title={absolute(e.time)}>{utc(e.time)}</span>, width: 176 },
  { id: 'actor', header: 'Who', cell: (e) => { const w = who(e.actor); return <span className={w.system ? 'text-2' : ''} title={e.actor}>{w.name}</span> }, width: 150 },
  { id: 'what', header: 'What happened', cell: (e) => { const t = tell(e); return <span>{t.to ? <Go to={t.to} className="strong hover:underline">{t.subject}</Go> : <b>{t.subject}</b>} <span className="text-2">{t.what}</span></span> } },
  { id: 'type', header: 'Event', cell: (e) => <span className="mono text-2">{e.type}</span>, width: 250 },
  { id: 'seq', header: 'Number', num: true, cell: (e) => <span className="text-3">{e.seq !== undefined ? count(e.seq) : ''}</span>, width: 90 },
]

export function Audit(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const pages = useInfiniteQuery({
    queryKey: ['events', 'audit', search.type, search.kind, search.id],
    queryFn: ({ pageParam, signal }) => http.get<List<Event>>('/api/v1/events', { signal, query: { type: search.type, kind: search.kind, id: search.id, limit: size, page_token: pageParam } }),
    initialPageParam: '', getNextPageParam: (last) => last.next_page_token || undefined,
  })
  const verify = useMutation({ mutationFn: () => http.post<{ count: number; ok: boolean; detail?: string }>('/api/v1/events/verify') })
  const rows = useMemo(() => pages.data?.pages.flatMap((p) => p.items) ?? [], [pages.data])
  const types = useMemo(() => [...new Set(rows.map((e) => e.type))].sort(), [rows])
  const chosen = rows.find((e) => e.id === search.event)
  return (
    <Page title="Audit" bare verdict={<>Everything that changed: who, what and when. Each entry carries the hash of the one before it, so <b>a change of the past would show</b>.</>}
      actions={<><button type="button" className="btn" disabled={verify.isPending} onClick={() => verify.mutate()}><ShieldCheck size={14} />{verify.isPending ? 'Verifying' : 'Verify the chain'}</button><button type="button" className="btn" onClick={() => saveText('audit.json', JSON.stringify(rows, null, 2), 'application/json')}>Export JSON</button></>}>
      <div className="flex flex-1 min-h-0 mt-2 border-t border-border">
        <div className="flex-1 min-w-0 min-h-0 flex flex-col">
          <div className="px-6 py-3 grid gap-2.5">
            <div className="flex gap-2"><FilterBox mono onEnter value={search.type ?? ''} placeholder="Event type, such as registry.alias.set" suggestions={types} onChange={(type) => set({ type: type.trim() || undefined })} />
              <select className="inp !w-44 !h-8" aria-label="Kind of thing" value={search.kind ?? ''} onChange={(e) => set({ kind: e.target.value || undefined })}><option value="">Every kind of thing</option>{['experiment', 'run', 'model', 'version', 'dataset', 'dataset_version', 'endpoint', 'monitor', 'alert', 'pipeline', 'pipeline_run', 'rollout', 'retraining'].map((k) => <option key={k} value={k}>{k.replace('_', ' ')}</option>)}</select></div>
            {verify.data && <Note tone={verify.data.ok ? 'ok' : 'bad'} icon={<ShieldCheck size={14} />}>{verify.data.ok ? `All ${count(verify.data.count)} entries are as they were written.` : `The chain is broken: ${verify.data.detail ?? 'an entry was changed'}.`}</Note>}
            {verify.error && <ErrorBox error={verify.error} title="Not verified" />}
          </div>
          <div className="flex-1 min-h-0 flex flex-col border-t border-border bg-raised">
            <Load query={pages as never} what="the events" skeleton={<Skeleton rows={12} />}>
              {() => rows.length === 0 ? <Empty title="No event fits" command={cli.events()}>Every change is listed here, the newest first.</Empty>
                : <DataTable dense wide fixed scroll label="Events" columns={columns} rows={rows} rowKey={(e) => e.id} focused={search.event} onOpen={(e) => set({ event: e.id })} onEnd={() => { if (pages.hasNextPage && !pages.isFetchingNextPage) void pages.fetchNextPage() }} />}
            </Load>
          </div>
        </div>
        {chosen && <EventDrawer event={chosen} onClose={() => set({ event: undefined })} onThing={() => set({ kind: chosen.resource.kind, id: chosen.resource.id })} />}
      </div>
    </Page>
  )
}

function EventDrawer({ event: e, onClose, onThing }: { event: Event; onClose: () => void; onThing: () => void }) {
  const t = tell(e)
  const to = t.to ?? pageOf(e.resource.kind, e.resource.id)
  return (
    <Drawer label="Event" title={<>{t.subject} <span className="text-2 font-normal">{t.what}</span></>} onClose={onClose} footer={<><button type="button" className="btn" onClick={onThing}>All of this {e.resource.kind.replace('_', ' ')}</button>{to && <Go className="btn pri" to={to}>Open it</Go>}</>}>
      <div className="ds"><KeyValues items={[['When', absolute(e.time)], ['Who', <span key="w" className="mono">{e.actor}</span>], ['Event', <span key="t" className="mono">{e.type}</span>], ['Thing', <span key="r" className="mono">{e.resource.kind}:{e.resource.id}</span>], ['Number', e.seq !== undefined ? String(e.seq) : ''], ['Hash', e.hash ? <span key="h" className="mono">{e.hash}</span> : '']]} /></div>
      <div className="ds"><div className="sec">Data</div><JsonView value={e.data} /></div>
    </Drawer>
  )
}
