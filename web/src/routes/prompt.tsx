import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Pencil, Tag as TagIcon } from 'lucide-react'
import { useMemo, useState, type ReactNode } from 'react'
import { AliasDialog } from '@/features/model/Alias'
import { deletions } from '@/features/model/discard'
import { aliasLife } from '@/features/model/history'
import { useVersions } from '@/features/model/useVersions'
import { Editor } from '@/features/prompt/Editor'
import { Template, PromptText } from '@/features/prompt/Text'
import { isPrompt, ownTags, promptOf } from '@/features/prompt/text'
import { who } from '@/lib/actor'
import { q } from '@/lib/api/queries'
import type { ModelEvent, Version } from '@/lib/api/types'
import { wordDiff } from '@/lib/diff'
import { words } from '@/lib/events'
import { plural } from '@/lib/format'
import { href } from '@/lib/href'
import { useKeys } from '@/lib/keys'
import { CodeTabs, CopyButton } from '@/ui/Code'
import { DeleteMenu } from '@/ui/DeleteMenu'
import { SideBySide, Words } from '@/ui/Diff'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { JsonView } from '@/ui/JsonView'
import { Load } from '@/ui/Load'
import { Page, Tabs } from '@/ui/Page'
import { KeyValues, Panel } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { Tag } from '@/ui/Status'
import { Time } from '@/ui/Time'

const route = getRouteApi('/prompts/$name')

export function PromptPage(): ReactNode {
  const { name } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const model = useQuery(q.model(name))
  const { list, versions, awaits, lacks } = useVersions(name, [search.version, search.base])
  const history = useQuery(q.modelHistory(name))
  const [alias, setAlias] = useState(false)
  const v = versions.find((o) => o.version === search.version) ?? versions[0]
  const at = v ? versions.indexOf(v) : -1
  const move = (by: number) => { const next = versions[at + by]; if (next) set({ version: next.version }) }
  useKeys([{ keys: 'j', label: 'Older version', run: () => move(1) }, { keys: 'k', label: 'Newer version', run: () => move(-1) }], search.tab !== 'write')
  useKeys([{ keys: 'n', label: 'Write a new version', run: () => set({ tab: 'write' }) }], search.tab !== 'write')
  const crumbs = [{ label: 'Prompts', to: '/prompts' as const }, ...(v ? [{ label: name, to: '/prompts/$name' as const, params: { name } }] : [])]
  const error = model.error ?? list.error
  if (!model.data || (list.isPending && !v) || awaits(search.version)) return <Page crumbs={crumbs} title={name}>{error ? <ErrorPanel error={error} title={`Can't read the prompt ${name}`} onRetry={() => { void model.refetch(); void list.refetch() }} /> : <Skeleton rows={6} />}</Page>
  if (!isPrompt(model.data)) return <Page crumbs={crumbs} title={name}><section className="panel"><Empty title="This is no prompt" link={<Go className="link" to={href.model(name)}>Open the model</Go>}>{name} is a registered model.</Empty></section></Page>
  if (!v) return <Page crumbs={crumbs} title={name} verdict="Each text that is saved becomes a version that never changes." actions={<DeleteMenu deletes={deletions(name, undefined, 'prompt')} />}><Editor name={name} versions={[]} aliases={model.data.aliases} onClose={() => void navigate({ to: '/prompts' })} /></Page>
  if (lacks(search.version)) return <Page crumbs={crumbs} title={`${name} v${search.version}`}><section className="panel"><Empty title={`There is no v${search.version} of ${name}`} link={<Go className="link" to={href.prompt(name)}>Open the newest, v{versions[0]?.version}</Go>}>It may be deleted; the trash keeps it for a while.</Empty></section></Page>
  const tab = search.tab ?? 'text'
  const prompt = promptOf(v)
  const older = versions.slice(at + 1)
  const base = versions.find((o) => o.version === search.base && o.version !== v.version) ?? older[0] ?? versions.find((o) => o.version !== v.version)
  return (
    <Page crumbs={crumbs} title={`${name} v${v.version}`} bare status={v.aliases.map((a) => <Tag key={a} look="accent">@{a}</Tag>)}
      meta={<>{prompt.messages ? `chat of ${plural(prompt.messages.length, 'message')}` : 'text'}, <Time at={v.created_at} />{v.created_by && ` by ${who(v.created_by).name}`}</>}
      actions={<><DeleteMenu deletes={deletions(name, v.version, 'prompt')} /><button type="button" className="btn" onClick={() => setAlias(true)}><TagIcon size={14} />Set alias…</button>{tab !== 'write' && <button type="button" className="btn pri" onClick={() => set({ tab: 'write' })}><Pencil size={14} />New version</button>}</>}
      verdict={<Verdict v={v} before={older[0]} aliases={model.data.aliases} />}
      tabs={<Tabs value={tab} items={[{ value: 'text', label: 'Text' }, { value: 'compare', label: 'Compare' }, { value: 'activity', label: 'Activity' }, ...(tab === 'write' ? [{ value: 'write' as const, label: 'New version' }] : [])]} />}>
      <div className="body">
        <div className="grid gap-4 cols:grid-cols-[272px_minmax(0,1fr)] items-start">
          <Versions name={name} versions={versions} chosen={v.version} events={history.data?.items ?? []} tab={tab === 'text' ? undefined : tab} />
          <div className="grid gap-3.5 min-w-0">
            {tab === 'text' && (
              <div className="grid gap-3.5 cols:grid-cols-[minmax(0,1fr)_264px] items-start">
                <Panel title="Text" note={v.description} right={<CopyButton text={prompt.text} label="Copy the text" />}><PromptText prompt={prompt} /></Panel>
                <div className="grid gap-3.5 min-w-0">
                  <Panel title="Variables" right={prompt.variables.length}>{prompt.variables.length === 0 ? <p className="px-3.5 py-2.5 text-2 text-sm">None: the text is the same for every call.</p> : <ul className="px-3.5 py-2.5 grid gap-1 justify-items-start">{prompt.variables.map((x) => <li key={x} className="prompt"><span className="var">{x}</span></li>)}</ul>}</Panel>
                  <Panel title="Use it"><div className="p-2.5"><CodeTabs tabs={uses(name, v, prompt.variables)} /></div></Panel>
                  {ownTags({ ...model.data.tags, ...v.tags }).length > 0 && <Panel title="Tags"><div className="px-3.5 py-2.5"><KeyValues items={ownTags({ ...model.data.tags, ...v.tags })} /></div></Panel>}
                  {prompt.format !== undefined && <Panel title="Response format"><div className="px-3.5 py-2.5"><JsonView value={prompt.format} /></div></Panel>}
                  {prompt.config !== undefined && <Panel title="Model settings"><div className="px-3.5 py-2.5"><JsonView value={prompt.config} /></div></Panel>}
                </div>
              </div>
            )}
            {tab === 'compare' && <Difference v={v} base={base} versions={versions} lines={search.look === 'lines'} onBase={(b) => set({ base: b })} onLook={(lines) => set({ look: lines ? 'lines' : undefined })} />}
            {tab === 'write' && <Editor key={v.version} name={name} from={v} versions={versions} aliases={model.data.aliases} onClose={() => set({ tab: undefined })} />}
            {tab === 'activity' && <Activity name={name} query={history} />}
          </div>
        </div>
      </div>
      <AliasDialog name={name} version={v.version} aliases={model.data.aliases} open={alias} onClose={() => setAlias(false)} usual={['production', 'staging']} />
    </Page>
  )
}

