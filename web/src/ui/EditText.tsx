import { Pencil } from 'lucide-react'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { ErrorBox } from './ErrorBox'
import { Markdown } from './Markdown'
import { toast } from './toasts'

interface Props {
  /** What the text is, for its button and its field: "hypothesis". */
  name: string
  value: string
  /** What stands there while there is no text. */
  placeholder: ReactNode
  most?: number
  /** One line, no Markdown. */
  line?: boolean
  save: (text: string) => Promise<unknown>
}

/** A text that is edited where it stands: Ctrl Enter keeps it, Esc gives up, and what was there comes back with Undo. */
export function EditText({ name, value, placeholder, most = 8000, line, save }: Props): ReactNode {
  const [draft, setDraft] = useState<string | undefined>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const field = useRef<HTMLTextAreaElement>(null)
  const editing = draft !== undefined
  useEffect(() => {
    if (!editing) return
    field.current?.focus()
    field.current?.setSelectionRange(field.current.value.length, field.current.value.length)
  }, [editing])
  const close = () => {
    setDraft(undefined)
    setError(undefined)
  }
  const keep = async () => {
    if (draft === undefined || busy) return
    const next = line ? draft.replace(/\s*\n\s*/g, ' ').trim() : draft.trimEnd()
    if (next === value) return close()
    setBusy(true)
    try {
      const before = value
      await save(next)
      close()
      toast({ kind: 'ok', text: next === '' ? `The ${name} was cleared` : `The ${name} is kept`, action: { label: 'Undo', run: () => void save(before).catch((e: unknown) => toast({ kind: 'bad', text: String(e) })) } })
    } catch (e) {
      setError(e)
    } finally {
      setBusy(false)
    }
  }
  if (!editing) {
    if (value === '') return <button type="button" className="text-left text-3 hover:text-1 w-full min-h-6" onClick={() => setDraft('')}>{placeholder}</button>
    return (
      <div className="group/edit relative pr-8">
        {line ? <p className="whitespace-pre-wrap" style={{ overflowWrap: 'anywhere' }}>{value}</p> : <Markdown under={2} text={value} />}
        <button type="button" className="btn ghost icon s absolute right-0 top-0 -mt-0.5" aria-label={`Edit the ${name}`} title={`Edit the ${name}`} onClick={() => setDraft(value)}><Pencil size={14} /></button>
      </div>
    )
  }
  return (
    <form onSubmit={(e) => { e.preventDefault(); void keep() }}>
      <textarea ref={field} className="inp" aria-label={name} rows={line ? 2 : Math.min(20, Math.max(4, draft.split('\n').length + 1))} maxLength={most} value={draft} onChange={(e) => setDraft(e.target.value)}
        onKeyDown={(e) => {
          if (e.key === 'Escape') close()
          else if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) void keep()
          else return
          e.preventDefault()
          e.stopPropagation()
        }} />
      {error !== undefined && <div className="mt-1.5"><ErrorBox error={error} title="Not kept" /></div>}
      <div className="flex items-center gap-2 mt-1.5"><button type="submit" className="btn pri s" disabled={busy}>Keep the {name}</button><button type="button" className="btn s ghost" onClick={close}>Cancel</button><span className="text-3 text-xs ml-auto"><kbd>Ctrl</kbd> <kbd>Enter</kbd> keeps{line ? '' : ', Markdown'}</span></div>
    </form>
  )
}
