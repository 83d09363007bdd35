import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Trash2, X } from 'lucide-react'
import { useMemo, useState, type ReactNode } from 'react'
import { ApiError } from '@/lib/api/http'
import { count, ms, plural } from '@/lib/format'
import { href } from '@/lib/href'
import { useKeys } from '@/lib/keys'
import { parseSort, sortText } from '@/lib/url'
import { DataTable, type Column } from '@/ui/DataTable'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox } from '@/ui/ErrorBox'
import { FilterBox } from '@/ui/FilterBox'
import { Go, useGo } from '@/ui/Go'
import { Segmented } from '@/ui/Segmented'
import { Shape } from '@/ui/Shape'
import { Tag } from '@/ui/Status'
import { Time } from '@/ui/Time'
import { useDiscard } from '@/ui/useDiscard'
import { discardTraces, plain, said, searchTraces, stateOf, threeLines, type Trace } from './api'

const route = getRouteApi('/experiments/$id')
const orderOf: Record<string, string> = { started: 'timestamp_ms', took: 'execution_time_ms', name: 'name' }
const suggestions = ['trace.status', 'trace.name', 'execution_time_ms', 'timestamp_ms', 'run_id', 'tag.', 'metadata.', 'span.name', 'span.type', 'span.status', 'span.attributes.', 'feedback.', 'expectation.', 'trace.text', 'and', 'or', 'not', 'like', 'ilike', 'rlike', 'is null']

/** The traces of an experiment: newest first, filtered and sorted by the server. */
export function ExperimentTraces({ id }: { id: string }): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const go = useGo()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const sort = parseSort(search.tsort)
  const filter = search.tfilter ?? ''
  const state = search.tstate ?? 'all'
  const body = { experiment_ids: [id], filter, ...(state === 'all' ? {} : { state: state === 'ok' ? 'OK' : 'ERROR' }), order_by: sort && orderOf[sort.id] ? [`${orderOf[sort.id]} ${sort.desc ? 'DESC' : 'ASC'}`] : [], page_size: 100 }
  const pages = useInfiniteQuery({
    queryKey: ['traces', 'search', body], queryFn: ({ pageParam, signal }) => searchTraces(body, pageParam, signal),
    initialPageParam: '', getNextPageParam: (last) => last.next_page_token || undefined, placeholderData: keepPreviousData, refetchInterval: 10_000,
  })
  const traces = useMemo(() => pages.data?.pages.flatMap((p) => p.items) ?? [], [pages.data])
  const columns = useColumns(traces)
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const chosen = traces.filter((t) => selected.has(t.id)).map((t) => t.id)
  const wrong = pages.error instanceof ApiError && pages.error.status === 400 ? pages.error : undefined
  if (pages.isPending) return <Skeleton rows={8} />
  if (pages.error && !wrong && traces.length === 0) return <ErrorBox error={pages.error} title="Can't read the traces" onRetry={() => void pages.refetch()} />
  if (traces.length === 0 && filter === '' && state === 'all' && !wrong) {
    return (
      <section className="panel">
        <Empty title="No traces yet" command={threeLines(id)} link={<>Any OpenTelemetry exporter works too: POST to <span className="mono">/v1/traces</span> with the header <span className="mono">x-mlflow-experiment-id: {id}</span>.</>}>
          Each call of your application appears here with its inputs, its answer and the spans between. Three lines send them:
        </Empty>
      </section>
    )
  }
  return (
    <div className="grid gap-3">
      {traces.length > 0 && <p className="verdict !m-0">{sentence(traces, pages.hasNextPage)}</p>}
      <div className="flex gap-2 items-center">
        <FilterBox mono onEnter value={filter} placeholder="span.type = 'LLM' and feedback.correct = 'false'" error={wrong?.message} suggestions={suggestions} onChange={(f) => set({ tfilter: f || undefined })} />
        <Segmented label="State" value={state} onChange={(s) => set({ tstate: s === 'all' ? undefined : s })} options={[{ value: 'all', label: 'All' }, { value: 'ok', label: 'OK' }, { value: 'error', label: 'Errors' }]} />
      </div>
      {wrong && <p className="text-bad text-sm">{wrong.message}{wrong.hint && ` ${wrong.hint}`}</p>}
      {traces.length === 0 ? !wrong && <section className="panel"><Empty title="No trace fits the filter">Change it, or <button type="button" className="link" onClick={() => set({ tfilter: undefined, tstate: undefined })}>show all traces</button>.</Empty></section> : (
        <section className={`panel ${pages.isPlaceholderData ? 'stale' : ''}`}>
          <DataTable label="Traces, newest first" columns={columns} rows={traces} rowKey={(t) => t.id} sorted sort={sort} onSort={(s) => set({ tsort: sortText(s) })} onOpen={(t) => go(href.trace(t.id))} fixed selected={selected} onSelect={setSelected} rowName={(t) => `${t.name || t.id}, ${t.request_preview.slice(0, 60)}`} />
        </section>
      )}
      {pages.hasNextPage && <button type="button" className="btn justify-self-start" disabled={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>Show more</button>}
      {chosen.length > 0 && <Chosen experiment={id} ids={chosen} onClear={() => setSelected(new Set())} />}
    </div>
  )
}

