import * as T from '@radix-ui/react-tooltip'
import type { ReactElement, ReactNode } from 'react'

/** One provider around the application lets neighbouring tips open without a second delay. */
export const TooltipProvider = ({ children }: { children: ReactNode }) => <T.Provider delayDuration={350} skipDelayDuration={200}>{children}</T.Provider>

/** A hint on hover or focus; never the only copy of a fact. */
export function Tooltip({ text, children, side = 'top' }: { text: ReactNode; children: ReactElement; side?: 'top' | 'bottom' | 'left' | 'right' }) {
  if (!text) return children
  return (
    <T.Root>
      <T.Trigger asChild>{children}</T.Trigger>
      <T.Portal>
        <T.Content className="tt" side={side} sideOffset={5} collisionPadding={8}>{text}</T.Content>
      </T.Portal>
    </T.Root>
  )
}
