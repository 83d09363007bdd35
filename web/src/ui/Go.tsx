import { useRouter } from '@tanstack/react-router'
import { useCallback, type AnchorHTMLAttributes, type ReactNode } from 'react'

interface Props extends Omit<AnchorHTMLAttributes<HTMLAnchorElement>, 'href'> {
  /** An address of `lib/href`. */
  to: string
  children: ReactNode
}

/** A link to a page of this application. The browser keeps its ways of opening one: new tab, copy, middle button. */
export function Go({ to, children, onClick, ...rest }: Props) {
  const router = useRouter()
  const address = under(router.options.basepath ?? '/', to)
  return (
    <a {...rest} href={router.history.createHref(address)} onClick={(e) => {
      onClick?.(e)
      if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return
      e.preventDefault()
      router.history.push(address)
    }}>{children}</a>
  )
}

/** Opens an address of `lib/href`. */
export function useGo(): (to: string) => void {
  const router = useRouter()
  return useCallback((to: string) => router.history.push(under(router.options.basepath ?? '/', to)), [router])
}

function under(base: string, to: string): string {
  return base === '/' ? to : base.replace(/\/$/, '') + to
}
