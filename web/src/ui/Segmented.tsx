interface Props<T extends string> {
  label: string
  value: T
  options: readonly { value: T; label: string }[]
  onChange: (value: T) => void
  small?: boolean
}

/** One of a few; arrow keys move as in a radio group. */
export function Segmented<T extends string>({ label, value, options, onChange, small }: Props<T>) {
  const move = (by: number) => {
    const i = options.findIndex((o) => o.value === value)
    const next = options[(i + by + options.length) % options.length]
    if (next) onChange(next.value)
  }
  return (
    <div className={`seg ${small ? 's' : ''}`} role="radiogroup" aria-label={label}
      onKeyDown={(e) => {
        if (e.key === 'ArrowRight' || e.key === 'ArrowDown') move(1)
        else if (e.key === 'ArrowLeft' || e.key === 'ArrowUp') move(-1)
        else return
        e.preventDefault()
        requestAnimationFrame(() => (e.currentTarget as HTMLElement | null)?.querySelector<HTMLElement>('[aria-checked=true]')?.focus())
      }}>
      {options.map((o) => (
        <button key={o.value} type="button" role="radio" aria-checked={o.value === value} tabIndex={o.value === value ? 0 : -1} className={o.value === value ? 'on' : ''} onClick={() => onChange(o.value)}>{o.label}</button>
      ))}
    </div>
  )
}
