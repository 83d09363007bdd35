import { useMemo, type ReactNode } from 'react'
import { ms, plural } from '@/lib/format'
import { href } from '@/lib/href'
import { Code, CopyButton, Id } from '@/ui/Code'
import { Go } from '@/ui/Go'
import { JsonView } from '@/ui/JsonView'
import { KeyValues } from '@/ui/Panel'
import { Pill, Tag } from '@/ui/Status'
import type { Attribute } from './api'
import type { Row } from './tree'

/** One span: what went in, what came out, what happened. */
export function SpanDetail({ row, color, total }: { row: Row; color: string; total: number }): ReactNode {
  const s = row.span
  const exceptions = s.events.filter((e) => e.name === 'exception')
  const events = s.events.filter((e) => e.name !== 'exception')
  const state = s.status === 'ERROR' ? ({ kind: 'bad', word: 'Error' } as const) : s.duration_ms === undefined ? ({ kind: 'info', word: 'Running' } as const) : undefined
  return (
    <div>
      <div className="px-3.5 py-2.5 flex items-center gap-2 flex-wrap">
        <i className="sw" style={{ background: color }} /><b className="min-w-0 break-words">{s.name}</b><Tag>{s.type}</Tag>{state && <Pill kind={state.kind}>{state.word}</Pill>}
      </div>
      <div className="px-3.5 pb-3 text-sm text-2">
        {s.duration_ms === undefined ? 'Running' : <><b>{ms(s.duration_ms)}</b>{total > 0 && s.duration_ms < total && ` of ${ms(total)}`}</>}, begun at {ms(s.offset_ms)}{row.below > 0 && s.duration_ms !== undefined && <>; {ms(row.self)} in itself, the rest in {plural(row.below, 'span')} below</>}.
      </div>
      {s.status === 'ERROR' && (
        <Section title="What went wrong">
          {s.message && <p className="text-bad break-words mb-1.5">{s.message}</p>}
          {exceptions.map((e, i) => <Exception key={i} attributes={e.attributes} message={s.message} />)}
          {exceptions.length === 0 && !s.message && <p className="text-3">The span says that it failed, not why.</p>}
        </Section>
      )}
      {s.inputs !== undefined && <Section title="Inputs" copy={s.inputs}><Value value={s.inputs} /></Section>}
      {s.outputs !== undefined && <Section title="Outputs" copy={s.outputs}><Value value={s.outputs} /></Section>}
      {s.status !== 'ERROR' && exceptions.length > 0 && <Section title="Exceptions it dealt with">{exceptions.map((e, i) => <Exception key={i} attributes={e.attributes} />)}</Section>}
      {s.attributes.length > 0 && <Section title="Attributes"><Attributes items={s.attributes} /></Section>}
      {events.length > 0 && (
        <Section title="Events">
          {events.map((e, i) => <div key={i} className="mb-1.5"><div className="flex gap-2"><b className="strong">{e.name}</b><span className="text-3 text-sm ml-auto">at {ms(e.offset_ms)}</span></div>{e.attributes.length > 0 && <Attributes items={e.attributes} />}</div>)}
        </Section>
      )}
      {(s.links?.length ?? 0) > 0 && <Section title="Links">{s.links!.map((l) => <div key={l.trace_id + l.span_id}><Go className="link mono" to={href.trace(l.trace_id, l.span_id)}>{l.trace_id.slice(0, 14)}… / {l.span_id.slice(0, 8)}</Go></div>)}</Section>}
      <div className="ds text-sm text-3 flex gap-3">Span <Id id={s.id} length={16} /></div>
    </div>
  )
}

function Section({ title, copy, children }: { title: string; copy?: unknown; children: ReactNode }) {
  const text = useMemo(() => (copy === undefined ? '' : typeof copy === 'string' ? copy : JSON.stringify(copy, null, 2)), [copy])
  return <div className="ds !px-3.5"><div className="sec">{title}{text !== '' && <CopyButton text={text} label={`Copy ${title.toLowerCase()}`} className="ml-auto -my-1" />}</div>{children}</div>
}

interface Message {
  role: string
  content: unknown
}

const isMessage = (v: unknown): v is Message => typeof v === 'object' && v !== null && 'role' in v && 'content' in v

/** The messages of a chat in the forms that chat APIs have: a list, {messages}, or the answer's {choices}. */
function messagesOf(value: unknown): unknown[] | undefined {
  if (Array.isArray(value)) return value as unknown[]
  if (typeof value !== 'object' || value === null) return undefined
  const { messages, choices } = value as { messages?: unknown; choices?: unknown }
  if (Array.isArray(messages)) return messages as unknown[]
  return Array.isArray(choices) ? choices.map((c: unknown) => (typeof c === 'object' && c !== null ? (c as { message?: unknown }).message : undefined)) : undefined
}

/** Messages as a conversation, texts as text, everything else as JSON that folds. */
function Value({ value }: { value: unknown }): ReactNode {
  const list = messagesOf(value)
  if (list && list.length > 0 && list.every(isMessage)) {
    return <div className="grid gap-2">{list.map((m, i) => <div key={i}><div className="text-xs text-3">{m.role}</div>{typeof m.content === 'string' ? <Text text={m.content} /> : <JsonView value={m.content} />}</div>)}</div>
  }
  if (typeof value === 'string') return <Text text={value} />
  return <div className="overflow-x-auto"><JsonView value={value} /></div>
}

const Text = ({ text }: { text: string }) => <div className="whitespace-pre-wrap break-words max-h-96 overflow-auto" {...(text.length > 500 ? { tabIndex: 0, role: 'region', 'aria-label': 'Text, scrolls' } : {})}>{text === '' ? <span className="text-3">an empty text</span> : text}</div>

function Attributes({ items }: { items: readonly Attribute[] }) {
  return <KeyValues items={items.map((a): [string, ReactNode] => [a.key, typeof a.value === 'object' && a.value !== null ? <JsonView key={a.key} value={a.value} depth={1} /> : <span key={a.key} className="mono">{String(a.value)}</span>])} />
}

function Exception({ attributes, message }: { attributes: readonly Attribute[]; message?: string | undefined }) {
  const of = (key: string) => attributes.find((a) => a.key === `exception.${key}`)?.value
  const type = of('type')
  const text = of('message')
  const stack = of('stacktrace')
  const head = [type, text].filter((v) => v !== undefined && v !== '').join(': ')
  return <div>{head !== message && <p className="strong break-words mb-1">{head}</p>}{typeof stack === 'string' && <div className="max-h-72 overflow-auto"><Code small text={stack} /></div>}</div>
}
