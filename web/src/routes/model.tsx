import { useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Boxes, Database, FlaskConical, Radio, Tag as TagIcon } from 'lucide-react'
import { lazy, Suspense, useEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { AliasDialog } from '@/features/model/Alias'
import { AgainstChampion } from '@/features/model/Champion'
import { GatePanel } from '@/features/model/Gate'
import { deletions } from '@/features/model/discard'
import { Elsewhere, isElsewhere, whereabouts } from '@/features/model/Elsewhere'
import { aliasLife, type Stay } from '@/features/model/history'
import { useVersions } from '@/features/model/useVersions'
import { VersionDiff } from '@/features/model/VersionDiff'
import { who } from '@/lib/actor'
import { http } from '@/lib/api/http'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Endpoint, Model, Run, Version } from '@/lib/api/types'
import { bytes, count, duration, millis, num, plural, shortId, signed } from '@/lib/format'
import { datasetOf, href } from '@/lib/href'
import { BetterProvider, useBetter } from '@/lib/better'
import { againstChampion, declaredByGates, standing, standingWords, type Against } from '@/lib/champion'
import { betterOf, declaredBy, mainMetric } from '@/lib/metrics'
import { look } from '@/lib/states'
import { words } from '@/lib/events'
import { Code, CopyButton, Id } from '@/ui/Code'
import { Field } from '@/ui/Controls'
import { DeleteMenu } from '@/ui/DeleteMenu'
import { Dialog } from '@/ui/Dialog'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox, ErrorPanel } from '@/ui/ErrorBox'
import { Files } from '@/ui/Files'
import { Go, useGo } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Outside } from '@/ui/Outside'
import { Page, Tabs } from '@/ui/Page'
import { KeyValues, Panel } from '@/ui/Panel'
import { Shape } from '@/ui/Shape'
import { Pill, Tag } from '@/ui/Status'
import { Time } from '@/ui/Time'

const TimeSeries = lazy(() => import('@/charts/TimeSeries').then((m) => ({ default: m.TimeSeries })))
const route = getRouteApi('/models/$name')

