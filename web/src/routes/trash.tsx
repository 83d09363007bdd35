import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { RotateCcw, X } from 'lucide-react'
import { useMemo, useState, type ReactNode } from 'react'
import { kindCounts, kindOf, pageInTrash } from '@/features/trash/kinds'
import { PurgeDialog } from '@/features/trash/PurgeDialog'
import { Sweep } from '@/features/trash/Sweep'
import { who } from '@/lib/actor'
import { http } from '@/lib/api/http'
import { mostIds, renewAll, trash, trashQuery, type TrashItem, type TrashPage as TrashList } from '@/lib/api/trash'
import { bytes, count, plural } from '@/lib/format'
import { useKeys } from '@/lib/keys'
import { DataTable, type Column } from '@/ui/DataTable'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox, ErrorPanel } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { Page } from '@/ui/Page'
import { Tag } from '@/ui/Status'
import { Time } from '@/ui/Time'
import { toast } from '@/ui/toasts'

const route = getRouteApi('/trash')
const workspacesQuery = { queryKey: ['workspaces'], queryFn: ({ signal }: { signal: AbortSignal }) => http.get<{ items: { name: string }[] }>('/api/v1/workspaces', { signal }) }

export function TrashPage(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const client = useQueryClient()
  const pages = useInfiniteQuery(trashQuery(search.kind, search.workspace))
  const workspaces = useQuery(workspacesQuery).data?.items ?? []
  const list = useMemo(() => pages.data?.pages.flatMap((p) => p.items) ?? [], [pages.data])
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const [purging, setPurging] = useState<readonly string[] | 'some' | undefined>()
  const [failed, setFailed] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const here = useMemo(() => new Set(list.map((i) => i.id)), [list])
  const chosen = [...selected].filter((id) => here.has(id)).slice(0, mostIds)
  const restore = async (ids: readonly string[]) => {
    if (busy) return
    setBusy(true)
    setFailed(undefined)
    try {
      await trash.restore(ids, search.workspace)
      const one = ids.length === 1 ? list.find((i) => i.id === ids[0]) : undefined
      const to = one && pageInTrash(one.id)
      toast({ kind: 'ok', text: `Restored ${one ? one.name || kindOf(one.kind).one : plural(ids.length, 'thing')}`, ...(to ? { link: { label: 'Open', to } } : {}) })
      setSelected(new Set())
    } catch (e) {
      setFailed(e)
    } finally {
      setBusy(false)
      await renewAll(client)
    }
  }
  useKeys([
    { keys: 'r', label: 'Restore the selected things', run: () => void restore(chosen) },
    { keys: 'Delete', label: 'Remove the selected things for good', run: () => setPurging(chosen) },
    { keys: 'Escape', label: 'Clear the selection', run: () => setSelected(new Set()) },
  ], chosen.length > 0)
  const apart = workspaces.length > 1
  const columns = useColumns((id) => void restore([id]), busy, apart && search.workspace === undefined)
  const first = pages.data?.pages[0]
  if (!first) return <Page title="Trash">{pages.error ? <ErrorPanel error={pages.error} title="Can't read the trash" onRetry={() => void pages.refetch()} /> : <Skeleton rows={6} />}</Page>
  const total = first.kinds.reduce((n, k) => n + k.count, 0)
  const set = (kind: string | undefined) => { setSelected(new Set()); void navigate({ search: (s) => ({ ...s, kind }), replace: true }) }
  return (
    <Page title="Trash" verdict={<Verdict list={first} total={total} />}
      actions={total > 0 ? <button type="button" className="btn dgr" onClick={() => setPurging('some')}>Purge…</button> : undefined}>
      <div className="grid gap-3.5">
        {failed !== undefined && <section className="panel px-3.5 py-3 flex gap-2 items-start"><div className="flex-1 min-w-0"><ErrorBox error={failed} title="Not restored" /></div><button type="button" className="btn ghost icon s" aria-label="Close" onClick={() => setFailed(undefined)}><X size={14} /></button></section>}
        {(total > 0 || apart) && (
          <div className="flex flex-wrap gap-2 items-center justify-between">
            {total > 0 ? <Kinds list={first} total={total} kind={search.kind} onKind={set} /> : <span />}
            {apart && <label className="flex items-center gap-2 text-sm text-2">Workspace<select className="inp !w-auto" value={search.workspace ?? ''} onChange={(e) => { setSelected(new Set()); void navigate({ search: (s) => ({ ...s, workspace: e.target.value || undefined }), replace: true }) }}><option value="">all</option>{workspaces.map((w) => <option key={w.name} value={w.name}>{w.name}</option>)}</select></label>}
          </div>
        )}
        <section className="panel">
          {pages.error && <div className="px-3.5 py-2"><ErrorBox error={pages.error} title="Can't renew the trash" onRetry={() => void pages.refetch()} /></div>}
          {list.length === 0 ? <Nothing kind={total > 0 ? search.kind : undefined} days={first.undo_days} onAll={() => set(undefined)} />
            : <DataTable label="Things in the trash" columns={columns} rows={list} rowKey={(i) => i.id} rowName={(i) => i.name || i.id} sorted selected={selected} onSelect={setSelected} />}
        </section>
        {pages.hasNextPage && <button type="button" className="btn justify-self-start" disabled={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>Show more</button>}
        <Sweep />
        {chosen.length > 0 && <div className="h-12" />}
      </div>
      {chosen.length > 0 && (
        <div className="float" role="toolbar" aria-label="Selected things">
          <b>{plural(chosen.length, 'thing')}</b><span className="text-3 text-sm mr-2">selected</span>
          <button type="button" className="btn pri s" disabled={busy} onClick={() => void restore(chosen)}>Restore <kbd className="!bg-transparent !text-inherit !border-transparent">R</kbd></button>
          <button type="button" className="btn s ghost dgr" onClick={() => setPurging(chosen)}>Purge…</button>
          <button type="button" className="btn s ghost icon" aria-label="Clear the selection" onClick={() => setSelected(new Set())}><X size={14} /></button>
        </div>
      )}
      {purging && <PurgeDialog ids={purging === 'some' ? undefined : purging} kinds={first.kinds} kind={search.kind} workspace={search.workspace} undoDays={first.undo_days} onClose={() => setPurging(undefined)} onDone={() => { setPurging(undefined); setSelected(new Set()) }} />}
    </Page>
  )
}

function Verdict({ list, total }: { list: TrashList; total: number }) {
  const after = list.undo_days > 0 ? <>The server removes each for good {plural(list.undo_days, 'day')} after its deletion.</> : <>They wait until somebody purges them.</>
  if (total === 0) return <>Nothing waits here.</>
  return <><b>{kindCounts(list.kinds)}</b> can be brought back. {after} What a living model version came from stays.</>
}

function Kinds({ list, total, kind, onKind }: { list: TrashList; total: number; kind: string | undefined; onKind: (kind: string | undefined) => void }) {
  const one = (value: string | undefined, label: string, n: number) => (
    <button key={label} type="button" aria-pressed={kind === value} className={kind === value ? 'on' : ''} onClick={() => onKind(value)}>{label}<span className="ml-1.5 text-3">{count(n)}</span></button>
  )
  return <div className="seg flex-wrap justify-self-start max-w-full !flex-initial" role="group" aria-label="Kind">{one(undefined, 'All', total)}{list.kinds.filter((k) => k.count > 0 || k.kind === kind).map((k) => one(k.kind, capital(kindOf(k.kind).many), k.count))}</div>
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)

function Nothing({ kind, days, onAll }: { kind: string | undefined; days: number; onAll: () => void }) {
  if (kind) return <Empty title={`No ${kindOf(kind).one} is in the trash`}><button type="button" className="link" onClick={onAll}>Show all kinds</button></Empty>
  return <Empty title="The trash is empty" command="modelyard trash list">What you delete waits here{days > 0 ? ` ${plural(days, 'day')}` : ' until somebody purges it'}, with who deleted it and how much it holds, and can be brought back.</Empty>
}

function useColumns(restore: (id: string) => void, busy: boolean, apart: boolean): Column<TrashItem>[] {
  return useMemo(() => [
    { id: 'name', header: 'Name', cell: (i) => <Name item={i} /> },
    { id: 'kind', header: 'Kind', from: 480, cell: (i) => <span className="text-2">{kindOf(i.kind).one}{i.holds ? <span className="text-3"> with {plural(i.holds, ...(kindOf(i.kind).holds ?? ['thing', 'things']))}</span> : ''}</span> },
    { id: 'parent', header: 'In', from: 900, cell: (i) => <span className="text-2 inline-block max-w-[220px] clip align-bottom" title={i.parent}>{i.parent}</span> },
    ...(apart ? [{ id: 'workspace', header: 'Workspace', from: 1000, cell: (i: TrashItem) => <span className="text-2">{i.workspace}</span> }] : []),
    { id: 'size', header: 'Size', num: true, from: 420, cell: (i) => (i.bytes === undefined ? <span className="text-3">not counted</span> : <span title={i.files === undefined ? undefined : plural(i.files, 'file')}>{bytes(i.bytes)}</span>) },
    { id: 'deleted', header: 'Deleted', from: 560, cell: (i) => <span className="text-2"><Time at={i.deleted_at} />{i.deleted_by && <span className="text-3"> by {who(i.deleted_by).name}</span>}</span> },
    { id: 'until', header: 'Goes for good', from: 720, cell: (i) => (i.used_by && i.used_by.length > 0 ? <span className="text-3" title={`needed by ${i.used_by.join(', ')}`}>stays, it is needed</span> : i.purge_at ? <Time at={i.purge_at} /> : <span className="text-3">when purged</span>) },
    { id: 'do', num: true, header: <span className="sr-only">Restore</span>, cell: (i) => <button type="button" className="btn s" disabled={busy} aria-label={`Restore ${i.name || i.id}`} onClick={() => restore(i.id)}><RotateCcw size={12} />Restore</button> },
  ], [restore, busy, apart])
}

function Name({ item: i }: { item: TrashItem }) {
  const to = pageInTrash(i.id)
  const name = i.name || i.id
  return (
    <>
      <span className="flex items-center gap-1.5">
        {to ? <Go className="strong clip max-w-[min(280px,44vw)]" to={to} title={name}>{name}</Go> : <b className="clip max-w-[min(280px,44vw)]" title={name}>{name}</b>}
        {i.used_by && i.used_by.length > 0 && <Tag look="line" title={`needed by ${i.used_by.join(', ')}`}>in use</Tag>}
      </span>
      <span className="hidden @max-[560px]:block text-3 text-xs pb-1">{kindOf(i.kind).one}, <Time at={i.deleted_at} /></span>
    </>
  )
}
