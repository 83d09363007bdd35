// Search parameters are plain, flat text: ?sort=-val_mae&tab=charts. Each reader below is total: whatever a link
// carries, it answers with a value of its type, so a bad link opens the page in its usual state.

export type RawSearch = Record<string, unknown>

export function parseSearch(query: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(query))
}

export function stringifySearch(search: RawSearch): string {
  const out = new URLSearchParams()
  for (const [key, value] of Object.entries(search)) {
    if (value === undefined || value === null || value === '' || value === false) continue
    if (Array.isArray(value) && value.length === 0) continue
    out.set(key, Array.isArray(value) ? value.map((v) => escape(String(v))).join(',') : value === true ? '1' : String(value))
  }
  const text = out.toString().replaceAll('%2C', ',').replaceAll('%3A', ':').replaceAll('%40', '@').replaceAll('%2F', '/')
  return text === '' ? '' : `?${text}`
}

// A name in a list may hold what the list is split at.
const escape = (item: string) => item.replaceAll('%', '%25').replaceAll(',', '%2C')
const unescape = (item: string) => item.replaceAll('%2C', ',').replaceAll('%25', '%')

export function text(raw: RawSearch, key: string): string | undefined {
  const value = raw[key]
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : undefined
}

export function oneOf<T extends string>(raw: RawSearch, key: string, allowed: readonly T[]): T | undefined {
  const value = text(raw, key)
  return allowed.find((a) => a === value)
}

export function list(raw: RawSearch, key: string): string[] | undefined {
  const value = raw[key]
  const items = Array.isArray(value) ? value.map(String) : (text(raw, key)?.split(',').map(unescape) ?? [])
  const clean = items.filter(Boolean)
  return clean.length > 0 ? clean : undefined
}

export function whole(raw: RawSearch, key: string, min: number, max: number): number | undefined {
  const value = Number(raw[key] ?? NaN)
  return Number.isInteger(value) && value >= min && value <= max ? value : undefined
}

export function real(raw: RawSearch, key: string, min: number, max: number): number | undefined {
  const value = Number(raw[key] ?? NaN)
  return Number.isFinite(value) && value >= min && value <= max ? value : undefined
}

export function flag(raw: RawSearch, key: string): true | undefined {
  return raw[key] === '1' || raw[key] === true || raw[key] === 'true' ? true : undefined
}

export interface Sort {
  id: string
  desc: boolean
}

/** "-val_mae" sorts val_mae downwards. */
export function parseSort(value: string | undefined): Sort | undefined {
  if (!value || value === '-') return undefined
  return value.startsWith('-') ? { id: value.slice(1), desc: true } : { id: value, desc: false }
}

export function sortText(sort: Sort | undefined): string | undefined {
  return sort && `${sort.desc ? '-' : ''}${sort.id}`
}

export const rangeNames = ['15m', '1h', '6h', '24h', '7d', '30d', 'all'] as const
export type RangeName = (typeof rangeNames)[number]

/** Seconds that a named range looks back; Infinity for all. */
export const rangeSeconds: Record<RangeName, number> = {
  '15m': 900, '1h': 3600, '6h': 21_600, '24h': 86_400, '7d': 604_800, '30d': 2_592_000, all: Infinity,
}

export const rangeWords: Record<RangeName, string> = {
  '15m': '15 min', '1h': '1 h', '6h': '6 h', '24h': '24 h', '7d': '7 d', '30d': '30 d', all: 'All',
}

export interface Span {
  /** Unix seconds. */
  from: number
  to: number
}

/** A range in a link: a name ("6h") or two unix seconds ("1763712000..1763715600"). */
export function parseSpan(value: string | undefined): Span | undefined {
  const match = /^(\d{1,12})\.\.(\d{1,12})$/.exec(value ?? '')
  if (!match) return undefined
  const from = Number(match[1])
  const to = Number(match[2])
  return from < to ? { from, to } : undefined
}

export function spanText(span: Span): string {
  return `${Math.floor(span.from)}..${Math.ceil(span.to)}`
}

/** The address when a text is one of the web, with http or https and a host; undefined for everything else (javascript:, data:, a path). */
export function webAddress(text: string): string | undefined {
  try {
    const url = new URL(text)
    return (url.protocol === 'http:' || url.protocol === 'https:') && url.username === '' && url.password === '' ? url.href : undefined
  } catch {
    return undefined
  }
}
