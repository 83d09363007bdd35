import { useQueryClient } from '@tanstack/react-query'
import { ArrowDown, ArrowUp, Plus, Trash2, TriangleAlert } from 'lucide-react'
import { useDeferredValue, useMemo, useRef, useState, type ReactNode } from 'react'
import type { Version } from '@/lib/api/types'
import { wordDiff } from '@/lib/diff'
import { href } from '@/lib/href'
import { useKeys } from '@/lib/keys'
import { Field } from '@/ui/Controls'
import { Words } from '@/ui/Diff'
import { ErrorBox } from '@/ui/ErrorBox'
import { useGo } from '@/ui/Go'
import { Note, Panel } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { Tag } from '@/ui/Status'
import { toast } from '@/ui/toasts'
import { createPrompt, saveVersion, setAlias } from './api'
import { draftOf, fault, looseBraces, roles, sameWords, systemTags, turned, validName, type Draft } from './draft'
import { promptOf, type Message } from './text'

// What was written and not saved, by prompt, until the page is loaded anew: another tab of the page must not cost a text.
const drafts = new Map<string, Draft>()

interface Props {
  /** The prompt that gets a version; without it a new one is made. */
  name?: string
  /** Where the draft begins. */
  from?: Version
  /** Newest first. */
  versions: readonly Version[]
  aliases: Record<string, string>
  onClose: () => void
}