function uses(name: string, v: Version, variables: readonly string[]): { name: string; text: string }[] {
  const at = v.aliases[0] ? `prompts:/${name}@${v.aliases[0]}` : `prompts:/${name}/${v.version}`
  return [{ name: 'Python', text: `prompt = mlflow.genai.load_prompt("${at}")\nprompt.format(${variables.map((x) => `${x.replaceAll('.', '_')}=…`).join(', ')})` }, { name: 'URI', text: at }]
}

/** What this version changed, counted in words. */
function Verdict({ v, before, aliases }: { v: Version; before: Version | undefined; aliases: Record<string, string> }) {
  const live = Object.entries(aliases).filter(([, version]) => version === v.version).map(([a]) => `@${a}`)
  const place = live.length > 0 ? <>Applications that load {live.join(' or ')} get it.</> : Object.keys(aliases).length > 0 ? <>{Object.entries(aliases).map(([a, version]) => `@${a} is v${version}`).join(', ')}.</> : <>No alias points at a version.</>
  if (!before) return <><b>The first version.</b> {place}</>
  const [old, now] = [promptOf(before), promptOf(v)]
  const changes = wordDiff(old.text, now.text)
  const count = (kind: string) => changes.filter((c) => c.kind === kind).reduce((n, c) => n + (c.value.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0), 0)
  const fresh = now.variables.filter((x) => !old.variables.includes(x))
  const gone = old.variables.filter((x) => !now.variables.includes(x))
  return (
    <>
      {changes.every((c) => c.kind === 'same') ? <>The text is that of v{before.version}. </> : <><b>{[count('new') > 0 && `${plural(count('new'), 'word')} added`, count('gone') > 0 && `${plural(count('gone'), 'word')} removed`].filter(Boolean).join(' and ') || 'Only marks and spaces changed'}</b> since v{before.version}{fresh.length > 0 && <>, now needs <b>{fresh.join(', ')}</b></>}{gone.length > 0 && <>, no longer uses <b>{gone.join(', ')}</b></>}. </>}
      {place}
    </>
  )
}

