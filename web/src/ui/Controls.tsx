import * as S from '@radix-ui/react-slider'
import { useId, type ReactNode } from 'react'

export function Checkbox({ checked, onChange, label }: { checked: boolean | 'mixed'; onChange: (shift: boolean) => void; label: string }) {
  return (
    <button type="button" role="checkbox" aria-checked={checked} aria-label={label} className="ck" onClick={(e) => { e.stopPropagation(); onChange(e.shiftKey) }}>
      {checked === true && <svg width="8" height="8" viewBox="0 0 8 8" fill="none" aria-hidden="true"><path d="M1 4.2 3.2 6.3 7 2" stroke="currentColor" strokeWidth="1.6" /></svg>}
      {checked === 'mixed' && <svg width="8" height="8" aria-hidden="true"><path d="M1 4h6" stroke="currentColor" strokeWidth="1.6" /></svg>}
    </button>
  )
}

export function Switch({ checked, onChange, children }: { checked: boolean; onChange: (on: boolean) => void; children: ReactNode }) {
  const id = useId()
  return (
    <span className="inline-flex items-center gap-2">
      <button type="button" role="switch" aria-checked={checked} aria-labelledby={id} className="swt" onClick={() => onChange(!checked)} />
      <span id={id}>{children}</span>
    </span>
  )
}

export function Slider({ value, min, max, step, onChange, label }: { value: number; min: number; max: number; step: number; onChange: (v: number) => void; label: string }) {
  return (
    <S.Root className="slider" value={[value]} min={min} max={max} step={step} onValueChange={([v]) => v !== undefined && onChange(v)}>
      <S.Track className="track"><S.Range className="range" /></S.Track>
      <S.Thumb className="thumb" aria-label={label} />
    </S.Root>
  )
}

interface FieldProps {
  label: string
  help?: ReactNode
  error?: string | undefined
  children: (props: { id: string; 'aria-describedby': string; 'aria-invalid': boolean }) => ReactNode
}

/** Label above, help below, an error in place of the help. */
export function Field({ label, help, error, children }: FieldProps) {
  const id = useId()
  return (
    <div className="max-w-[480px]">
      <label htmlFor={id} className="strong block mb-1">{label}</label>
      {children({ id, 'aria-describedby': `${id}-help`, 'aria-invalid': error !== undefined })}
      <div id={`${id}-help`} className={`text-sm mt-1 ${error ? 'text-bad' : 'text-3'}`}>{error ?? help}</div>
    </div>
  )
}