/** Writes a version: text or chat, what changes to the version before, a message, tags, and the alias that is to point at it. */
export function Editor({ name, from, versions, aliases, onClose }: Props): ReactNode {
  const client = useQueryClient()
  const go = useGo()
  const key = `${name ?? ''} ${from?.version ?? ''}`
  const [draft, setDraft] = useState(() => drafts.get(key) ?? draftOf(from))
  const [title, setTitle] = useState('')
  const [against, setAgainst] = useState(versions[0]?.version)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const made = useRef('')
  const set = (change: Partial<Draft>) => setDraft((d) => { const next = { ...d, ...change }; drafts.set(key, next); return next })
  const base = versions.find((v) => v.version === against) ?? versions[0]
  const next = Number(versions[0]?.version ?? 0) + 1
  const nameFault = name !== undefined || title === '' || validName(title) ? undefined : 'Letters, digits, dots, dashes and underscores.'
  // Saving what is the newest already says nothing; saving an older text again is a way back.
  const newest = versions[0]
  const same = newest !== undefined && isSame(draft, newest)
  const why = nameFault ?? (name === undefined && title === '' ? 'Give it a name.' : undefined) ?? fault(draft) ?? (same ? `This is the text of v${newest.version}.` : undefined)
  const save = async () => {
    if (why !== undefined || busy) return
    const prompt = name ?? title
    setBusy(true)
    setError(undefined)
    try {
      if (name === undefined && made.current !== prompt) {
        await createPrompt(prompt, draft)
        made.current = prompt
      }
      const version = await saveVersion(prompt, draft)
      drafts.delete(key)
      if (draft.alias !== '') await setAlias(prompt, draft.alias, version, draft.message).catch((e: unknown) => toast({ kind: 'bad', text: `v${version} is saved, but @${draft.alias} is not set: ${e instanceof Error ? e.message : String(e)}` }))
      await client.invalidateQueries({ queryKey: ['models'] })
      toast({ kind: 'ok', text: `Saved ${prompt} v${version}` })
      go(href.prompt(prompt, version))
    } catch (e) {
      setError(e)
    } finally {
      setBusy(false)
    }
  }
  const drop = () => { drafts.delete(key); onClose() }
  useKeys([{ keys: 'mod+Enter', label: `Save ${name === undefined ? 'the prompt' : `as v${next}`}`, run: () => void save(), always: true }])
  const now = promptOf({ tags: safeTags(draft) })
  // A long text is compared after it was drawn, so that typing does not wait for it.
  const [before, after] = [base ? promptOf(base).text : '', useDeferredValue(now.text)]
  const changes = useMemo(() => wordDiff(before, after), [before, after])
  return (
    <form className="grid gap-3.5 cols:grid-cols-[minmax(0,1fr)_300px] items-start" aria-label={name === undefined ? 'New prompt' : 'New version'} onSubmit={(e) => { e.preventDefault(); void save() }}>
      <div className="grid gap-3.5 min-w-0">
        {name === undefined && <Field label="Name" help="Applications load it by this name." error={nameFault}>{(p) => <input {...p} className="inp" autoFocus placeholder="support-answer" value={title} onChange={(e) => setTitle(e.target.value.trim())} />}</Field>}
        <Panel title={name === undefined ? 'Template' : from ? <>From v{from.version}</> : 'Template'} right={<Segmented small label="Kind" value={draft.chat ? 'chat' : 'text'} onChange={() => set(turned(draft))} options={[{ value: 'text', label: 'Text' }, { value: 'chat', label: 'Chat' }]} />}>
          {draft.chat ? <Messages messages={draft.messages} onChange={(messages) => set({ messages })} />
            : <div className="p-3"><Area label="Template" value={draft.text} rows={10} autoFocus={name !== undefined} placeholder="Answer {{ question }} in two sentences." onChange={(text) => set({ text })} /></div>}
        </Panel>
        {base && (
          <Panel title="What changes" note={changes.every((c) => c.kind === 'same') ? 'nothing' : undefined} right={<label className="flex items-center gap-1.5">Against<select className="inp !h-6 !w-auto text-sm" value={base.version} onChange={(e) => setAgainst(e.target.value)}>{versions.map((v) => <option key={v.version} value={v.version}>v{v.version}{v.aliases.length > 0 ? ` @${v.aliases.join(' @')}` : ''}</option>)}</select></label>}>
            <div className="prompt px-3.5 py-3" role="region" aria-label="What changes"><Words edits={changes} /></div>
          </Panel>
        )}
      </div>
      <div className="grid gap-3.5 min-w-0">
        <Variables now={now.variables} before={base ? promptOf(base).variables : []} loose={looseBraces(now.text)} first={!base} />
        <Panel title="About this version">
          <div className="px-3.5 py-3 grid gap-3">
            <Field label="What changed" help="One line for those who choose between versions.">{(p) => <input {...p} className="inp" maxLength={500} value={draft.message} onChange={(e) => set({ message: e.target.value })} />}</Field>
            <Field label="Point an alias at it" help={aliasHelp(draft.alias, aliases)}>{(p) => <><input {...p} className="inp" list="prompt-aliases" placeholder="none" value={draft.alias} onChange={(e) => set({ alias: e.target.value.trim().replace(/^@/, '') })} /><datalist id="prompt-aliases">{[...new Set([...Object.keys(aliases), 'production', 'staging'])].map((a) => <option key={a} value={a} />)}</datalist></>}</Field>
            <Tags tags={draft.tags} onChange={(tags) => set({ tags })} />
            <details open={draft.format !== '' || draft.config !== ''}>
              <summary className="text-2 text-sm">Response format and model settings</summary>
              <div className="grid gap-2 pt-2">
                <label className="text-sm">Response format, as a JSON schema<Area label="Response format" value={draft.format} rows={3} placeholder='{"type": "object"}' onChange={(format) => set({ format })} /></label>
                <label className="text-sm">Model settings, as JSON<Area label="Model settings" value={draft.config} rows={3} placeholder='{"temperature": 0.2}' onChange={(config) => set({ config })} /></label>
              </div>
            </details>
          </div>
        </Panel>
        {error !== undefined && <section className="panel px-3.5 py-3"><ErrorBox error={error} title="Not saved" /></section>}
        <div>
          <div className="flex gap-2"><button type="submit" className="btn pri" disabled={why !== undefined || busy}>{name === undefined ? 'Save the prompt' : `Save as v${next}`} <kbd className="!bg-transparent !text-inherit !border-transparent not-sheet">{/Mac/.test(navigator.platform) ? '⌘' : 'Ctrl'} Enter</kbd></button><button type="button" className="btn" onClick={drop}>Discard</button></div>
          <p className="text-3 text-sm mt-1.5" role="status">{why ?? 'A version never changes once it is saved.'}</p>
        </div>
      </div>
    </form>
  )
}

/** The tags of a draft while its JSON may be half written. */
function safeTags(d: Draft): Record<string, string> {
  return systemTags({ ...d, format: '', config: '' })
}

function isSame(d: Draft, base: Version): boolean {
  return fault({ ...d, alias: '', tags: [] }) === undefined && sameWords(d, draftOf(base))
}

function aliasHelp(alias: string, aliases: Record<string, string>): string {
  if (alias === '') return Object.keys(aliases).length > 0 ? `Now: ${Object.entries(aliases).map(([a, v]) => `@${a} is v${v}`).join(', ')}.` : 'Applications that load it by alias get the version at once.'
  return aliases[alias] ? `Moves @${alias} from v${aliases[alias]}.` : `@${alias} is new.`
}

/** A field for text that is code: grows with what is in it. */
function Area({ label, value, rows, placeholder, autoFocus, onChange }: { label: string; value: string; rows: number; placeholder?: string; autoFocus?: boolean; onChange: (value: string) => void }) {
  return <textarea className="inp mono !text-[13px] !leading-[21px]" aria-label={label} spellCheck={false} autoFocus={autoFocus ?? false} rows={Math.min(28, Math.max(rows, value.split('\n').length + 1))} placeholder={placeholder} value={value} onChange={(e) => onChange(e.target.value)} />
}