export function ModelPage(): ReactNode {
  const { name } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const model = useQuery(q.model(name))
  const { list, versions, awaits, lacks } = useVersions(name, [search.version, search.base, model.data?.aliases.champion])
  const endpoints = useQuery(q.endpoints())
  const [dialog, setDialog] = useState<'alias' | 'deploy' | null>(null)
  const chosen = versions.find((v) => v.version === search.version) ?? versions[0]
  const full = useQuery({ ...q.version(name, chosen?.version ?? ''), enabled: chosen !== undefined })
  const v = full.data ?? chosen
  const run = useQuery({ ...q.run(v?.run_id ?? ''), enabled: Boolean(v?.run_id), retry: false })
  const home = useQuery({ ...q.experiment(run.data?.experiment_id ?? ''), enabled: run.data !== undefined, retry: false })
  const gates = useQuery({ ...q.gates(name), retry: false })
  const results = gates.data?.items
  const [modelTags, versionTags, declared] = [model.data?.tags, v?.tags, home.data?.best]
  // What was declared counts before names: of the version, of the model, by gates, by the experiment that the run is of.
  const better = useMemo(() => betterOf(declaredBy(versionTags), declaredBy(modelTags), declaredByGates(results ?? []), declared), [versionTags, modelTags, results, declared])
  const served = (endpoints.data?.items ?? []).filter((e) => e.model === name)
  const history = useQuery(q.modelHistory(name))
  const life = useMemo(() => aliasLife(history.data?.items ?? []), [history.data])
  const crumbs = [{ label: 'Models', to: '/models' as const }, ...(v ? [{ label: name, to: '/models/$name' as const, params: { name } }] : [])]
  if (!model.data || (list.isPending && !v) || awaits(search.version)) return <Page crumbs={crumbs} title={name}>{model.error ? <ErrorPanel error={model.error} title={`Can't read the model ${name}`} onRetry={() => void model.refetch()} /> : <Skeleton rows={6} />}</Page>
  if (!v) return <Page crumbs={crumbs} title={name} verdict={model.data.description} actions={<DeleteMenu deletes={deletions(name, undefined, 'model')} />}><section className="panel"><Empty title="No version yet" command={`mlflow.register_model("runs:/RUN_ID/model", "${name}")`}>{list.error ? list.error.message : 'Register the model of a run and it becomes version 1.'}</Empty></section></Page>
  if (lacks(search.version)) return <Page crumbs={crumbs} title={`${name} v${search.version}`}><section className="panel"><Empty title={`There is no v${search.version} of ${name}`} link={<Go className="link" to={href.model(name)}>Open the newest, v{versions[0]?.version}</Go>}>It may be deleted; the trash keeps it for a while.</Empty></section></Page>
  const tab = search.tab ?? 'overview'
  const champion = versions.find((o) => o.aliases.includes('champion'))
  const state = look(v.status)
  const elsewhere = isElsewhere(v)
  const other = champion?.version === v.version ? versions.find((o) => Number(o.version) < Number(v.version)) : champion
  const rows = againstChampion(v, other ?? { ...v, version: '', metrics: {} }, results ?? [], better)
  return (
    <BetterProvider value={better}><Page crumbs={crumbs} title={`${name} v${v.version}`} bare
      status={<>{v.status !== 'READY' && <Pill kind={state.kind}>{state.word}</Pill>}{v.aliases.map((a) => <Tag key={a} look="accent">@{a}</Tag>)}{v.stage && v.stage !== 'None' && <Tag look="line" title="stage">{v.stage}</Tag>}</>}
      meta={<>{[v.flavor, v.runtime && `${v.runtime} runtime`, !elsewhere && bytes(v.size_bytes), v.created_by && `by ${who(v.created_by).name}`].filter(Boolean).join(', ')}, <Time at={v.created_at} /></>}
      actions={<><DeleteMenu deletes={deletions(name, v.version, 'model')} /><Go className="btn ghost" to={href.lineage(`version:${name}/${v.version}`)}>Lineage</Go><button type="button" className="btn" onClick={() => setDialog('alias')}><TagIcon size={14} />Set alias…</button>{!elsewhere && <button type="button" className="btn pri" disabled={v.status !== 'READY'} onClick={() => setDialog('deploy')}><Radio size={14} />Deploy…</button>}</>}
      verdict={<VersionVerdict v={v} champion={champion} served={served} rows={champion && champion.version !== v.version ? rows : []} />}
      tabs={<Tabs value={tab} items={[{ value: 'overview', label: 'Overview' }, { value: 'compare', label: 'Compare' }, { value: 'files', label: 'Files', count: v.files_count }, { value: 'activity', label: 'Activity' }]} />}>
      <div className="body">
        {tab === 'overview' && (
          <div className="grid gap-4 cols:grid-cols-[272px_minmax(0,1fr)] items-start">
            <Timeline model={model.data} versions={versions} chosen={v.version} served={served} life={life} />
            <div className="flex flex-col gap-3.5 min-w-0">
              <Chain v={v} run={run.data} served={served} />
              <div className="grid gap-3.5 cols:grid-cols-[minmax(0,1fr)_264px] items-start">
                <div className="grid gap-3.5 min-w-0">{elsewhere ? <Elsewhere v={v} /> : <GatePanel model={name} version={v.version} open={search.gate} onOpen={(gate) => void navigate({ search: (s) => ({ ...s, gate }), replace: true })} />}<AgainstChampion v={v} other={other} reign={other && other.version === champion?.version ? 'champion' : 'before'} rows={rows} /></div>
                <div className="grid gap-3.5 min-w-0"><Served v={v} served={served} onDeploy={() => setDialog('deploy')} /><Signature v={v} /><Panel title="Origin"><div className="px-3.5 py-2.5"><KeyValues items={[['Source', <span key="s" className="mono">{v.source}</span>], ['Run', v.run_id ? <Go key="r" className="link" to={href.run(v.run_id)}>{run.data?.name ?? shortId(v.run_id)}</Go> : ''], ['Run elsewhere', v.run_link ? <Outside key="l" text={v.run_link} /> : ''], ['Flavours', v.flavors?.join(', ')], ['Python', v.python_version], ['Requires', v.requirements && v.requirements.length > 0 ? <span key="q" className="mono">{v.requirements.slice(0, 6).join(' ')}{v.requirements.length > 6 ? ` and ${v.requirements.length - 6} more` : ''}</span> : ''], ['Digest', v.digest ? <Id key="d" id={v.digest} length={16} /> : ''], ['Stage', v.stage && v.stage !== 'None' ? v.stage : ''], ['Note', v.description]]} /></div></Panel>{Object.keys(v.tags ?? {}).length > 0 && <Panel title="Tags"><div className="px-3.5 py-2.5"><KeyValues items={Object.entries(v.tags ?? {})} /></div></Panel>}</div>
              </div>
            </div>
          </div>
        )}
        {tab === 'compare' && <VersionDiff name={name} version={v} versions={versions} base={search.base} onBase={(base) => void navigate({ search: (s) => ({ ...s, base }), replace: true })} all={search.all ?? false} onAll={(all) => void navigate({ search: (s) => ({ ...s, all: all || undefined }), replace: true })} />}
        {tab === 'files' && elsewhere && <Elsewhere v={v} />}
        {tab === 'files' && !elsewhere && <Files list={(path) => q.versionFiles(name, v.version, path)} content={`/api/v1/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(v.version)}/files/content`} preview={`/api/v1/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(v.version)}/files/preview`} open={search.file} onOpen={(file) => void navigate({ search: (s) => ({ ...s, file }), replace: true })} empty={{ title: 'No files', text: 'This version holds none.' }} />}
        {tab === 'activity' && <Activity name={name} />}
      </div>
      <AliasDialog name={name} version={v.version} aliases={model.data.aliases} open={dialog === 'alias'} onClose={() => setDialog(null)} />
      <DeployDialog name={name} v={v} endpoints={endpoints.data?.items ?? []} open={dialog === 'deploy'} onClose={() => setDialog(null)} />
    </Page></BetterProvider>
  )
}

