import { Filter, X } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'

interface Props {
  value: string
  onChange: (value: string) => void
  placeholder: string
  /** Waits for Enter: the text is a query that may be wrong half-way. */
  onEnter?: boolean
  error?: string | undefined
  mono?: boolean
  suggestions?: readonly string[]
}

/** The one filter of a page; `/` jumps to it. */
export function FilterBox({ value, onChange, placeholder, onEnter, error, mono, suggestions = [] }: Props) {
  const [text, setText] = useState(value)
  const [at, setAt] = useState(-1)
  const [open, setOpen] = useState(false)
  const box = useRef<HTMLInputElement>(null)
  // Esc gives up what was typed; the blur that follows must not take it.
  const dropped = useRef(false)
  useEffect(() => setText(value), [value])
  const word = /[\w./"`]*$/.exec(text)?.[0] ?? ''
  const offers = open && word.length > 0 ? suggestions.filter((s) => s.toLowerCase().includes(word.toLowerCase()) && s !== word).slice(0, 8) : []
  const take = (s: string) => {
    setText(text.slice(0, text.length - word.length) + s + ' ')
    setAt(-1)
    box.current?.focus()
  }
  return (
    <div className={`q relative ${error ? 'bad' : ''}`}>
      <Filter size={14} />
      <input ref={box} data-filter className={mono ? 'mono' : ''} value={text} placeholder={placeholder} aria-label={placeholder} aria-invalid={error !== undefined} spellCheck={false}
        onFocus={() => setOpen(true)} onBlur={() => { setOpen(false); if (onEnter && text !== value && !dropped.current) onChange(text.trim()); dropped.current = false }}
        onChange={(e) => { setText(e.target.value); setAt(-1); if (!onEnter) onChange(e.target.value) }}
        onKeyDown={(e) => {
          if (e.key === 'ArrowDown' && offers.length > 0) setAt(Math.min(offers.length - 1, at + 1))
          else if (e.key === 'ArrowUp' && offers.length > 0) setAt(at - 1)
          else if ((e.key === 'Enter' || e.key === 'Tab') && offers[at]) take(offers[at])
          else if (e.key === 'Enter' && onEnter) onChange(text.trim())
          else if (e.key === 'Escape') { dropped.current = true; setText(onEnter ? value : ''); if (!onEnter) onChange(''); box.current?.blur() } else return
          e.preventDefault()
        }} />
      {text !== '' ? <button type="button" className="btn ghost icon s" aria-label="Clear the filter" onMouseDown={(e) => e.preventDefault()} onClick={() => { setText(''); onChange('') }}><X size={14} /></button> : <kbd>/</kbd>}
      {offers.length > 0 && (
        <div className="menu absolute left-8 top-9" role="listbox">
          {offers.map((s, i) => <div key={s} role="option" aria-selected={i === at} className="cm mono" onMouseDown={(e) => { e.preventDefault(); take(s) }}>{s}</div>)}
        </div>
      )}
    </div>
  )
}
