import { ExternalLink } from 'lucide-react'
import type { ReactNode } from 'react'
import { webAddress } from '@/lib/url'

/** Text that somebody gave as a link: one to follow when it is an address of the web, else the text. */
export function Outside({ text }: { text: string }): ReactNode {
  const to = webAddress(text)
  if (!to) return <span className="mono">{text}</span>
  return <a className="link" href={to} target="_blank" rel="noopener noreferrer">{text} <ExternalLink size={12} className="inline align-[-1px]" aria-label="opens in a new tab" /></a>
}