const capital = (text: string, first: boolean) => (first ? text.charAt(0).toUpperCase() + text.slice(1) : text)

function VersionVerdict({ v, champion, served, rows }: { v: Version; champion: Version | undefined; served: readonly Endpoint[]; rows: readonly Against[] }) {
  const better = useBetter()
  if (isElsewhere(v)) return <><b>The files of v{v.version} are not in this server</b>{v.source && <>: they are {whereabouts(v)}</>}. It cannot be served or previewed from here.</>
  if (v.status === 'FAILED') return <><b>This version could not be stored</b>{v.status_message ? `: ${v.status_message}` : ''}.</>
  const key = mainMetric(Object.keys(v.metrics ?? {}), better)
  const mine = key ? v.metrics?.[key] : undefined
  const theirs = key ? champion?.metrics?.[key] : undefined
  const paired = rows.find((r) => r.interval)
  const stands = key ? standing(better(key), typeof mine === 'number' && typeof theirs === 'number' ? mine - theirs : undefined) : 'unknown'
  const on = served.flatMap((e) => e.spec.targets.filter((t) => t.version === v.version).map((t) => `${e.name} (${t.role === 'shadow' ? 'shadow' : `${t.weight} %`})`))
  const gates = v.gates ?? []
  const failed = gates.filter((g) => g.verdict === 'fail')
  let claim: ReactNode
  if (champion && paired?.interval && paired.standing !== 'unknown') {
    claim = <><b>v{v.version} is {paired.standing === 'equal' ? 'as good as' : `${standingWords[paired.standing]} than`} the champion v{champion.version}</b>{paired.standing === 'unshown' && ' as far as the rows show'} ({paired.metric} {num(paired.mine)} against {num(paired.theirs)}, 95 % interval of the difference {signed(paired.interval.low)} to {signed(paired.interval.high)}).</>
  } else if (champion && champion.version !== v.version && stands !== 'unknown' && typeof mine === 'number' && typeof theirs === 'number' && key) {
    claim = <><b>v{v.version} {stands === 'equal' ? 'equals' : `looks ${standingWords[stands]} than`} the champion v{champion.version}</b> ({key} {num(mine)} against {num(theirs)}, {signed(mine - theirs)}; one number of each run, so untested).</>
  } else if (champion?.version === v.version) claim = <><b>v{v.version} is the champion</b>{key && typeof mine === 'number' ? `, ${key} ${num(mine)}` : ''}.</>
  else claim = <>{key && typeof mine === 'number' ? <><b>{key} {num(mine)}</b>; </> : ''}{capital(champion ? `the champion is v${champion.version}.` : 'no version is champion yet.', !(key && typeof mine === 'number'))}</>
  return (
    <>
      {claim}{' '}
      {gates.length === 0 ? 'No gate has judged it.' : failed.length > 0 ? <b>{plural(failed.length, 'gate')} of {gates.length} failed.</b> : `${gates.length === 1 ? 'Its gate passed' : `All ${gates.length} gates passed`}.`}{' '}
      {on.length > 0 ? `Served on ${on.join(' and ')}.` : 'Not served.'}
    </>
  )
}

