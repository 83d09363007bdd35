import * as D from '@radix-ui/react-dialog'
import { useState, type ReactNode } from 'react'
import { ApiError } from '@/lib/api/http'
import { ErrorBox } from './ErrorBox'

interface Props {
  open: boolean
  onClose: () => void
  title: ReactNode
  children: ReactNode
  className?: string
  /** What a screen reader says after the title. */
  description?: string
}

// The veil is a plain element: Radix' own overlay writes a <style> into the page, which the server's policy forbids.
export function Dialog({ open, onClose, title, children, className = 'dlg', description }: Props) {
  return (
    <D.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <D.Portal>
        <div className="veil" />
        <D.Content className={className} {...(description ? {} : { 'aria-describedby': undefined })}>
          <D.Title className={className === 'dlg' ? 'text-[15px] leading-[22px] font-semibold' : 'sr-only'}>{title}</D.Title>
          {description && <D.Description className="sr-only">{description}</D.Description>}
          {children}
        </D.Content>
      </D.Portal>
    </D.Root>
  )
}

interface ConfirmProps {
  open: boolean
  onClose: () => void
  /** The action itself: "Roll back fraud-scoring to v12". */
  title: string
  /** The button, verb and noun. */
  action: string
  danger?: boolean
  /** Before and after, affected things, how to undo. */
  children: ReactNode
  /** Asks for a reason; the action gets it. */
  reason?: { label: string; placeholder?: string; required?: boolean }
  /** Deleting a served thing asks for its name. */
  typeName?: string
  run: (reason: string) => Promise<unknown>
}

/** One confirm for what reaches users or can't be undone. Stays open with the reason when the server refuses. */
export function Confirm({ open, onClose, title, action, danger, children, reason, typeName, run }: ConfirmProps) {
  const [text, setText] = useState('')
  const [name, setName] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<Error | null>(null)
  const missing = (reason?.required && text.trim() === '') || (typeName !== undefined && name !== typeName)
  const close = () => {
    setError(null)
    setText('')
    setName('')
    onClose()
  }
  const submit = async () => {
    if (missing || busy) return
    setBusy(true)
    setError(null)
    try {
      await run(text.trim())
      close()
    } catch (e) {
      setError(e instanceof Error ? e : new ApiError({ status: 0, title: String(e) }))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog open={open} onClose={close} title={title}>
      <form className="mt-2" onSubmit={(e) => { e.preventDefault(); void submit() }}>
        <div className="text-sm text-2">{children}</div>
        {reason && <label className="block mt-3"><span className="strong text-sm">{reason.label}</span><input className="inp mt-1" value={text} placeholder={reason.placeholder} onChange={(e) => setText(e.target.value)} autoFocus /></label>}
        {typeName !== undefined && <label className="block mt-3 text-sm">Type <b className="mono">{typeName}</b> to confirm<input className="inp mt-1" value={name} onChange={(e) => setName(e.target.value)} autoFocus /></label>}
        {error && <div className="mt-3"><ErrorBox error={error} title="Not changed" /></div>}
        <div className="flex justify-end gap-2 mt-3">
          <button type="button" className="btn" onClick={close}>Cancel</button>
          <button type="submit" className={`btn pri ${danger ? 'dgr' : ''}`} disabled={missing || busy} autoFocus={!reason && typeName === undefined}>{action}</button>
        </div>
      </form>
    </Dialog>
  )
}

/** "v12 champion  75 % → 100 %", one line each. */
export function BeforeAfter({ rows }: { rows: readonly { name: ReactNode; before: ReactNode; after: ReactNode }[] }) {
  return (
    <div className="grid my-2 text-sm text-1" style={{ gridTemplateColumns: '1fr max-content 20px max-content' }}>
      {rows.map((r, i) => (
        <div key={i} className="contents [&>*]:py-1.5 [&>*]:border-b [&>*]:border-grid">
          <span>{r.name}</span><span className="text-right text-2">{r.before}</span><span className="text-center text-3">→</span><b className="text-right">{r.after}</b>
        </div>
      ))}
    </div>
  )
}
