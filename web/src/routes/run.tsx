import { useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Boxes, GitBranch, Trash2 } from 'lucide-react'
import { useMemo, useState, type ReactNode } from 'react'
import { discardModels } from '@/features/experiment/ModelsTab'
import { childQuery, Children } from '@/features/run/Children'
import { epochKey } from '@/charts/curve'
import { CurveControls, curveSearch, curveView } from '@/features/run/MetricChart'
import { Reproduce } from '@/features/run/Reproduce'
import { RunCharts } from '@/features/run/RunCharts'
import { bulk } from '@/features/run/source'
import { http } from '@/lib/api/http'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Run } from '@/lib/api/types'
import { num, plural, shortId } from '@/lib/format'
import { datasetOf, href } from '@/lib/href'
import { BetterProvider } from '@/lib/better'
import { betterOf, mainMetric } from '@/lib/metrics'
import { rank } from '@/lib/search'
import { look } from '@/lib/states'
import { CodeTabs, Id } from '@/ui/Code'
import { Field } from '@/ui/Controls'
import { DeleteMenu, RestoreButton } from '@/ui/DeleteMenu'
import { Dialog } from '@/ui/Dialog'
import { Skeleton } from '@/ui/Empty'
import { EditText } from '@/ui/EditText'
import { ErrorBox, ErrorPanel } from '@/ui/ErrorBox'
import { Files } from '@/ui/Files'
import { FilterBox } from '@/ui/FilterBox'
import { Go, useGo } from '@/ui/Go'
import { MenuItem } from '@/ui/Menu'
import { Page, Tabs } from '@/ui/Page'
import { KeyValues, Panel } from '@/ui/Panel'
import { Pill, Tag } from '@/ui/Status'
import { Time, Took } from '@/ui/Time'
import { toast } from '@/ui/toasts'
import { useDiscard } from '@/ui/useDiscard'

const route = getRouteApi('/runs/$id')

