import { Check, Copy } from 'lucide-react'
import { useState } from 'react'
import { shortId } from '@/lib/format'
import { toast } from './toasts'

/** Copies text; says so by its own icon. */
export function CopyButton({ text, label = 'Copy', className = '' }: { text: string; label?: string; className?: string }) {
  const [done, setDone] = useState(false)
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
    } catch {
      toast({ kind: 'bad', text: 'The browser did not allow copying. Select the text instead.' })
      return
    }
    setDone(true)
    setTimeout(() => setDone(false), 1500)
  }
  return (
    <button type="button" className={`btn ghost icon s ${className}`} aria-label={done ? 'Copied' : label} title={label} onClick={() => void copy()}>
      {done ? <Check size={14} /> : <Copy size={14} />}
    </button>
  )
}

/** Text to copy: wraps, is never cut. `prompt` puts a $ in front of it that is not copied. */
export function Code({ text, prompt, small }: { text: string; prompt?: boolean; small?: boolean }) {
  return (
    <div className={`code ${small ? 's' : ''}`}>
      {prompt && <span className="p">$ </span>}{text}
      <CopyButton text={text} className="copy" />
    </div>
  )
}

/** The same request in several languages. */
export function CodeTabs({ tabs }: { tabs: readonly { name: string; text: string }[] }) {
  const [on, setOn] = useState(0)
  return (
    <div>
      <div className="seg s mb-1.5" role="tablist">
        {tabs.map((t, i) => <button key={t.name} type="button" role="tab" aria-selected={i === on} className={i === on ? 'on' : ''} onClick={() => setOn(i)}>{t.name}</button>)}
      </div>
      <Code text={tabs[on]?.text ?? ''} small />
    </div>
  )
}

/** An id: short to read, whole to copy. */
export function Id({ id, length = 8 }: { id: string; length?: number }) {
  return (
    <span className="inline-flex items-center gap-0.5 group/id">
      <span className="mono" title={id}>{shortId(id, length)}</span>
      <CopyButton text={id} label="Copy id" className="opacity-0 group-hover/id:opacity-100 focus-visible:opacity-100 -my-1" />
    </span>
  )
}
