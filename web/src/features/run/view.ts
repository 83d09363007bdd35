// What a saved view keeps of the address of a runs table. Every reader is total: another version of this page may have saved it.

export interface ViewQuery {
  filter?: string | undefined
  sort?: string | undefined
  cols?: readonly string[] | undefined
  pin?: readonly string[] | undefined
  group?: readonly string[] | undefined
  diff?: boolean | undefined
  rows?: 'dense' | 'roomy' | undefined
  metric?: string | undefined
  smooth?: number | undefined
  x?: 'time' | 'epoch' | undefined
  log?: boolean | undefined
  chart?: 'off' | undefined
  /** "m:val_mae=140": the width of a column in pixels. */
  wide?: readonly string[] | undefined
}

const names = ['filter', 'sort', 'cols', 'pin', 'group', 'diff', 'rows', 'metric', 'smooth', 'x', 'log', 'chart', 'wide'] as const

/** The part of an address that is a view; what is not set is left out. */
export function viewOf(search: ViewQuery): ViewQuery {
  return Object.fromEntries(names.flatMap((n) => (search[n] === undefined || search[n] === false ? [] : [[n, search[n]]])))
}

const string = (v: unknown) => (typeof v === 'string' && v !== '' ? v : undefined)
const strings = (v: unknown) => (Array.isArray(v) && v.every((s) => typeof s === 'string') && v.length > 0 ? (v as string[]) : undefined)

/** A saved query as the address takes it, every name present, so that opening a view clears what it does not say. */
export function readView(saved: Record<string, unknown>): { [K in (typeof names)[number]]: ViewQuery[K] } {
  const smooth = Number(saved.smooth)
  return {
    filter: string(saved.filter), sort: string(saved.sort), cols: strings(saved.cols), pin: strings(saved.pin), group: strings(saved.group), diff: saved.diff === true ? true : undefined,
    rows: saved.rows === 'dense' || saved.rows === 'roomy' ? saved.rows : undefined, metric: string(saved.metric), smooth: smooth > 0 && smooth < 1 ? smooth : undefined,
    x: saved.x === 'time' || saved.x === 'epoch' ? saved.x : undefined, log: saved.log === true ? true : undefined, chart: saved.chart === 'off' ? 'off' : undefined, wide: strings(saved.wide),
  }
}

/** Whether a page shows what the view says. */
export function sameView(saved: Record<string, unknown>, now: ViewQuery): boolean {
  return JSON.stringify(viewOf(readView(saved))) === JSON.stringify(viewOf(readView(now as Record<string, unknown>)))
}
