import * as M from '@radix-ui/react-dropdown-menu'
import { Check } from 'lucide-react'
import type { ReactElement, ReactNode } from 'react'

export function Menu({ trigger, label, children, align = 'end' }: { trigger: ReactElement; label: string; children: ReactNode; align?: 'start' | 'end' }) {
  return (
    <M.Root modal={false}>
      <M.Trigger asChild>{trigger}</M.Trigger>
      <M.Portal>
        <M.Content className="menu" align={align} sideOffset={4} collisionPadding={8} aria-label={label}>{children}</M.Content>
      </M.Portal>
    </M.Root>
  )
}

export function MenuItem({ onSelect, children, hint, icon, disabled }: { onSelect: () => void; children: ReactNode; hint?: ReactNode; icon?: ReactNode; disabled?: boolean }) {
  return (
    <M.Item className="cm" onSelect={onSelect} disabled={disabled ?? false}>
      {icon}<span className="flex-1">{children}</span>{hint && <span className="text-3 text-xs">{hint}</span>}
    </M.Item>
  )
}

export function MenuChoice({ checked, onSelect, children }: { checked: boolean; onSelect: () => void; children: ReactNode }) {
  return (
    <M.CheckboxItem role="menuitemradio" className="cm" checked={checked} onSelect={onSelect}>
      <span className="w-4">{checked && <Check size={14} />}</span><span className="flex-1">{children}</span>
    </M.CheckboxItem>
  )
}

/** A choice that leaves the menu open, for lists of columns. */
export function MenuToggle({ checked, onChange, children }: { checked: boolean; onChange: (checked: boolean) => void; children: ReactNode }) {
  return (
    <M.CheckboxItem className="cm" checked={checked} onCheckedChange={onChange} onSelect={(e) => e.preventDefault()}>
      <span className="w-4">{checked && <Check size={14} />}</span><span className="flex-1">{children}</span>
    </M.CheckboxItem>
  )
}

export const MenuLabel = ({ children }: { children: ReactNode }) => <M.Label className="text-3 text-xs px-2 py-1">{children}</M.Label>
export const MenuLine = () => <M.Separator className="h-px bg-border my-1" />
