import { X } from 'lucide-react'
import type { ReactNode } from 'react'
import { useKeys } from '@/lib/keys'

/** A panel at the right, opened by a row; Esc closes it, and it is in the address. */
export function Drawer({ label, title, onClose, actions, footer, children, over }: { label: string; title: ReactNode; onClose: () => void; actions?: ReactNode; footer?: ReactNode; children: ReactNode; over?: boolean }) {
  useKeys([{ keys: 'Escape', label: 'Close the drawer', run: onClose, always: true }])
  return (
    <aside className={`drawer ${over ? 'over' : ''}`} aria-label={label}>
      <div className="px-4 py-3 flex items-center gap-2">
        <div className="flex-1 min-w-0 strong clip">{title}</div>{actions}
        <button type="button" className="btn ghost icon s" aria-label="Close" onClick={onClose}><X size={14} /></button>
      </div>
      {children}
      {footer && <div className="mt-auto px-4 py-3 border-t border-border flex gap-2 [&>*]:flex-1">{footer}</div>}
    </aside>
  )
}
