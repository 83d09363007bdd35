// Numbers, times and names as the pages print them: at most three significant digits, a thin space before
// units, "−" for minus, and nothing at all where there is no value.

/** Between a number and its unit: narrow, and a line never breaks there. */
export const thin = '\u202f'
const minus = '−'

type Maybe = number | null | undefined

function present(v: Maybe): v is number {
  return v !== null && v !== undefined
}

function group(text: string): string {
  const [whole = '', rest] = text.split('.')
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',')
  return rest === undefined ? grouped : `${grouped}.${rest}`
}

/** NaN and the infinities; in answers of the server they are words. */
function unusual(word: number): string {
  const v = Number(word)
  if (Number.isNaN(v)) return 'NaN'
  return v > 0 ? '∞' : `${minus}∞`
}

/** A number with exactly `digits` decimals, so that a column of them lines up. */
export function fixed(v: Maybe, digits: number): string {
  if (!present(v)) return ''
  if (!Number.isFinite(v)) return unusual(v)
  const text = Math.abs(v).toFixed(digits)
  return (v < 0 && Number(text) !== 0 ? minus : '') + group(text)
}

/** A number with at most three significant digits: 0.0123, 38.2, 562, 1,284, 1.2e−6. */
export function num(v: Maybe): string {
  if (!present(v)) return ''
  if (!Number.isFinite(v)) return unusual(v)
  const size = Math.abs(v)
  if (size === 0) return '0'
  if (size < 1e-4 || size >= 1e9) return v.toExponential(2).replace(/\.?0+e/, 'e').replace('e+', 'e').replaceAll('-', minus)
  if (size >= 100) return fixed(v, 0)
  const digits = Math.max(0, 2 - Math.floor(Math.log10(size)))
  const text = size.toFixed(digits)
  return (v < 0 ? minus : '') + (text.includes('.') ? text.replace(/\.?0+$/, '') : text)
}

/** How many decimals show `values` with three significant digits at their largest; one column, one answer. */
export function decimals(values: Maybe[]): number {
  const finite = values.filter((v): v is number => present(v) && Number.isFinite(v))
  if (finite.length === 0 || finite.every(Number.isInteger)) return 0
  const top = Math.max(...finite.map(Math.abs))
  return top === 0 ? 0 : Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(top))))
}

/**
 * A number in a column of `digits` decimals. Where those would leave nothing of it, and where it is very large, it is printed with its own:
 * one run that went astray must not make the others look like 0.
 */
export function inColumn(v: Maybe, digits: number): string {
  if (!present(v) || !Number.isFinite(v)) return num(v)
  const size = Math.abs(v)
  return size >= 1e6 || (size !== 0 && size < 10 ** -digits) ? num(v) : fixed(v, digits)
}

/** The words of an axis: as many digits as tell its ticks apart and are true, more than three where it takes them. */
export function tickWords(ticks: readonly number[]): string[] {
  const step = Math.abs((ticks[1] ?? 0) - (ticks[0] ?? 0))
  if (step === 0) return ticks.map(num)
  const top = Math.max(...ticks.map(Math.abs))
  const power = Math.floor(Math.log10(step * (1 + 1e-9)))
  const half = Math.abs(step / 10 ** power - 2.5) < 1e-6 ? 1 : 0
  const digits = Math.floor(Math.log10(top)) - power + 1 + half
  if (digits <= 3) return ticks.map(num)
  if (top >= 1e9 || top < 1e-4) return ticks.map((t) => t.toExponential(digits - 1).replace('e+', 'e').replaceAll('-', minus))
  return ticks.map((t) => fixed(t, Math.max(0, half - power)))
}

export function count(v: Maybe): string {
  return fixed(v, 0)
}

/** A large count in words of three digits: 412 k, 91.8 million. */
export function large(v: Maybe): { value: string; unit: string } {
  if (!present(v)) return { value: '', unit: '' }
  if (v >= 1e9) return { value: num(v / 1e9), unit: 'billion' }
  if (v >= 1e6) return { value: num(v / 1e6), unit: 'million' }
  if (v >= 1e5) return { value: num(v / 1e3), unit: 'k' }
  return { value: count(v), unit: '' }
}

/** A share between 0 and 1 as a percentage: 2.4 %. */
export function pct(share: Maybe, digits = 1): string {
  return present(share) ? `${fixed(share * 100, digits)}${thin}%` : ''
}

/** A difference: always with its sign. */
export function signed(v: Maybe, format: (v: number) => string = num): string {
  if (!present(v)) return ''
  if (v === 0) return '±0'
  return (v > 0 ? '+' : minus) + format(Math.abs(v))
}

export function ms(v: Maybe): string {
  if (!present(v)) return ''
  if (v >= 10_000) return duration(v)
  return `${v < 1 ? num(Number(v.toPrecision(2))) : v < 10 ? num(v) : fixed(v, 0)}${thin}ms`
}