function Messages({ messages, onChange }: { messages: readonly Message[]; onChange: (messages: Message[]) => void }) {
  const edit = (i: number, change: Partial<Message>) => onChange(messages.map((m, j) => (j === i ? { ...m, ...change } : m)))
  const move = (i: number, by: number) => { const next = [...messages]; const [m] = next.splice(i, 1); next.splice(i + by, 0, m!); onChange(next) }
  const role = messages.length === 0 ? 'system' : messages.at(-1)!.role === 'user' ? 'assistant' : 'user'
  return (
    <div>
      <ol>
        {messages.map((m, i) => (
          <li key={i} className="px-3 py-2.5 border-b border-grid">
            <div className="flex items-center gap-1 mb-1.5">
              <select className="inp !h-6 !w-auto text-sm" aria-label={`Role of message ${i + 1}`} value={m.role} onChange={(e) => edit(i, { role: e.target.value })}>{[...new Set([...roles, m.role])].map((r) => <option key={r} value={r}>{r}</option>)}</select>
              <span className="flex-1" />
              <button type="button" className="btn ghost icon s" aria-label={`Move message ${i + 1} up`} disabled={i === 0} onClick={() => move(i, -1)}><ArrowUp size={14} /></button>
              <button type="button" className="btn ghost icon s" aria-label={`Move message ${i + 1} down`} disabled={i === messages.length - 1} onClick={() => move(i, 1)}><ArrowDown size={14} /></button>
              <button type="button" className="btn ghost icon s" aria-label={`Remove message ${i + 1}`} onClick={() => onChange(messages.filter((_, j) => j !== i))}><Trash2 size={14} /></button>
            </div>
            <Area label={`Message ${i + 1}`} value={m.content} rows={3} onChange={(content) => edit(i, { content })} />
          </li>
        ))}
      </ol>
      <div className="p-2.5"><button type="button" className="btn s" onClick={() => onChange([...messages, { role, content: '' }])}><Plus size={14} />Add a message</button></div>
    </div>
  )
}

function Variables({ now, before, loose, first }: { now: readonly string[]; before: readonly string[]; loose: readonly string[]; first: boolean }) {
  const gone = before.filter((x) => !now.includes(x))
  return (
    <Panel title="Variables" right={now.length}>
      <div className="px-3.5 py-2.5 grid gap-2 text-sm" role="region" aria-label="Variables" aria-live="polite">
        {now.length === 0 && gone.length === 0 && <p className="text-2">None yet. Write <span className="mono">{'{{ name }}'}</span> where a value is to stand.</p>}
        <ul className="grid gap-1 justify-items-start">
          {now.map((x) => <li key={x} className="prompt flex items-center gap-2"><span className="var">{x}</span>{!first && !before.includes(x) && <Tag look="accent">new</Tag>}</li>)}
          {gone.map((x) => <li key={x} className="flex items-center gap-2"><del className="mono">{x}</del><Tag>no longer used</Tag></li>)}
        </ul>
        {loose.length > 0 && <Note icon={<TriangleAlert size={14} />}><span className="mono break-all">{loose.slice(0, 3).join('  ')}</span> {loose.length === 1 ? 'is' : 'are'} no variable and {loose.length === 1 ? 'stays' : 'stay'} as written.</Note>}
      </div>
    </Panel>
  )
}

function Tags({ tags, onChange }: { tags: readonly (readonly [string, string])[]; onChange: (tags: [string, string][]) => void }) {
  const set = (i: number, tag: [string, string]) => onChange(tags.map((t, j): [string, string] => (j === i ? tag : [t[0], t[1]])))
  return (
    <fieldset>
      <legend className="strong mb-1">Tags</legend>
      {tags.map(([k, v], i) => (
        <div key={i} className="flex gap-1.5 mb-1.5">
          <input className="inp" aria-label={`Key of tag ${i + 1}`} placeholder="team" value={k} onChange={(e) => set(i, [e.target.value, v])} />
          <input className="inp" aria-label={`Value of tag ${i + 1}`} placeholder="support" value={v} onChange={(e) => set(i, [k, e.target.value])} />
          <button type="button" className="btn ghost icon" aria-label={`Remove tag ${i + 1}`} onClick={() => onChange(tags.filter((_, j) => j !== i).map((t): [string, string] => [t[0], t[1]]))}><Trash2 size={14} /></button>
        </div>
      ))}
      <button type="button" className="btn s" onClick={() => onChange([...tags.map((t): [string, string] => [t[0], t[1]]), ['', '']])}><Plus size={14} />Add a tag</button>
    </fieldset>
  )
}
