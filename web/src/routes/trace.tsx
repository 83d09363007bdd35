import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo, type ReactNode } from 'react'
import { Assessments } from '@/features/trace/Assessments'
import { SpanDetail } from '@/features/trace/SpanDetail'
import { discardTraces, stateOf, traceQuery, type TraceDetail } from '@/features/trace/api'
import { culprit, rowsOf, slowest, spanOf, type Row } from '@/features/trace/tree'
import { typeColors, Waterfall } from '@/features/trace/Waterfall'
import { q } from '@/lib/api/queries'
import { count, ms, num, pct, plural, shortId } from '@/lib/format'
import { href } from '@/lib/href'
import { Id } from '@/ui/Code'
import { DeleteMenu } from '@/ui/DeleteMenu'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { Page } from '@/ui/Page'
import { KeyValues, Panel } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { Pill } from '@/ui/Status'
import { Time } from '@/ui/Time'

const route = getRouteApi('/traces/$id')

export function TracePage(): ReactNode {
  const { id } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const query = useQuery(traceQuery(id))
  const t = query.data
  const experiment = useQuery({ ...q.experiment(t?.experiment_id ?? ''), enabled: t !== undefined })
  const spans = t?.spans
  const rows = useMemo(() => rowsOf(spans ?? []), [spans])
  const colors = useMemo(() => typeColors(spans ?? []), [spans])
  if (!t) return <Page crumbs={[{ label: 'Experiments', to: '/experiments' }]} title={shortId(id, 12)}>{query.error ? <ErrorPanel error={query.error} title="Can't read the trace" onRetry={() => void query.refetch()} /> : <Skeleton rows={8} />}</Page>
  const state = stateOf(t.state)
  const total = spanOf(t.spans)
  const chosen = rows.find((r) => r.span.id === search.span) ?? (t.state === 'ERROR' ? culprit(rows) : undefined) ?? rows[0]
  const part = search.part ?? 'span'
  const pick = (span: string) => set({ span, part: undefined })
  return (
    <Page title={t.name || shortId(t.id, 12)} status={<Pill kind={state.kind}>{state.word}</Pill>}
      crumbs={[{ label: 'Experiments', to: '/experiments' }, { label: experiment.data?.name ?? t.experiment_id, to: '/experiments/$id', params: { id: t.experiment_id }, search: { tab: 'traces' } }]}
      meta={<><Time at={t.start_time} />{t.duration_ms !== undefined && <>, took {ms(t.duration_ms)}</>}, {plural(t.spans.length, 'span')}{t.tokens && <>, {count(t.tokens.total_tokens)} tokens</>}{t.cost_usd !== undefined && <>, ${num(t.cost_usd)}</>}</>}
      actions={<DeleteMenu deletes={[{ label: 'Delete the trace', what: t.name || shortId(t.id, 12), ...discardTraces(t.experiment_id, [t.id]), away: href.traces(t.experiment_id), back: href.trace(t.id) }]} />}
      verdict={<Verdict trace={t} rows={rows} onSpan={pick} />}>
      {t.spans.length === 0 ? <section className="panel"><Empty title="No spans yet">The trace was told of, its spans have not arrived{t.state === 'IN_PROGRESS' ? '; they appear here as they come' : ''}.</Empty></section> : (
        <div className="grid gap-3.5 items-start cols:grid-cols-[minmax(0,3fr)_minmax(320px,2fr)]">
          <Panel title="Spans" right={<Legend colors={colors} />}><Waterfall spans={t.spans} selected={chosen?.span.id} onSelect={pick} colors={colors} /></Panel>
          <section className="panel cols:sticky cols:top-0 cols:max-h-[calc(100vh-190px)] !overflow-auto">
            <div className="ph"><Segmented small label="Part" value={part} onChange={(p) => set({ part: p === 'span' ? undefined : p })} options={[{ value: 'span', label: 'Span' }, { value: 'assessments', label: `Assessments ${t.assessments.length || ''}`.trim() }, { value: 'details', label: 'Tags and metadata' }]} /></div>
            {part === 'span' && chosen && <SpanDetail key={chosen.span.id} row={chosen} color={colors.get(chosen.span.type) ?? 'var(--ref)'} total={total} />}
            {part === 'assessments' && <Assessments trace={t} onSpan={pick} />}
            {part === 'details' && <Details trace={t} />}
          </section>
        </div>
      )}
    </Page>
  )
}

function Legend({ colors }: { colors: ReadonlyMap<string, string> }) {
  return <span className="legend not-sheet">{[...colors].slice(0, 6).map(([type, color]) => <span key={type}><i className="sw" style={{ background: color }} />{type.toLowerCase().replaceAll('_', ' ')}</span>)}</span>
}

/** Where it failed, or where the time went. */
function Verdict({ trace: t, rows, onSpan }: { trace: TraceDetail; rows: readonly Row[]; onSpan: (id: string) => void }) {
  const link = (r: Row) => <button type="button" className="link" onClick={() => onSpan(r.span.id)}>{r.span.name}</button>
  const bad = t.state === 'ERROR' ? culprit(rows) : undefined
  const slow = slowest(rows)
  const total = spanOf(t.spans)
  if (bad) return <><b>Failed in {link(bad)}</b> after {ms(bad.span.offset_ms + (bad.span.duration_ms ?? 0))}{bad.span.message && <>: {bad.span.message}</>}.</>
  if (t.state === 'IN_PROGRESS') return <><b>Running</b>; {plural(t.spans.length, 'span')} so far.</>
  if (!slow || rows.length < 2) return <>{t.request_preview ? <>Asked: {t.request_preview.slice(0, 200)}</> : 'One span.'}</>
  const failed = rows.filter((r) => r.span.status === 'ERROR').length
  return <><b>{pct(slow.self / total, 0)} of the time went into {link(slow)}</b>, {ms(slow.self)} of {ms(total)}{failed > 0 && <>; {plural(failed, 'span')} failed on the way</>}.</>
}

function Details({ trace: t }: { trace: TraceDetail }) {
  const tags = Object.entries(t.tags).filter(([k]) => !k.startsWith('mlflow.'))
  const meta = Object.entries(t.metadata).filter(([k]) => k !== 'mlflow.traceInputs' && k !== 'mlflow.traceOutputs')
  const runs = [...new Set([...(t.run_id ? [t.run_id] : []), ...t.runs])]
  return (
    <div>
      <div className="px-3.5 py-3"><KeyValues items={[
        ['Trace', <Id key="t" id={t.id} length={14} />], ['Request id', t.client_request_id], ['Session', t.session_id], ['User', t.user],
        ['Runs', runs.length > 0 ? <span key="r" className="flex flex-wrap gap-2">{runs.map((r) => <Go key={r} className="link mono" to={href.run(r)}>{r.slice(0, 8)}</Go>)}</span> : ''],
        ['Prompts', t.prompts.join(', ')], ['Tokens', t.tokens && `${count(t.tokens.input_tokens)} in, ${count(t.tokens.output_tokens)} out`],
      ]} /></div>
      {tags.length > 0 && <div className="ds !px-3.5"><div className="sec">Tags</div><KeyValues items={tags} /></div>}
      {meta.length > 0 && <div className="ds !px-3.5"><div className="sec">Metadata</div><KeyValues items={meta.map(([k, v]): [string, ReactNode] => [k, <span key={k} className="mono">{v}</span>])} /></div>}
    </div>
  )
}
