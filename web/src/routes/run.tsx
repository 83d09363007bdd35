import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Boxes, GitBranch } from 'lucide-react'
import { useMemo, useState, type ReactNode } from 'react'
import { CurveControls, MetricChart, runColors, type CurveView } from '@/features/run/MetricChart'
import { http } from '@/lib/api/http'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Run } from '@/lib/api/types'
import { absolute, num, plural, shortId } from '@/lib/format'
import { datasetOf, href } from '@/lib/href'
import { mainMetric } from '@/lib/metrics'
import { rank } from '@/lib/search'
import { look } from '@/lib/states'
import { CodeTabs, Id } from '@/ui/Code'
import { Field } from '@/ui/Controls'
import { Dialog } from '@/ui/Dialog'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox, ErrorPanel } from '@/ui/ErrorBox'
import { Files } from '@/ui/Files'
import { FilterBox } from '@/ui/FilterBox'
import { Go, useGo } from '@/ui/Go'
import { Markdown } from '@/ui/Markdown'
import { Page, Tabs } from '@/ui/Page'
import { KeyValues, Panel } from '@/ui/Panel'
import { Pill, Tag } from '@/ui/Status'
import { Time, Took } from '@/ui/Time'
import { toast } from '@/ui/toasts'

const route = getRouteApi('/runs/$id')

export function RunPage(): ReactNode {
  const { id } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const run = useQuery({ ...q.run(id), refetchInterval: (query) => (query.state.data?.status === 'RUNNING' ? 3_000 : false) })
  const experiment = useQuery({ ...q.experiment(run.data?.experiment_id ?? ''), enabled: run.data !== undefined })
  const [register, setRegister] = useState(false)
  const r = run.data
  if (!r) return <Page crumbs={[{ label: 'Experiments', to: '/experiments' }]} title={shortId(id)}>{run.error ? <ErrorPanel error={run.error} title="Can't read the run" onRetry={() => void run.refetch()} /> : <Skeleton rows={6} />}</Page>
  const state = look(r.status)
  const main = mainMetric(Object.keys(r.metrics))
  const tab = search.tab ?? 'charts'
  const view: CurveView = { smooth: search.smooth ?? 0, byTime: search.x === 'time', log: search.log ?? false }
  return (
    <Page bare title={r.name} status={<Pill kind={state.kind}>{state.word}</Pill>}
      crumbs={[{ label: 'Experiments', to: '/experiments' }, { label: experiment.data?.name ?? r.experiment_id, to: '/experiments/$id', params: { id: r.experiment_id } }]}
      meta={<>{r.user && `${r.user}, `}<Time at={r.start_time} />, {r.status === 'RUNNING' ? 'for' : 'took'} <Took from={r.start_time} to={r.end_time} /></>}
      actions={<><Go className="btn ghost" to={href.lineage(`run:${r.id}`)}><GitBranch size={14} />Lineage</Go>{(r.models?.length ?? 0) > 0 && <button type="button" className="btn pri" onClick={() => setRegister(true)}><Boxes size={14} />Register model…</button>}</>}
      verdict={<RunVerdict run={r} main={main} />}
      tabs={<Tabs value={tab} items={[{ value: 'charts', label: 'Overview' }, { value: 'details', label: 'Parameters and tags', count: Object.keys(r.params).length }, { value: 'files', label: 'Artifacts' }]}
        right={tab === 'charts' ? <CurveControls view={view} onChange={(v) => set({ smooth: v.smooth || undefined, x: v.byTime ? 'time' : undefined, log: v.log || undefined })} /> : undefined} />}>
      <div className="body">
        {tab === 'charts' && <div className="grid gap-4 cols:grid-cols-[minmax(0,1fr)_300px] items-start"><div className="min-w-0"><Charts run={r} view={view} main={main} find={search.find ?? ''} onFind={(find) => set({ find: find || undefined })} /></div><Aside run={r} /></div>}
        {tab === 'details' && <Details run={r} find={search.find ?? ''} onFind={(find) => set({ find: find || undefined })} />}
        {tab === 'files' && <Files list={(path) => q.runFiles(r.id, path)} content={`/api/v1/runs/${encodeURIComponent(r.id)}/files/content`} open={search.file} onOpen={(file) => set({ file })} empty={{ title: 'No artifacts', text: 'This run logged no files. mlflow.log_artifact adds one.' }} />}
      </div>
      <Register run={r} open={register} onClose={() => setRegister(false)} />
    </Page>
  )
}