function Timeline({ model, versions, chosen, served, life }: { model: Model; versions: readonly Version[]; chosen: string; served: readonly Endpoint[]; life: ReadonlyMap<string, readonly Stay[]> }) {
  const better = useBetter()
  const key = mainMetric(versions.flatMap((v) => Object.keys(v.metrics ?? {})), better)
  const ascending = [...versions].reverse().filter((v) => Number.isFinite(Number(v.version)))
  const live = new Set(served.flatMap((e) => e.spec.targets.map((t) => t.version)))
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    box.current?.querySelector('[aria-current=true]')?.scrollIntoView({ block: 'nearest' })
  }, [chosen])
  const points = key ? ascending.filter((v) => typeof v.metrics?.[key] === 'number') : []
  return (
    <section className="panel flex flex-col">
      <div className="ph"><h2>Versions</h2><div className="r">{(model.versions_count ?? 0) > versions.length ? `${versions.length} of ${count(model.versions_count)}` : versions.length}</div></div>
      <div ref={box} className="py-1 overflow-auto max-h-[52vh]">
        {versions.map((v, i) => {
          const main = v.aliases.includes('champion')
          return (
            <Go key={v.version} to={href.model(model.name, v.version)} aria-current={v.version === chosen ? 'true' : undefined} className={`grid grid-cols-[26px_minmax(0,1fr)_auto] gap-x-1.5 pl-3 pr-3.5 py-1.5 relative text-sm hover:bg-hover ${v.version === chosen ? 'bg-selected' : ''}`}>
              <span className="relative" style={{ gridRow: `span ${1 + Math.min(3, life.get(v.version)?.length ?? 0)}` }}><i className="absolute w-px bg-border-strong left-2" style={{ top: i === 0 ? 10 : -6, bottom: i === versions.length - 1 ? 'calc(100% - 10px)' : -6 }} /><i className="absolute w-[11px] h-[11px] rounded-full border-[2px] left-[3px] top-1" style={{ borderColor: v.version === chosen ? 'var(--accent)' : main ? 'var(--ok-fill)' : 'var(--control)', background: v.version === chosen ? 'var(--accent)' : main ? 'var(--ok-fill)' : 'var(--raised)' }} /></span>
              <span className="min-w-0"><span className="flex items-center gap-1.5 text-base flex-wrap"><b>v{v.version}</b>{v.aliases.map((a) => <Tag key={a} {...(a === 'champion' || a === 'challenger' ? { look: 'accent' as const } : {})}>@{a}</Tag>)}{live.has(v.version) && <span title="served now"><Radio size={12} className="text-3" /></span>}</span><span className="text-2 block">{v.description || `${v.flavor ?? 'model'}${v.created_by ? ` by ${who(v.created_by).name}` : ''}`}</span></span>
              <span className="text-3 text-right"><span className="block"><Time at={v.created_at} /></span>{key && typeof v.metrics?.[key] === 'number' && <span>{num(v.metrics[key])}</span>}{v.gates?.some((g) => g.verdict === 'fail') && <span className="flex justify-end" title="a gate failed"><Shape kind="bad" size={10} /></span>}</span>
              {(life.get(v.version) ?? []).slice(0, 3).map((s) => <Held key={s.alias + s.from} stay={s} />)}
            </Go>
          )
        })}
      </div>
      {key && points.length > 1 && (
        <div className="px-3 pt-2 pb-1 border-t border-border">
          <Suspense fallback={<div style={{ height: 90 }} />}><TimeSeries title={key} unit="by version" height={72} x={points.map((v) => Number(v.version))} xLabel={(x) => `v${x}`} xTick={(x) => `v${x}`} series={[{ id: key, label: key, color: 'var(--cur)', values: points.map((v) => v.metrics![key]!), width: 1.5, points: true }]} /></Suspense>
        </div>
      )}
      <div className="p-2.5 border-t border-border"><Code small text={`models:/${model.name}${model.aliases.champion ? '@champion' : `/${chosen}`}`} /></div>
    </section>
  )
}

