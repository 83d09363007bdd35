import { X } from 'lucide-react'
import { useKeys } from '@/lib/keys'
import { useStore } from '@/lib/store'
import { Go } from './Go'
import { Shape } from './Shape'
import { dismiss, toasts } from './toasts'

export function Toasts() {
  const list = useStore(toasts)
  const undo = list.findLast((t) => t.action)
  const act = (t: (typeof list)[number]) => {
    t.action?.run()
    dismiss(t.id)
  }
  useKeys([{ keys: 'z', label: 'Undo the last step', run: () => undo && act(undo) }], undo !== undefined)
  return (
    <div className="toasts" role="status" aria-live="polite">
      {list.map((t) => (
        <div key={t.id} className="toast">
          <Shape kind={t.kind} /><span className="flex-1 min-w-0 break-words">{t.text}</span>
          {t.link && <Go className="link text-sm" to={t.link.to} onClick={() => dismiss(t.id)}>{t.link.label}</Go>}
          {t.action && <button type="button" className="btn s ghost text-accent" onClick={() => act(t)}>{t.action.label}{t === undo && <kbd>Z</kbd>}</button>}
          <button type="button" className="btn ghost icon s" aria-label="Close" onClick={() => dismiss(t.id)}><X size={14} /></button>
        </div>
      ))}
    </div>
  )
}