/** What can be done with the selected traces; floats over the table. */
function Chosen({ experiment, ids, onClear }: { experiment: string; ids: readonly string[]; onClear: () => void }) {
  const discard = useDiscard()
  const what = plural(ids.length, 'trace')
  const remove = () => void discard({ what, ...discardTraces(experiment, ids) }).then((went) => went && onClear())
  useKeys([
    { keys: 'Delete', label: 'Delete the selected traces', run: remove },
    { keys: 'Escape', label: 'Clear the selection', run: onClear },
  ])
  return (
    <>
      <div className="h-12" />
      <div className="float" role="toolbar" aria-label="Selected traces">
        <b>{what}</b><span className="text-3 text-sm mr-2">selected</span>
        <button type="button" className="btn s" onClick={remove}><Trash2 size={12} />Delete</button>
        <button type="button" className="btn s ghost icon" aria-label="Clear the selection" onClick={onClear}><X size={14} /></button>
      </div>
    </>
  )
}

/** What the traces tell at a glance; only about those that are loaded. */
function sentence(traces: readonly Trace[], more: boolean): ReactNode {
  const failed = traces.filter((t) => t.state === 'ERROR').length
  const times = traces.flatMap((t) => (t.duration_ms === undefined ? [] : [t.duration_ms])).sort((a, b) => a - b)
  const slow = traces.reduce<Trace | undefined>((a, t) => ((t.duration_ms ?? -1) > (a?.duration_ms ?? -1) ? t : a), undefined)
  const which = `${more ? 'the last ' : ''}${plural(traces.length, 'trace')}`
  return (
    <>
      {failed > 0 ? <b>{count(failed)} of {which} failed.</b> : <b>None of {which} failed.</b>}
      {times.length > 0 && <> Half of them took {ms(times[Math.floor((times.length - 1) / 2)])} or less</>}
      {slow?.duration_ms !== undefined && times.length > 1 && <>, the slowest <Go className="link" to={href.trace(slow.id)}>{ms(slow.duration_ms)}</Go></>}
      {times.length > 0 && '.'}
    </>
  )
}

function useColumns(traces: readonly Trace[]): Column<Trace>[] {
  return useMemo(() => {
    const longest = Math.max(0.001, ...traces.map((t) => t.duration_ms ?? 0))
    const some = (has: (t: Trace) => boolean) => traces.some(has)
    const all: (Column<Trace> | false)[] = [
      { id: 'name', header: 'Trace', width: 150, value: (t) => t.name, cell: (t) => <><span className="st max-w-full" title={stateOf(t.state).word}><Shape kind={stateOf(t.state).kind} /><Go to={href.trace(t.id)} className="clip hover:underline">{t.name || t.id}</Go></span><span className="hidden @max-[520px]:block clip text-3 text-xs pb-1">{plain(t.request_preview)}</span></> },
      { id: 'request', header: 'Request', from: 520, cell: (t) => <span className="text-2" title={t.request_preview}>{plain(t.request_preview)}</span> },
      { id: 'response', header: 'Response', from: 900, cell: (t) => <span className="text-2" title={t.response_preview}>{plain(t.response_preview)}</span> },
      { id: 'started', header: 'Started', width: 88, from: 440, value: (t) => t.start_time, cell: (t) => <span className="text-2 text-sm"><Time at={t.start_time} /></span> },
      { id: 'took', header: 'Took', num: true, width: 96, value: (t) => t.duration_ms, cell: (t) => t.duration_ms === undefined ? <span className="text-info text-sm">running</span>
        : <span className="relative inline-block min-w-16 text-right">{ms(t.duration_ms)}<i className="absolute left-0 -bottom-0.5 h-0.5 rounded-[1px] opacity-50" style={{ width: `${(t.duration_ms / longest) * 100}%`, background: t.state === 'ERROR' ? 'var(--bad-fill)' : 'var(--c1)' }} /></span> },
      some((t) => t.tokens !== undefined) && { id: 'tokens', header: 'Tokens', num: true, width: 80, from: 560, cell: (t) => <span title={t.tokens && `${count(t.tokens.input_tokens)} in, ${count(t.tokens.output_tokens)} out`}>{count(t.tokens?.total_tokens)}</span> },
      { id: 'spans', header: 'Spans', num: true, width: 64, from: 1000, cell: (t) => count(t.span_count) },
      some((t) => t.assessments.length > 0) && { id: 'said', header: 'Assessments', width: 160, from: 800, cell: (t) => <Said trace={t} /> },
      some((t) => t.run_id !== undefined) && { id: 'run', header: 'Run', width: 90, from: 1100, cell: (t) => t.run_id ? <Go className="link mono" to={href.run(t.run_id)}>{t.run_id.slice(0, 8)}</Go> : '' },
    ]
    return all.filter((c): c is Column<Trace> => c !== false)
  }, [traces])
}

function Said({ trace }: { trace: Trace }) {
  const shown = trace.assessments.filter((a) => a.valid)
  return <span className="flex gap-1 min-w-0">{shown.slice(0, 3).map((a) => <Tag key={a.id} look={a.kind === 'expectation' ? 'line' : 'accent'} title={a.rationale || `${a.kind} by ${a.source_id || a.source_type}`}>{a.name}: {said(a).slice(0, 24)}</Tag>)}{shown.length > 3 && <span className="text-3 text-sm">+{shown.length - 3}</span>}</span>
}
