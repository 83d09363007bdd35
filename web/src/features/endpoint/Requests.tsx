import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { who } from '@/lib/actor'
import { address, http } from '@/lib/api/http'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Fact, List, Prediction } from '@/lib/api/types'
import { absolute, ms, num } from '@/lib/format'
import { pageOf } from '@/lib/href'
import { Id } from '@/ui/Code'
import { DataTable, type Column } from '@/ui/DataTable'
import { Drawer } from '@/ui/Drawer'
import { Empty, Skeleton } from '@/ui/Empty'
import { Go } from '@/ui/Go'
import { JsonView } from '@/ui/JsonView'
import { Load } from '@/ui/Load'
import { KeyValues } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { Status, Tag } from '@/ui/Status'
import { Time } from '@/ui/Time'

export type Only = 'all' | 'labelled' | 'failed'

interface Props {
  endpoint: string
  only: Only
  onOnly: (only: Only) => void
  open: string | undefined
  onOpen: (id: string | undefined) => void
}

export function valueText(v: unknown): string {
  if (v === null || v === undefined) return ''
  if (typeof v === 'number') return num(v)
  return typeof v === 'object' ? JSON.stringify(v) : String(v)
}

const columns: Column<Prediction>[] = [
  { id: 'time', header: 'Time', cell: (p) => <Time at={p.time} />, value: (p) => p.time, width: 120 },
  { id: 'event', header: 'Event time', cell: (p) => (p.event_time ? <span title={absolute(p.event_time)}>{p.event_time.slice(0, 16).replace('T', ' ')}</span> : ''), value: (p) => p.event_time, width: 146 },
  { id: 'version', header: 'Version', cell: (p) => <><span className="mono">v{p.version}</span>{p.role && p.role !== 'champion' && <span className="ml-1.5"><Tag look={p.role === 'shadow' ? 'line' : undefined!}>{p.role}</Tag></span>}</>, value: (p) => p.version, width: 120 },
  { id: 'key', header: 'Key', cell: (p) => <span className="mono">{p.key}</span>, value: (p) => p.key },
  { id: 'output', header: 'Prediction', num: true, cell: (p) => (p.status === 'error' ? <Status kind="bad">{p.error || 'failed'}</Status> : <b>{valueText(p.output)}</b>), value: (p) => (typeof p.output === 'number' ? p.output : valueText(p.output)), width: 120 },
  { id: 'label', header: 'Label', num: true, cell: (p) => (p.label === undefined || p.label === null ? <span className="text-3">no label</span> : valueText(p.label)), value: (p) => (typeof p.label === 'number' ? p.label : valueText(p.label)), width: 100 },
  { id: 'off', header: 'Off by', num: true, cell: (p) => { const e = off(p); return e === null ? '' : num(Math.abs(e)) }, value: (p) => { const e = off(p); return e === null ? null : Math.abs(e) }, width: 90 },
  { id: 'latency', header: 'Latency', num: true, cell: (p) => ms(p.latency_ms), value: (p) => p.latency_ms, width: 120 },
]

function off(p: Prediction): number | null {
  return typeof p.output === 'number' && typeof p.label === 'number' ? p.output - p.label : null
}