/** One stay of an alias: since when or for how long, by whom, and why. */
function Held({ stay: s }: { stay: Stay }) {
  // The id of a rollout says nothing here; its page is one click away.
  const why = s.reason?.replace(/^rollout [0-9a-f-]{36} of version \S+: /, '')
  return (
    <span className="block text-3 col-start-2 col-span-2 clip" title={`@${s.alias} set by ${who(s.by).name}${s.reason ? `: ${s.reason}` : ''}`}>
      @{s.alias} {s.to ? `for ${duration(millis(s.to) - millis(s.from))}, ${s.next ? `then v${s.next}` : 'taken off'}` : <>since <Time at={s.from} /></>}
      <span className="block clip">{who(s.by).name}{why && `: ${why}`}</span>
    </span>
  )
}

/** From data to decision, as far as it is known here; the whole is in the graph. */
function Chain({ v, run, served }: { v: Version; run: Run | undefined; served: readonly Endpoint[] }) {
  const inputs = (run?.inputs ?? []).map((i) => ({ i, d: datasetOf(i.source) }))
  const data = inputs.find((x) => x.d) ?? inputs[0]
  const on = served.filter((e) => e.spec.targets.some((t) => t.version === v.version))
  const commit = run?.tags['mlflow.source.git.commit']
  const nodes: { icon: ReactNode; kind: string; label: string; detail: string; to?: string; me?: boolean }[] = []
  if (data) nodes.push({ icon: <Database size={12} />, kind: 'Dataset', label: data.d ? `${data.d.name} v${data.d.version}` : data.i.name, detail: data.i.context || data.i.digest, ...(data.d ? { to: href.dataset(data.d.name, data.d.version) } : {}) })
  if (run) nodes.push({ icon: <FlaskConical size={12} />, kind: 'Run', label: run.name, detail: commit ? `commit ${commit.slice(0, 7)}` : (run.source ?? run.user ?? ''), to: href.run(run.id) })
  nodes.push({ icon: <Boxes size={12} />, kind: 'Model', label: `${v.model} v${v.version}`, detail: 'this version', me: true })
  for (const e of on.slice(0, 2)) { const t = e.spec.targets.find((o) => o.version === v.version)!; nodes.push({ icon: <Radio size={12} />, kind: 'Endpoint', label: e.name, detail: t.role === 'shadow' ? 'shadow' : `${t.weight} % of traffic`, to: href.endpoint(e.name) }) }
  return (
    <Panel title="Lineage" note="from data to decision" right={<Go className="link" to={href.lineage(`version:${v.model}/${v.version}`)}>Open graph</Go>}>
      <div className="flex items-stretch px-3.5 py-3 overflow-x-auto" tabIndex={0} role="region" aria-label="Lineage, scrolls">
        {nodes.map((n, i) => {
          const quiet = n.me ? 'text-2' : 'text-3'
          const box = <><span className={`text-xs ${quiet} flex items-center gap-1.5`}>{n.icon}{n.kind}</span><b className="block clip">{n.label}</b><span className={`text-xs ${quiet} block clip`}>{n.detail}</span></>
          const look = `border rounded-[7px] px-2.5 py-1.5 flex-1 min-w-28 text-sm leading-[17px] ${n.me ? 'border-accent bg-accent-soft' : 'border-border-strong bg-surface'}`
          return <div key={n.kind + n.label} className="contents">{i > 0 && <svg className="flex-none self-center text-[var(--control)]" viewBox="0 0 26 12" width="26" height="12" fill="none" stroke="currentColor" strokeWidth="1.4" aria-hidden="true"><path d="M3 6h19M18 2.5 22 6l-4 3.5" /></svg>}{n.to ? <Go to={n.to} className={`${look} hover:border-control`}>{box}</Go> : <div className={look}>{box}</div>}</div>
        })}
      </div>
    </Panel>
  )
}