export function RunPage(): ReactNode {
  const { id } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const run = useQuery({ ...q.run(id), refetchInterval: (query) => (query.state.data?.status === 'RUNNING' ? 3_000 : false) })
  const experiment = useQuery({ ...q.experiment(run.data?.experiment_id ?? ''), enabled: run.data !== undefined })
  const children = useQuery({ ...childQuery(run.data ?? { id, experiment_id: '' }), enabled: run.data !== undefined }).data?.items.length ?? 0
  const [register, setRegister] = useState(false)
  const declared = experiment.data?.best
  const better = useMemo(() => betterOf(declared), [declared])
  const r = run.data
  if (!r) return <Page crumbs={[{ label: 'Experiments', to: '/experiments' }]} title={shortId(id)}>{run.error ? <ErrorPanel error={run.error} title="Can't read the run" onRetry={() => void run.refetch()} /> : <Skeleton rows={6} />}</Page>
  const state = look(r.status)
  const gone = r.lifecycle === 'deleted'
  const main = mainMetric(Object.keys(r.metrics), better)
  const tab = search.tab ?? 'charts'
  const view = curveView(search)
  return (
    <Page bare title={r.name} status={<>{gone && <Pill kind="pause">Deleted</Pill>}<Pill kind={state.kind}>{state.word}</Pill></>}
      crumbs={[{ label: 'Experiments', to: '/experiments' }, { label: experiment.data?.name ?? r.experiment_id, to: '/experiments/$id', params: { id: r.experiment_id } }]}
      meta={<>{r.user && `${r.user}, `}<Time at={r.start_time} />, {r.status === 'RUNNING' ? 'for' : 'took'} <Took from={r.start_time} to={r.end_time} /></>}
      actions={<><More run={r} gone={gone} /><Go className="btn ghost" to={href.lineage(`run:${r.id}`)}><GitBranch size={14} />Lineage</Go>{(r.models?.length ?? 0) > 0 && <button type="button" className="btn pri" onClick={() => setRegister(true)}><Boxes size={14} />Register model…</button>}</>}
      verdict={<RunVerdict run={r} main={main} />}
      tabs={<Tabs value={tab} items={[{ value: 'charts', label: 'Overview' }, { value: 'details', label: 'Parameters and tags', count: Object.keys(r.params).length }, { value: 'files', label: 'Artifacts' }, { value: 'reproduce', label: 'Code, data, environment' }, ...(children > 0 || search.tab === 'children' ? [{ value: 'children' as const, label: 'Child runs', count: children }] : [])]}
        right={tab === 'charts' ? <CurveControls view={view} epochs={epochKey(r.metrics) !== undefined} onChange={(v) => set(curveSearch(v))} /> : undefined} />}>
      <BetterProvider value={better}><div className="body">
        {tab === 'charts' && <div className="grid gap-4 cols:grid-cols-[minmax(0,1fr)_300px] items-start"><div className="min-w-0"><RunCharts run={r} view={view} main={main} find={search.find ?? ''} onFind={(find) => set({ find: find || undefined })} /></div><Aside run={r} /></div>}
        {tab === 'details' && <Details run={r} find={search.find ?? ''} onFind={(find) => set({ find: find || undefined })} />}
        {tab === 'files' && <Files list={(path) => q.runFiles(r.id, path)} content={`/api/v1/runs/${encodeURIComponent(r.id)}/files/content`} preview={`/api/v1/runs/${encodeURIComponent(r.id)}/files/preview`} open={search.file} onOpen={(file) => set({ file })} empty={{ title: 'No artifacts', text: 'This run logged no files. mlflow.log_artifact adds one.' }} />}
        {tab === 'reproduce' && <Reproduce run={r} />}
        {tab === 'children' && <Children run={r} />}
      </div></BetterProvider>
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

/** Beside the charts: what went in and what came out. */
function Aside({ run: r }: { run: Run }) {
  const params = Object.entries(r.params)
  const shown = [...params].sort(([, a], [, b]) => Number(Number.isFinite(Number(b))) - Number(Number.isFinite(Number(a)))).slice(0, 12)
  const versions = useQuery(q.models()).data?.items ?? []
  const discard = useDiscard()
  return (
    <div className="grid gap-3.5 min-w-0">
      <Panel title="Note"><div className="px-3.5 py-2.5"><NoteText run={r} /></div></Panel>
      <Panel title="Data and code"><div className="px-3.5 py-2.5"><KeyValues items={[
        ...(r.inputs ?? []).map((i): [string, ReactNode] => { const d = datasetOf(i.source); return [i.context || 'Data', d ? <Go key={i.digest} className="link" to={href.dataset(d.name, d.version)}>{d.name} v{d.version}</Go> : i.name] }),
        ['Source', r.source], ['Commit', r.commit ? <Id key="c" id={r.commit} /> : ''], ['Author', r.user], ['Run', <Id key="i" id={r.id} />], ['Part of', r.parent_id ? <Go key="p" className="link" to={href.run(r.parent_id)}>{shortId(r.parent_id)}</Go> : ''],
      ]} /></div></Panel>
      {(r.models?.length ?? 0) > 0 && <Panel title="Models it logged"><div className="px-3.5 py-2 text-sm">{r.models!.map((m) => <div key={m.model_id} className="flex justify-between gap-2 py-0.5"><b className="clip">{m.name}</b><span className="flex items-center gap-1"><Id id={m.model_id} length={12} /><button type="button" className="btn ghost icon s" aria-label={`Delete the logged model ${m.name}`} title="Delete" onClick={() => void discard({ what: `the logged model ${m.name}`, ...discardModels([m.model_id]) })}><Trash2 size={12} /></button></span></div>)}{versions.length === 0 && <p className="text-3">None is registered yet.</p>}</div></Panel>}
      {params.length > 0 && <Panel title="Parameters" right={params.length > shown.length ? `${shown.length} of ${params.length}` : params.length}><div className="px-3.5 py-2.5"><dl className="kv mono">{shown.map(([k, v]) => <div key={k} className="contents"><dt>{k}</dt><dd className="text-right clip" title={v}>{v}</dd></div>)}</dl></div></Panel>}
    </div>
  )
}

function Details({ run: r, find, onFind }: { run: Run; find: string; onFind: (find: string) => void }) {
  const own = Object.entries(r.tags).filter(([k]) => !k.startsWith('mlflow.'))
  const system = Object.entries(r.tags).filter(([k]) => k.startsWith('mlflow.') && k !== 'mlflow.note.content')
  const params = rank(find, Object.entries(r.params), ([k, v]) => `${k} ${v}`, ([k]) => k)
  return (
    <>
      <div className="flex mb-3"><FilterBox value={find} placeholder="Find a parameter" onChange={onFind} /></div>
      <div className="grid gap-3.5 cols:grid-cols-2 items-start">
        <Panel title="Parameters" right={plural(params.length, 'parameter')}>
          {params.length === 0 ? <p className="p-3.5 text-2">{find ? `No parameter is called “${find}”.` : 'This run logged no parameter.'}</p> : <table className="tbl dense"><tbody>{params.map(([k, v]) => <tr key={k}><td className="mono text-2 !whitespace-normal max-w-[55vw] break-words">{k}</td><td className="mono !whitespace-normal text-right min-w-16" style={{ overflowWrap: 'anywhere' }}>{v}</td></tr>)}</tbody></table>}
        </Panel>
        <div className="grid gap-3.5 min-w-0">
          <Panel title="Tags">{own.length === 0 ? <p className="p-3.5 text-2">No tag of your own.</p> : <div className="flex flex-wrap gap-1.5 p-3.5">{own.map(([k, v]) => <Tag key={k}>{k}: {v}</Tag>)}</div>}
            {system.length > 0 && <details className="border-t border-border"><summary className="px-3.5 py-2 text-sm text-2">{plural(system.length, 'tag')} of the client</summary><div className="px-3.5 pb-3"><KeyValues items={system.map(([k, v]) => [k, <span key={k} className="mono">{v.length > 300 ? `${v.slice(0, 300)}…` : v}</span>] as const)} /></div></details>}</Panel>
          <Panel title="The same in code"><div className="p-3.5"><CodeTabs tabs={[{ name: 'CLI', text: cli.getRun(r.id) }, { name: 'Python', text: `import mlflow\n\nmlflow.set_tracking_uri("${location.origin}")\nrun = mlflow.get_run("${r.id}")` }, { name: 'curl', text: `curl -s ${location.origin}/api/v1/runs/${r.id}` }]} /></div></Panel>
        </div>
      </div>
    </>
  )
}

function NoteText({ run: r }: { run: Run }) {
  const client = useQueryClient()
  const save = async (description: string) => {
    client.setQueryData(['runs', r.id], await http.patch<Run>(`/api/v1/runs/${encodeURIComponent(r.id)}`, { body: { description } }))
  }
  return <EditText name="note" value={r.description ?? ''} most={8000} placeholder="What should others know of this run?" save={save} />
}

/** Renaming, deleting and bringing back. */
function More({ run: r, gone }: { run: Run; gone: boolean }) {
  const [naming, setNaming] = useState(false)
  const failed = (e: unknown) => toast({ kind: 'bad', text: e instanceof Error ? e.message : String(e) })
  if (gone) return <RestoreButton id={`run:${r.id}`}>Restore the run</RestoreButton>
  return (
    <>
      <DeleteMenu deletes={[{ label: 'Delete', what: r.name, remove: () => bulk.remove([r.id]), restore: () => bulk.restore([r.id]), away: href.experiment(r.experiment_id), back: href.run(r.id) }]}>
        <MenuItem onSelect={() => setNaming(true)}>Rename…</MenuItem><MenuItem onSelect={() => void navigator.clipboard.writeText(r.id).then(() => toast({ kind: 'ok', text: 'Run id copied' }), failed)}>Copy the run id</MenuItem>
      </DeleteMenu>
      <Dialog open={naming} onClose={() => setNaming(false)} title="Rename the run">{naming && <Rename run={r} onClose={() => setNaming(false)} />}</Dialog>
    </>
  )
}

function Rename({ run: r, onClose }: { run: Run; onClose: () => void }) {
  const client = useQueryClient()
  const [name, setName] = useState(r.name)
  const [error, setError] = useState<unknown>()
  const submit = () => http.patch<Run>(`/api/v1/runs/${encodeURIComponent(r.id)}`, { body: { name: name.trim() } }).then((next) => { client.setQueryData(['runs', r.id], next); onClose() }, setError)
  return (
    <form className="mt-2 grid gap-3" onSubmit={(e) => { e.preventDefault(); if (name.trim() !== '') void submit() }}>
      <Field label="Name">{(p) => <input {...p} className="inp" autoFocus maxLength={250} value={name} onChange={(e) => setName(e.target.value)} />}</Field>
      {error !== undefined && <ErrorBox error={error} title="Not renamed" />}
      <div className="flex justify-end gap-2"><button type="button" className="btn" onClick={onClose}>Cancel</button><button type="submit" className="btn pri" disabled={name.trim() === ''}>Rename run</button></div>
    </form>
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