/** Every request as it was answered; the newest first, more by scrolling. */
export function Requests({ endpoint, only, onOnly, open, onOpen }: Props) {
  const path = `/api/v1/endpoints/${encodeURIComponent(endpoint)}/predictions`
  const pages = useInfiniteQuery({
    queryKey: ['predictions', endpoint, only],
    queryFn: ({ pageParam, signal }) => http.get<List<Prediction>>(path, { signal, query: { limit: 200, page_token: pageParam, labelled: only === 'labelled' ? true : undefined, status: only === 'failed' ? 'error' : undefined } }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next_page_token || undefined,
    staleTime: 5_000,
  })
  const rows = (pages.data?.pages.flatMap((p) => p.items) ?? []).filter((p) => only !== 'failed' || p.status === 'error')
  return (
    <div className="flex flex-1 min-h-0">
      <div className="flex-1 min-w-0 flex flex-col min-h-0">
        <div className="flex items-center gap-3 px-6 py-2.5">
          <Segmented label="Which requests" small value={only} onChange={onOnly} options={[{ value: 'all', label: 'All' }, { value: 'labelled', label: 'With label' }, { value: 'failed', label: 'Failed' }]} />
          <span className="text-3 text-sm">{rows.length} shown{pages.hasNextPage ? ', more below' : ''}</span>
          <span className="ml-auto flex gap-2"><a className="btn s" href={address(`${path}/export`, { format: 'csv', labelled: only === 'labelled' ? true : undefined })} download>CSV</a><a className="btn s" href={address(`${path}/export`, { format: 'parquet', labelled: only === 'labelled' ? true : undefined })} download>Parquet</a></span>
        </div>
        <div className="flex-1 min-h-0 flex flex-col border-t border-border bg-raised">
          <Load query={{ ...pages, data: pages.data } as never} what="the requests" skeleton={<Skeleton rows={10} />}>
            {() => rows.length === 0
              ? <Empty title={only === 'labelled' ? 'No labelled request yet' : only === 'failed' ? 'No failed request' : 'No request yet'} command={only === 'labelled' ? `curl -s ${location.origin}/endpoints/${endpoint}/feedback -d '{"prediction_id": "ID", "label": 0}'` : cli.predict(endpoint, '{"column": 1}')}>{only === 'labelled' ? 'Send what really happened and each request shows how far off it was.' : 'Each request appears here with its inputs, answer, version and latency.'}</Empty>
              : <DataTable label="Requests" columns={columns} rows={rows} rowKey={(p) => p.id} wide scroll fixed focused={open} onOpen={(p) => onOpen(p.id)} onEnd={() => { if (pages.hasNextPage && !pages.isFetchingNextPage) void pages.fetchNextPage() }} footer={pages.hasNextPage && rows.length <= 80 ? <button type="button" className="btn s m-3" onClick={() => void pages.fetchNextPage()}>More</button> : undefined} />}
          </Load>
        </div>
      </div>
      {open && <PredictionDrawer id={open} known={rows.find((p) => p.id === open)} onClose={() => onOpen(undefined)} />}
    </div>
  )
}

function PredictionDrawer({ id, known, onClose }: { id: string; known: Prediction | undefined; onClose: () => void }) {
  const query = useQuery({ ...q.prediction(id), ...(known ? { initialData: known } : {}) })
  const lineage = useQuery(q.predictionLineage(id))
  return (
    <Drawer label="Prediction" title={<Id id={id} length={18} />} onClose={onClose}>
      <Load query={query} what="the prediction">
        {(p) => (
          <>
            <div className="px-4 pb-3"><div className="text-xl strong">{p.status === 'error' ? <Status kind="bad">{p.error || 'failed'}</Status> : valueText(p.output)}</div></div>
            <div className="ds"><KeyValues items={[
              ['Version', <span key="v" className="mono">{p.model} v{p.version}</span>], ['Role', p.role], ['Answered', <Time key="t" at={p.time} />], ['Took', ms(p.latency_ms)], ['Event time', p.event_time ? absolute(p.event_time) : ''], ['Key', p.key],
              ['Label', p.label === undefined || p.label === null ? 'none yet' : valueText(p.label)], ['Label came', p.label_time ? <Time key="l" at={p.label_time} /> : ''], ['Logged', p.logged ? 'yes' : 'no'],
            ]} /></div>
            <div className="ds"><div className="sec">Inputs</div><JsonView value={p.inputs} /></div>
          </>
        )}
      </Load>
      <div className="ds"><div className="sec">Where it comes from</div>
        <Load query={lineage} what="its lineage" skeleton={<Skeleton rows={4} widths={['60%']} />}>
          {(l) => l.facts.length === 0 ? <p className="text-2 text-sm">Nothing is recorded before this prediction.</p> : <ol>{l.facts.map((f, i) => <Origin key={i} fact={f} last={i === l.facts.length - 1} />)}</ol>}
        </Load>
      </div>
    </Drawer>
  )
}

/** One step on the way back from the prediction. */
function Origin({ fact: f, last }: { fact: Fact; last: boolean }) {
  const node = f.node ?? ''
  const to = pageOf(node.slice(0, node.indexOf(':')), node.slice(node.indexOf(':') + 1))
  const note = f.note && f.note.length > 160 ? `${f.note.slice(0, 160)}…` : f.note
  return (
    <li className="relative pl-5 pb-2.5 text-sm">
      {!last && <i className="absolute w-px bg-border-strong" style={{ left: 4, top: 12, bottom: -6 }} />}
      <i className="absolute w-[9px] h-[9px] rounded-full border-[2px] border-control bg-raised" style={{ left: 0, top: 5 }} />
      <span className="text-3">{f.what}</span> {to ? <Go to={to} className="link strong">{f.value}</Go> : <b>{f.value}</b>}
      {note && <span className="text-2 block" style={{ overflowWrap: 'anywhere' }}>{note}</span>}
      <span className="text-3 text-xs"><Time at={f.at} />{f.actor && `, ${who(f.actor).name}`}</span>
    </li>
  )
}
