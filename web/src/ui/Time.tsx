import { absolute, ago, duration, type When } from '@/lib/format'
import { useNow } from './useNow'

/** "3 h ago", the absolute time and zone on hover. */
export function Time({ at, className }: { at: When | null | undefined; className?: string }) {
  const now = useNow()
  if (at === null || at === undefined || at === '') return null
  return <time className={className} dateTime={new Date(at).toISOString()} title={absolute(at)}>{ago(at, now)}</time>
}

/** How long something took, or has been going on. */
export function Took({ from, to }: { from: When | null | undefined; to?: When | null | undefined }) {
  const now = useNow()
  if (!from) return null
  return <>{duration((to ? new Date(to).getTime() : now) - new Date(from).getTime())}</>
}