function RunVerdict({ run: r, main }: { run: Run; main: string | undefined }) {
  const inputs = (r.inputs ?? []).map((i) => ({ i, d: datasetOf(i.source) }))
  const first = inputs[0]
  const data = first ? (first.d ? <Go to={href.dataset(first.d.name, first.d.version)}>{first.d.name} v{first.d.version}</Go> : <>{first.i.name}</>) : null
  const figure = main && r.metrics[main] !== undefined ? <><b>{main} {num(r.metrics[main])}</b></> : null
  if (r.status === 'RUNNING') return <><b>Running</b>{data && <> on {data}</>}{figure && <>; {figure} so far</>}.</>
  if (r.status === 'FAILED') return <><b>Failed</b> after <Took from={r.start_time} to={r.end_time} />{figure && <>; it had reached {figure}</>}. The artifacts and tags tell more.</>
  if (!figure) return <>Logged {plural(Object.keys(r.params).length, 'parameter')} and no metric{data && <>, on {data}</>}.</>
  return <>{figure}{data && <> on {data}</>}{(r.models?.length ?? 0) > 0 && <>; it logged {plural(r.models!.length, 'model')}</>}.</>
}

function Charts({ run: r, view, main, find, onFind }: { run: Run; view: CurveView; main: string | undefined; find: string; onFind: (find: string) => void }) {
  const keys = useMemo(() => {
    const all = Object.keys(r.metrics).sort((a, b) => Number(b === main) - Number(a === main) || Number(a.startsWith('system/')) - Number(b.startsWith('system/')) || a.localeCompare(b))
    return rank(find, all, (k) => k, (k) => k)
  }, [r.metrics, main, find])
  const colors = useMemo(() => runColors([r.id]), [r.id])
  const runs = useMemo(() => [r], [r])
  const [most, setMost] = useState(12)
  if (Object.keys(r.metrics).length === 0) return <section className="panel"><Empty title="No metrics" command='mlflow.log_metric("val_mae", 38.2, step=10)'>This run logged none{r.status === 'RUNNING' ? ' yet; they appear here as they come' : ''}.</Empty></section>
  return (
    <>
      {Object.keys(r.metrics).length > 6 && <div className="flex mb-3"><FilterBox value={find} placeholder="Find a metric" onChange={onFind} /></div>}
      <div className={`grid gap-3.5 ${keys.length === 1 ? '' : keys.length < 5 ? 'sheet:grid-cols-2' : 'cols:grid-cols-3 sheet:grid-cols-2'}`}>
        {keys.slice(0, most).map((k) => (
          <section key={k} className="panel px-3.5 py-2"><MetricChart metric={k} runs={runs} colors={colors} view={view} height={keys.length === 1 ? 300 : keys.length < 5 ? 190 : 132} sync={`run-${r.id}`} right={<b className="text-1 text-sm">{num(r.metrics[k])}</b>} /></section>
        ))}
      </div>
      {keys.length > most && <button type="button" className="btn mt-3.5" onClick={() => setMost(most + 24)}>Show {Math.min(24, keys.length - most)} more of {keys.length - most}</button>}
      {keys.length === 0 && <p className="text-3">No metric is called “{find}”.</p>}
    </>
  )
}