function Versions({ name, versions, chosen, events, tab }: { name: string; versions: readonly Version[]; chosen: string; events: readonly ModelEvent[]; tab: string | undefined }) {
  const life = useMemo(() => aliasLife(events), [events])
  return (
    <Panel title="Versions" right={<>{tab !== 'write' && <span className="not-sheet flex gap-1"><kbd>J</kbd><kbd>K</kbd></span>}{versions.length}</>}>
      <div className="py-1 max-h-[64vh] overflow-auto">
        {versions.map((v) => (
          <Go key={v.version} to={href.prompt(name, v.version, tab)} aria-current={v.version === chosen ? 'true' : undefined} className={`block px-3.5 py-1.5 text-sm hover:bg-hover ${v.version === chosen ? 'bg-selected' : ''}`}>
            <span className="flex items-center gap-1.5 text-base"><b>v{v.version}</b>{v.aliases.map((a) => <Tag key={a} look="accent">@{a}</Tag>)}<span className="ml-auto text-3 text-sm"><Time at={v.created_at} /></span></span>
            <span className="text-2 block">{v.description || (v.created_by ? `by ${who(v.created_by).name}` : 'no note')}</span>
            {(life.get(v.version) ?? []).slice(0, 2).map((s) => <span key={s.alias + s.from} className="text-3 block">@{s.alias} {s.to ? <>until <Time at={s.to} />{s.next && `, then v${s.next}`}</> : <>since <Time at={s.from} /></>} by {who(s.by).name}{s.reason && <span className="block clip" title={s.reason}>“{s.reason}”</span>}</span>)}
          </Go>
        ))}
      </div>
    </Panel>
  )
}

function Difference({ v, base, versions, lines, onBase, onLook }: { v: Version; base: Version | undefined; versions: readonly Version[]; lines: boolean; onBase: (version: string) => void; onLook: (lines: boolean) => void }) {
  if (!base) return <section className="panel"><Empty title="Nothing to compare with">This is the only version. The next one can be compared with it here.</Empty></section>
  const [old, now] = [promptOf(base), promptOf(v)]
  const others = versions.filter((o) => o.version !== v.version)
  return (
    <Panel title={<>v{base.version} to v{v.version}</>} note={old.text === now.text ? 'the same text' : undefined}
      right={<>
        <label className="flex items-center gap-1.5">Against<select className="inp !h-6 !w-auto text-sm" value={base.version} onChange={(e) => onBase(e.target.value)}>{others.map((o) => <option key={o.version} value={o.version}>v{o.version}{o.aliases.length > 0 ? ` @${o.aliases.join(' @')}` : ''}</option>)}</select></label>
        <Segmented small label="Look" value={lines ? 'lines' : 'words'} onChange={(x) => onLook(x === 'lines')} options={[{ value: 'words', label: 'In one text' }, { value: 'lines', label: 'Side by side' }]} />
      </>}>
      {lines ? <SideBySide left={old.text} right={now.text} names={[`v${base.version}`, `v${v.version}`]} mark={(text) => <Template text={text} />} /> : <div className="prompt px-3.5 py-3"><Words edits={wordDiff(old.text, now.text)} /></div>}
    </Panel>
  )
}

function Activity({ name, query }: { name: string; query: ReturnType<typeof useQuery<{ items: ModelEvent[] }>> }) {
  return (
    <section className="panel overflow-x-auto" tabIndex={0} role="region" aria-label="History, scrolls"><Load query={query} what="the history">{(h) => h.items.length === 0 ? <Empty title="Nothing happened yet">Versions and aliases are listed here with who set them and why.</Empty> : (
      <table className="tbl" aria-label="History"><thead><tr><th>When</th><th>What</th><th>Version</th><th>Before</th><th>By</th><th>Reason</th></tr></thead><tbody>{h.items.map((e, i) => <tr key={i}><td><Time at={e.at} /></td><td>{words(e.what)}{e.alias && <> <Tag look="accent">@{e.alias}</Tag></>}</td><td>{e.version && <Go className="link" to={href.prompt(name, e.version)}>v{e.version}</Go>}</td><td className="text-2">{e.previous && `v${e.previous}`}</td><td className="text-2">{who(e.actor).name}</td><td className="text-2 !whitespace-normal min-w-60">{e.reason}</td></tr>)}</tbody></table>
    )}</Load></section>
  )
}
