import * as P from '@radix-ui/react-popover'
import type { ReactElement, ReactNode } from 'react'

/** A panel that hangs from a button and holds more than a menu can: fields, lists with search. */
export function Popover({ trigger, label, children, align = 'end', open, onOpen }: { trigger: ReactElement; label: string; children: ReactNode; align?: 'start' | 'end'; open?: boolean; onOpen?: (open: boolean) => void }) {
  return (
    <P.Root {...(open === undefined ? {} : { open })} {...(onOpen ? { onOpenChange: onOpen } : {})}>
      <P.Trigger asChild>{trigger}</P.Trigger>
      <P.Portal><P.Content className="menu" align={align} sideOffset={4} collisionPadding={8} aria-label={label}>{children}</P.Content></P.Portal>
    </P.Root>
  )
}