/** Beside the charts: what went in and what came out. */
function Aside({ run: r }: { run: Run }) {
  const params = Object.entries(r.params)
  const shown = [...params].sort(([, a], [, b]) => Number(Number.isFinite(Number(b))) - Number(Number.isFinite(Number(a)))).slice(0, 12)
  const versions = useQuery(q.models()).data?.items ?? []
  return (
    <div className="grid gap-3.5 min-w-0">
      <Panel title="Data and code"><div className="px-3.5 py-2.5"><KeyValues items={[
        ...(r.inputs ?? []).map((i): [string, ReactNode] => { const d = datasetOf(i.source); return [i.context || 'Data', d ? <Go key={i.digest} className="link" to={href.dataset(d.name, d.version)}>{d.name} v{d.version}</Go> : i.name] }),
        ['Source', r.source], ['Commit', r.commit ? <Id key="c" id={r.commit} /> : ''], ['Author', r.user], ['Run', <Id key="i" id={r.id} />], ['Part of', r.parent_id ? <Go key="p" className="link" to={href.run(r.parent_id)}>{shortId(r.parent_id)}</Go> : ''],
      ]} /></div></Panel>
      {(r.models?.length ?? 0) > 0 && <Panel title="Models it logged"><div className="px-3.5 py-2 text-sm">{r.models!.map((m) => <div key={m.model_id} className="flex justify-between gap-2 py-0.5"><b className="clip">{m.name}</b><Id id={m.model_id} length={12} /></div>)}{versions.length === 0 && <p className="text-3">None is registered yet.</p>}</div></Panel>}
      {params.length > 0 && <Panel title="Parameters" right={params.length > shown.length ? `${shown.length} of ${params.length}` : params.length}><div className="px-3.5 py-2.5"><dl className="kv mono">{shown.map(([k, v]) => <div key={k} className="contents"><dt>{k}</dt><dd className="text-right clip" title={v}>{v}</dd></div>)}</dl></div></Panel>}
    </div>
  )
}

function Details({ run: r, find, onFind }: { run: Run; find: string; onFind: (find: string) => void }) {
  const own = Object.entries(r.tags).filter(([k]) => !k.startsWith('mlflow.'))
  const system = Object.entries(r.tags).filter(([k]) => k.startsWith('mlflow.') && k !== 'mlflow.note.content')
  const params = rank(find, Object.entries(r.params), ([k, v]) => `${k} ${v}`, ([k]) => k)
  const note = r.tags['mlflow.note.content']
  const commit = r.commit || r.tags['mlflow.source.git.commit']
  return (
    <>
      <div className="flex mb-3"><FilterBox value={find} placeholder="Find a parameter" onChange={onFind} /></div>
      <div className="grid gap-3.5 cols:grid-cols-2 items-start">
        <Panel title="Parameters" right={plural(params.length, 'parameter')}>
          {params.length === 0 ? <p className="p-3.5 text-2">{find ? `No parameter is called “${find}”.` : 'This run logged no parameter.'}</p> : <table className="tbl dense"><tbody>{params.map(([k, v]) => <tr key={k}><td className="mono text-2">{k}</td><td className="mono !whitespace-normal text-right" style={{ overflowWrap: 'anywhere' }}>{v}</td></tr>)}</tbody></table>}
        </Panel>
        <div className="grid gap-3.5 min-w-0">
          <Panel title="Where it comes from"><div className="p-3.5"><KeyValues items={[
            ['Run id', <Id key="i" id={r.id} length={12} />], ['Started', absolute(r.start_time)], ['Author', r.user], ['Source', r.source], ['Commit', commit ? <Id key="c" id={commit} length={8} /> : ''],
            ...(r.inputs ?? []).map((i): [string, ReactNode] => { const d = datasetOf(i.source); return [i.context ? `Data, ${i.context}` : 'Data', <span key={i.name + i.digest}>{d ? <Go className="link" to={href.dataset(d.name, d.version)}>{d.name} v{d.version}</Go> : i.name} <span className="mono text-3">{i.digest}</span></span>] }),
            ...(r.models ?? []).map((m): [string, ReactNode] => ['Model', <span key={m.model_id}>{m.name} <span className="mono text-3">{m.model_id}</span></span>]),
            ['Artifacts', r.artifact_uri ? <span key="a" className="mono">{r.artifact_uri}</span> : ''],
          ]} /></div></Panel>
          {note && <Panel title="Note"><div className="p-3.5"><Markdown text={note} /></div></Panel>}
          <Panel title="Tags">{own.length === 0 ? <p className="p-3.5 text-2">No tag of your own.</p> : <div className="flex flex-wrap gap-1.5 p-3.5">{own.map(([k, v]) => <Tag key={k}>{k}: {v}</Tag>)}</div>}
            {system.length > 0 && <details className="border-t border-border"><summary className="px-3.5 py-2 text-sm text-2">{plural(system.length, 'tag')} of the client</summary><div className="px-3.5 pb-3"><KeyValues items={system.map(([k, v]) => [k, <span key={k} className="mono">{v.length > 300 ? `${v.slice(0, 300)}…` : v}</span>] as const)} /></div></details>}</Panel>
          <Panel title="The same in code"><div className="p-3.5"><CodeTabs tabs={[{ name: 'CLI', text: cli.getRun(r.id) }, { name: 'Python', text: `import mlflow\n\nmlflow.set_tracking_uri("${location.origin}")\nrun = mlflow.get_run("${r.id}")` }, { name: 'curl', text: `curl -s ${location.origin}/api/v1/runs/${r.id}` }]} /></div></Panel>
        </div>
      </div>
    </>
  )
}