function Served({ v, served, onDeploy }: { v: Version; served: readonly Endpoint[]; onDeploy: () => void }) {
  const on = served.flatMap((e) => e.spec.targets.filter((t) => t.version === v.version).map((t) => ({ e, t })))
  return (
    <Panel title="Served" right={isElsewhere(v) ? undefined : <button type="button" className="link" onClick={onDeploy}>Deploy…</button>}>
      <div className="px-3.5 py-2 text-sm">
        {on.length === 0 ? <p className="text-2">On no endpoint{served.length > 0 ? `; ${served[0]!.name} serves v${served[0]!.spec.targets[0]?.version}` : ''}.</p> : on.map(({ e, t }) => <div key={e.name} className="flex items-center gap-2 py-0.5"><Shape kind={look(e.status.state).kind} /><Go to={href.endpoint(e.name)} className="strong flex-1 clip">{e.name}</Go><Tag {...(t.role === 'shadow' ? { look: 'line' as const } : t.role === 'champion' ? { look: 'accent' as const } : {})}>{t.role === 'shadow' ? 'shadow' : `${t.role} ${t.weight} %`}</Tag></div>)}
      </div>
    </Panel>
  )
}

function Signature({ v }: { v: Version }) {
  const [all, setAll] = useState(false)
  const inputs = v.signature?.inputs ?? []
  const outputs = v.signature?.outputs ?? []
  const shown = all ? inputs : inputs.slice(0, 12)
  return (
    <Panel title="Signature" right={inputs.length > 0 ? <>{plural(inputs.length, 'input')}<CopyButton text={JSON.stringify(v.signature, null, 2)} label="Copy as JSON" /></> : undefined}>
      {inputs.length === 0 ? <p className="px-3.5 py-2.5 text-2 text-sm">{isElsewhere(v) ? 'Not known here: it is told by the files.' : 'It was logged without a signature, so inputs are not checked. Log it with an input example to have one.'}</p> : (
        <div className="grid grid-cols-[minmax(0,1fr)_auto] gap-x-3 gap-y-0.5 text-sm px-3.5 pt-2 pb-2.5">
          {shown.map((c, i) => <div key={c.name ?? i} className="contents"><span className="mono clip" title={c.name}>{c.name ?? `tensor [${c.shape?.join(', ') ?? ''}]`}{c.required === false && <span className="text-3"> optional</span>}</span><span className="mono text-3">{c.type}</span></div>)}
          {inputs.length > shown.length && <button type="button" className="link text-left col-span-2" onClick={() => setAll(true)}>{inputs.length - shown.length} more inputs</button>}
          {outputs.map((c, i) => <div key={i} className="contents"><span className={`mono strong ${i === 0 ? 'border-t border-border pt-1.5 mt-1' : ''}`}>→ {c.name || 'prediction'}</span><span className={`mono text-3 ${i === 0 ? 'border-t border-border pt-1.5 mt-1' : ''}`}>{c.type}</span></div>)}
        </div>
      )}
    </Panel>
  )
}