export function bytes(v: Maybe): string {
  if (!present(v)) return ''
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let size = v
  let i = 0
  while (size >= 1000 && i < units.length - 1) {
    size /= 1000
    i++
  }
  return `${i === 0 ? fixed(size, 0) : num(size)}${thin}${units[i]}`
}

/** How long something took, in its two largest units: 41 ms, 3.2 s, 4 min 12 s, 2 h 5 min, 3 days. */
export function duration(millis: Maybe): string {
  if (!present(millis) || millis < 0) return ''
  const s = millis / 1000
  if (millis < 1000) return `${Math.round(millis)}${thin}ms`
  if (s < 10) return `${num(s)}${thin}s`
  const whole = Math.round(s)
  if (whole < 60) return `${whole}${thin}s`
  if (whole < 3600) return two(Math.floor(whole / 60), 'min', whole % 60, 's')
  const minutes = Math.round(s / 60)
  if (minutes < 24 * 60) return two(Math.floor(minutes / 60), 'h', minutes % 60, 'min')
  const hours = Math.round(s / 3600)
  const days = Math.floor(hours / 24)
  return hours % 24 === 0 || days >= 7 ? `${days} ${days === 1 ? 'day' : 'days'}` : `${days} d ${hours % 24}${thin}h`
}

function two(a: number, unitA: string, b: number, unitB: string): string {
  return b === 0 ? `${a}${thin}${unitA}` : `${a}${thin}${unitA} ${b}${thin}${unitB}`
}

export type When = string | number | Date

/** Milliseconds since 1970, of RFC 3339 text, unix milliseconds or a Date; NaN when it is none of them. */
export function millis(t: When): number {
  if (t instanceof Date) return t.getTime()
  return typeof t === 'number' ? t : Date.parse(t)
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const pad = (n: number) => String(n).padStart(2, '0')

/** 21 Nov, with the year when it is not this one. */
export function day(t: When, now = Date.now()): string {
  const d = new Date(millis(t))
  const year = d.getFullYear() === new Date(now).getFullYear() ? '' : ` ${d.getFullYear()}`
  return `${d.getDate()} ${months[d.getMonth()]}${year}`
}

export function clock(t: When, seconds = false): string {
  const d = new Date(millis(t))
  return `${pad(d.getHours())}:${pad(d.getMinutes())}${seconds ? `:${pad(d.getSeconds())}` : ''}`
}

/** The absolute time with its zone: 21 Nov 2026 09:04:11 UTC+1. */
export function absolute(t: When): string {
  const d = new Date(millis(t))
  if (Number.isNaN(d.getTime())) return ''
  const offset = -d.getTimezoneOffset()
  const zone = offset === 0 ? 'UTC' : `UTC${offset > 0 ? '+' : minus}${num(Math.abs(offset) / 60)}`
  return `${d.getDate()} ${months[d.getMonth()]} ${d.getFullYear()} ${clock(d, true)} ${zone}`
}

/** How long ago, in words; the date when it is older than a week; "in …" for what is to come. */
export function ago(t: When, now = Date.now()): string {
  const at = millis(t)
  if (Number.isNaN(at)) return ''
  const s = (now - at) / 1000
  if (s < -5) return `in ${rough(-s)}`
  if (s < 5) return 'just now'
  if (s > 7 * 86_400) return day(at, now)
  return `${rough(s)} ago`
}

function rough(s: number): string {
  if (s < 60) return `${Math.round(s)}${thin}s`
  if (s < 3600) return `${Math.round(s / 60)}${thin}min`
  if (s < 86_400) return `${Math.round(s / 3600)}${thin}h`
  const days = Math.round(s / 86_400)
  return `${days} ${days === 1 ? 'day' : 'days'}`
}

/** "1 run", "3 runs", "1,284 runs". */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`
}

/** Initials for a badge: "Ingrid Solberg" is IS, "svc-train" ST, "" is "?". */
export function initials(name: string): string {
  const words = name.split(/[\s._@-]+/).filter(Boolean)
  return words.slice(0, 2).map((w) => w[0]?.toUpperCase() ?? '').join('') || '?'
}

const timed = /^[0-9a-f]{8}-?[0-9a-f]{4}-?7[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i

/**
 * A long id, short enough for a row; copying always gives the whole. An id that begins with the time (UUIDv7) is
 * told from its neighbours by its end, any other by its beginning.
 */
export function shortId(id: string, length = 8): string {
  const head = /^[a-z]{1,3}-/.exec(id)?.[0] ?? ''
  const rest = id.slice(head.length)
  if (timed.test(rest)) return head + rest.replaceAll('-', '').slice(head.length - length)
  return id.length > length + 3 ? id.slice(0, length) : id
}
