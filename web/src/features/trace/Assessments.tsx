import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Trash2 } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { http } from '@/lib/api/http'
import { Field } from '@/ui/Controls'
import { Empty } from '@/ui/Empty'
import { ErrorBox } from '@/ui/ErrorBox'
import { Tag } from '@/ui/Status'
import { Time } from '@/ui/Time'
import { said, type Assessment, type TraceDetail } from './api'

const words: Record<string, string> = { HUMAN: 'a person', LLM_JUDGE: 'a model', CODE: 'code' }

/** What people, models and code think of a trace, and a form to add to it. */
export function Assessments({ trace, onSpan }: { trace: TraceDetail; onSpan: (id: string) => void }): ReactNode {
  const client = useQueryClient()
  const path = `/api/v1/traces/${encodeURIComponent(trace.id)}/assessments`
  const again = () => client.invalidateQueries({ queryKey: ['traces'] })
  const remove = useMutation({ mutationFn: (id: string) => http.delete(`${path}/${encodeURIComponent(id)}`), onSuccess: again })
  return (
    <div>
      {trace.assessments.length === 0 && <Empty title="Nobody has judged this trace">Say below what you think of the answer, or send it from code with <span className="mono">mlflow.log_feedback</span>.</Empty>}
      {trace.assessments.map((a) => <One key={a.id} a={a} span={trace.spans.find((s) => s.id === a.span_id)?.name} onSpan={onSpan} onRemove={() => remove.mutate(a.id)} />)}
      {remove.error && <div className="ds"><ErrorBox error={remove.error} title="Can't remove it" /></div>}
      <Form path={path} onDone={again} />
    </div>
  )
}

function One({ a, span, onSpan, onRemove }: { a: Assessment; span: string | undefined; onSpan: (id: string) => void; onRemove: () => void }) {
  return (
    <div className="ds !px-3.5 first:border-t-0">
      <div className="flex items-center gap-2"><b className={a.valid ? '' : 'line-through text-3'}>{a.name}</b><Tag look={a.kind === 'expectation' ? 'line' : 'accent'}>{a.kind}</Tag>{!a.valid && <span className="text-3 text-sm">overridden</span>}
        <button type="button" className="btn ghost icon s ml-auto" aria-label={`Remove ${a.name}`} onClick={onRemove}><Trash2 size={14} /></button></div>
      <div className={`break-words whitespace-pre-wrap ${a.error ? 'text-bad' : ''}`}>{said(a)}</div>
      {a.rationale && <p className="text-2 text-sm break-words">{a.rationale}</p>}
      <div className="text-3 text-xs">by {a.source_id && a.source_id !== 'default' ? a.source_id : (words[a.source_type] ?? a.source_type)}, <Time at={a.created_at} />{a.span_id && span && <>, on <button type="button" className="link" onClick={() => onSpan(a.span_id!)}>{span}</button></>}</div>
    </div>
  )
}

/** true, false and numbers are what they look like; everything else is a text. */
function parse(text: string): unknown {
  if (/^(true|yes)$/i.test(text)) return true
  if (/^(false|no)$/i.test(text)) return false
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text
}

function Form({ path, onDone }: { path: string; onDone: () => Promise<unknown> }) {
  const [name, setName] = useState('correct')
  const [value, setValue] = useState('')
  const [why, setWhy] = useState('')
  const add = useMutation({
    mutationFn: () => http.post(path, { body: { name, kind: 'feedback', value: parse(value), source_type: 'HUMAN', ...(why ? { rationale: why } : {}) } }),
    onSuccess: async () => { setValue(''); setWhy(''); await onDone() },
  })
  return (
    <form className="ds !px-3.5 grid gap-2" onSubmit={(e) => { e.preventDefault(); if (name && value) add.mutate() }}>
      <div className="sec !mb-0">Add feedback</div>
      <div className="grid grid-cols-2 gap-2">
        <Field label="Name">{(p) => <input {...p} className="inp" value={name} maxLength={250} onChange={(e) => setName(e.target.value)} />}</Field>
        <Field label="Value">{(p) => <input {...p} className="inp" value={value} placeholder="yes, no, 0.8 or a word" onChange={(e) => setValue(e.target.value)} />}</Field>
      </div>
      <Field label="Why">{(p) => <input {...p} className="inp" value={why} placeholder="optional" onChange={(e) => setWhy(e.target.value)} />}</Field>
      {add.error && <ErrorBox error={add.error} title="Not added" />}
      <button type="submit" className="btn justify-self-start" disabled={!name || !value || add.isPending}>Add feedback</button>
    </form>
  )
}