function Activity({ name }: { name: string }) {
  const history = useQuery(q.modelHistory(name))
  return (
    <section className="panel overflow-x-auto" tabIndex={0} role="region" aria-label="History, scrolls"><Load query={history} what="the history">{(h) => h.items.length === 0 ? <Empty title="Nothing happened yet">Versions and aliases are listed here with who set them and why.</Empty> : (
      <table className="tbl" aria-label="History"><thead><tr><th>When</th><th>What</th><th>Version</th><th>Before</th><th>By</th><th>Reason</th></tr></thead><tbody>{h.items.map((e, i) => <tr key={i}><td><Time at={e.at} /></td><td>{words(e.what)}{e.alias && <> <Tag look="accent">@{e.alias}</Tag></>}</td><td>{e.version && <Go className="link" to={href.model(name, e.version)}>v{e.version}</Go>}</td><td className="text-2">{e.previous && `v${e.previous}`}</td><td className="text-2">{who(e.actor).name}</td><td className="text-2 !whitespace-normal min-w-60">{e.reason}</td></tr>)}</tbody></table>
    )}</Load></section>
  )
}

function DeployDialog({ name, v, endpoints, open, onClose }: { name: string; v: Version; endpoints: readonly Endpoint[]; open: boolean; onClose: () => void }) {
  const go = useGo()
  const client = useQueryClient()
  const [endpoint, setEndpoint] = useState(name)
  const [error, setError] = useState<Error | null>(null)
  const [busy, setBusy] = useState(false)
  const there = endpoints.find((e) => e.name === endpoint)
  const bad = /^[a-z0-9][a-z0-9-]{0,62}$/.test(endpoint) ? (there && there.model !== name ? `It serves ${there.model}. Choose another name.` : there?.spec.targets.some((t) => t.version === v.version) ? `It serves v${v.version} already.` : undefined) : 'Lower-case letters, digits and dashes.'
  const submit = async () => {
    setBusy(true)
    setError(null)
    try {
      if (there) await http.post('/api/v1/rollouts', { body: { endpoint, version: v.version, checks: { max_error_rate: 0.01, max_latency_ratio: 2, max_metric_increase: 0.05 }, min_samples: 200 } })
      else await http.post('/api/v1/endpoints', { body: { name: endpoint, model_uri: `models:/${name}/${v.version}` } })
      await client.invalidateQueries({ queryKey: ['endpoints'] })
      go(href.endpoint(endpoint))
    } catch (e) {
      setError(e instanceof Error ? e : new Error(String(e)))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog open={open} onClose={onClose} title={`Deploy ${name} v${v.version}`}>
      <form className="grid gap-3 mt-2" onSubmit={(e) => { e.preventDefault(); if (!bad) void submit() }}>
        <Field label="Endpoint" help={there ? `It exists: v${v.version} goes out in steps and is judged at each; a failing step rolls back by itself.` : `Callers use /endpoints/${endpoint}. It is recorded and watched from the first request.`} error={bad}>{(p) => <><input {...p} className="inp" list="endpoints" autoFocus value={endpoint} onChange={(e) => setEndpoint(e.target.value)} /><datalist id="endpoints">{endpoints.filter((e) => e.model === name).map((e) => <option key={e.name} value={e.name} />)}</datalist></>}</Field>
        <Code small prompt text={there ? cli.rollout(endpoint, v.version) : cli.deploy(`models:/${name}/${v.version}`, endpoint)} />
        {error && <ErrorBox error={error} title="Not deployed" />}
        <div className="flex justify-end gap-2"><button type="button" className="btn" onClick={onClose}>Cancel</button><button type="submit" className="btn pri" disabled={bad !== undefined || busy}>{there ? `Start a rollout on ${endpoint}` : `Deploy to ${endpoint}`}</button></div>
      </form>
    </Dialog>
  )
}
