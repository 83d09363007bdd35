// The words of the sentences that open a page. Pure, so that each is tested beside its numbers.
import { ago, num, pct, plural, type When } from './format'

const words = ['No', 'One', 'Two', 'Three', 'Four', 'Five', 'Six', 'Seven', 'Eight', 'Nine', 'Ten', 'Eleven', 'Twelve']

/** A count at the start of a sentence: "Three", "14". */
export function countWord(n: number): string {
  return words[n] ?? String(n)
}

/** "a", "a and b", "a, b and c", "a, b and 4 more" when there are more than `most`. */
export function listed(names: string[], most = 3): string {
  if (names.length <= 1) return names[0] ?? ''
  if (names.length <= most) return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
  return `${names.slice(0, most - 1).join(', ')} and ${names.length - most + 1} more`
}

/** The title of the home page. */
export function needsTitle(n: number): string {
  if (n === 0) return 'Nothing needs you'
  return n === 1 ? 'One thing needs you' : `${countWord(n)} things need you`
}

/** How a value stands to its limit: "five times the limit", "18 % over the limit", "at the limit", "half the limit". */
export function toLimit(value: number, limit: number): string {
  if (!(limit > 0) || !Number.isFinite(value)) return `against a limit of ${num(limit)}`
  const ratio = value / limit
  if (ratio >= 1.9) return `${ratio < 12.5 ? countWord(Math.round(ratio)).toLowerCase() : Math.round(ratio)} times the limit`.replace('two times', 'twice')
  if (ratio > 1.02) return `${pct(ratio - 1, 0)} over the limit`
  if (ratio >= 0.98) return 'at the limit'
  return `${pct(1 - ratio, 0)} under the limit`
}

/** When all is well: "12 of 12 features inside their limits, checked 4 min ago". */
export function insideLimits(inside: number, total: number, noun: string, checked?: When, now = Date.now()): string {
  const base = `${inside} of ${plural(total, noun)} inside their limits`
  return checked === undefined ? base : `${base}, checked ${ago(checked, now)}`
}

/** Traffic about to move between versions, for the note under the slider. */
export function movesTraffic(rate: number, from: string, to: string, share: number): string {
  const requests = rate * share
  if (share === 0) return 'Nothing moves.'
  if (!(requests > 0)) return `Moves ${pct(share, 0)} of requests from ${from} to ${to}; none arrive at the moment.`
  return `Moves about ${num(requests)} requests/s from ${from} to ${to}.`
}