function Register({ run: r, open, onClose }: { run: Run; open: boolean; onClose: () => void }) {
  const go = useGo()
  const models = useQuery({ ...q.models(), enabled: open })
  const logged = r.models ?? []
  const [which, setWhich] = useState(0)
  const [name, setName] = useState('')
  const [text, setText] = useState('')
  const [error, setError] = useState<Error | null>(null)
  const [busy, setBusy] = useState(false)
  const nameError = name !== '' && !/^[\w][\w.\- ]{0,199}$/.test(name) ? 'Letters, digits, dots, dashes and underscores.' : undefined
  const submit = async () => {
    const chosen = logged[which]
    if (!chosen || name === '' || nameError) return
    setBusy(true)
    setError(null)
    try {
      if (!models.data?.items.some((m) => m.name === name)) await http.post('/api/v1/models', { body: { name } })
      const version = await http.post<{ version: string }>(`/api/v1/models/${encodeURIComponent(name)}/versions`, { body: { source: `models:/${chosen.model_id}`, description: text } })
      toast({ kind: 'ok', text: `${name} v${version.version} registered` })
      go(href.model(name, version.version))
    } catch (e) {
      setError(e instanceof Error ? e : new Error(String(e)))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog open={open} onClose={onClose} title="Register a model">
      <form className="grid gap-3 mt-2" onSubmit={(e) => { e.preventDefault(); void submit() }}>
        {logged.length > 1 && <Field label="Logged model">{(p) => <select {...p} className="inp" value={which} onChange={(e) => setWhich(Number(e.target.value))}>{logged.map((m, i) => <option key={m.model_id} value={i}>{m.name}</option>)}</select>}</Field>}
        <Field label="Model" help={models.data?.items.some((m) => m.name === name) ? 'A new version of it.' : 'A new name makes a new model.'} error={nameError}>{(p) => <><input {...p} className="inp" list="known-models" autoFocus value={name} onChange={(e) => setName(e.target.value)} /><datalist id="known-models">{models.data?.items.map((m) => <option key={m.name} value={m.name} />)}</datalist></>}</Field>
        <Field label="What is new" help="One sentence for those who choose between versions.">{(p) => <input {...p} className="inp" value={text} onChange={(e) => setText(e.target.value)} />}</Field>
        {error && <ErrorBox error={error} title="Not registered" />}
        <div className="flex justify-end gap-2"><button type="button" className="btn" onClick={onClose}>Cancel</button><button type="submit" className="btn pri" disabled={busy || name === '' || nameError !== undefined}>Register</button></div>
      </form>
    </Dialog>
  )
}
