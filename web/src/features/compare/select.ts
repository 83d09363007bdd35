// What the compare page works out of its runs and its address; no DOM in here.
import { dimension, influence, type Brush, type Dim } from '@/charts/relate'
import { seriesStyle, widenGaps, type Aligned, type Value } from '@/charts/maths'
import type { Run } from '@/lib/api/types'
import { decimals, duration, inColumn, millis } from '@/lib/format'
import { datasetOf } from '@/lib/href'
import { best, isEpoch, lowerIsBetter, type Better } from '@/lib/metrics'

/** A column of runs: "m:val_mae" is a metric, "p:depth" a parameter, "t:team" a tag. */
export type ColumnId = string

export const columnLabel = (id: ColumnId) => id.slice(2)

/** Tags that people set; MLflow's own say how a run was made and are told elsewhere. */
export const isOwnTag = (key: string) => !/^(mlflow|modelyard)\./.test(key)

function keys(runs: readonly Run[], of: (r: Run) => Record<string, unknown>): string[] {
  return [...new Set(runs.flatMap((r) => Object.keys(of(r))))]
}

export const metricKeys = (runs: readonly Run[]) => keys(runs, (r) => r.metrics).filter((k) => !k.startsWith('system/'))

export function columnIds(runs: readonly Run[]): ColumnId[] {
  return [...keys(runs, (r) => r.params).sort().map((k) => `p:${k}`), ...metricKeys(runs).map((k) => `m:${k}`), ...keys(runs, (r) => r.tags).filter(isOwnTag).sort().map((k) => `t:${k}`)]
}

export function valueOf(run: Run, id: ColumnId): number | string | null {
  const key = columnLabel(id)
  const v = id.startsWith('m:') ? run.metrics[key] : id.startsWith('p:') ? run.params[key] : run.tags[key]
  return v ?? null
}

export function dimOf(runs: readonly Run[], id: ColumnId): Dim {
  return dimension(id, columnLabel(id), runs.map((r) => valueOf(r, id)))
}

/** The axes to begin with: the parameters that the main metric moves with most, then a second metric and the main one. */
export function usualAxes(runs: readonly Run[], main: string | undefined, better: Better = lowerIsBetter): ColumnId[] {
  const result = main ? dimOf(runs, `m:${main}`) : undefined
  const params = columnIds(runs).filter((id) => id.startsWith('p:')).map((id) => dimOf(runs, id)).filter((d) => {
    const different = new Set(d.values.filter((v) => v !== null)).size
    return different > 1 && (d.kind === 'number' || different <= 8)
  })
  const ranked = params.map((d) => ({ d, weight: result ? influence(d, result) : 0 })).sort((a, b) => b.weight - a.weight || Number(a.d.kind === 'text') - Number(b.d.kind === 'text'))
  const metrics = metricKeys(runs).filter((k) => k !== main && better(k) !== undefined).slice(0, 1)
  return [...ranked.slice(0, 5).map(({ d }) => d.id), ...[...metrics, ...(main ? [main] : [])].map((k) => `m:${k}`)]
}

const escape = (text: string) => text.replaceAll('%', '%25').replaceAll(',', '%2C').replaceAll('=', '%3D')
const unescape = (text: string) => text.replaceAll('%3D', '=').replaceAll('%2C', ',').replaceAll('%25', '%')

/** Names in a link: a name may hold what the list is split at. */
export const listed = (names: readonly string[]) => (names.length > 0 ? names.map(escape) : undefined)
export const unlisted = (names: readonly string[] | undefined) => names?.map(unescape)

/** The brushes of a link: "m:val_mae=30..42". What can't be read is left out. */
export function parseLimits(texts: readonly string[] | undefined): Map<ColumnId, Brush> {
  const out = new Map<ColumnId, Brush>()
  for (const text of texts ?? []) {
    const match = /^([mpt]:[^=]+)=(.*?)\.\.(.*)$/.exec(text)
    if (!match) continue
    const value = (raw: string) => { const t = unescape(raw); return t !== '' && Number.isFinite(Number(t)) ? Number(t) : t }
    out.set(unescape(match[1]!), [value(match[2]!), value(match[3]!)])
  }
  return out
}

export function limitTexts(limits: ReadonlyMap<ColumnId, Brush>): string[] | undefined {
  const short = (v: number | string) => escape(typeof v === 'number' ? String(Number(v.toPrecision(5))) : v)
  const out = [...limits].map(([id, [a, b]]) => `${escape(id)}=${short(a)}..${short(b)}`)
  return out.length > 0 ? out : undefined
}

export interface Look {
  color: string
  dash: boolean
}

/**
 * The look of each run. Those in `known` keep theirs, so that a run has one colour as long as the page is open,
 * whoever comes and goes; a new one takes the first that is free.
 */
export function dealLooks(ids: readonly string[], known: ReadonlyMap<string, number>): Map<string, number> {
  const out = new Map([...known].filter(([id]) => ids.includes(id)))
  const taken = new Set(out.values())
  let next = 0
  for (const id of ids) {
    if (out.has(id)) continue
    while (taken.has(next)) next++
    taken.add(next)
    out.set(id, next)
  }
  return out
}

export const lookOf = (slot: number): Look => seriesStyle(slot)

export interface Row {
  key: string
  group: 'Parameters' | 'Metrics' | 'Tags' | 'About'
  cells: string[]
  /** Whether the runs differ in it. */
  differs: boolean
  /** Index of the run that is best; -1 where that is not known. */
  best: number
}

const about: readonly [string, (r: Run) => string][] = [
  ['Data', (r) => (r.inputs ?? []).map((i) => { const d = datasetOf(i.source); return d ? `${d.name} v${d.version}` : i.name }).join(', ')],
  ['Commit', (r) => (r.tags['mlflow.source.git.commit'] ?? '').slice(0, 7)],
  ['Source', (r) => r.source ?? r.tags['mlflow.source.name'] ?? ''],
  ['By', (r) => r.user ?? r.tags['mlflow.user'] ?? ''],
  ['Took', (r) => (r.end_time ? duration(millis(r.end_time) - millis(r.start_time)) : '')],
  ['State', (r) => r.status.toLowerCase()],
]

/** Every value of the runs, row by row. */
export function rowsOf(runs: readonly Run[], better: Better = lowerIsBetter): Row[] {
  const row = (group: Row['group'], key: string, cells: string[]): Row => ({ group, key, cells, differs: new Set(cells).size > 1, best: -1 })
  const metrics = metricKeys(runs).map((key): Row => {
    const digits = decimals(runs.map((r) => r.metrics[key] ?? null))
    const winner = best(runs, key, better)
    const cells = runs.map((r) => inColumn(r.metrics[key], digits))
    return { ...row('Metrics', key, cells), best: new Set(cells).size > 1 ? runs.findIndex((r) => r.id === winner?.id) : -1 }
  })
  return [
    ...keys(runs, (r) => r.params).sort().map((key) => row('Parameters', key, runs.map((r) => r.params[key] ?? ''))),
    ...metrics,
    ...keys(runs, (r) => r.tags).filter(isOwnTag).sort().map((key) => row('Tags', key, runs.map((r) => r.tags[key] ?? ''))),
    ...about.map(([key, of]) => row('About', key, runs.map(of))).filter((r) => r.cells.some((c) => c !== '')),
  ]
}

/**
 * Series of different x on at most `most` common places; with more, each place holds of its points the one farthest
 * from their mean, so that peaks stay. Without it a hundred runs over time would make a million cells.
 */
export function onGrid(series: readonly { x: readonly number[]; y: readonly Value[] }[], most: number): { x: number[]; ys: Aligned[][] } {
  const all = new Set(series.flatMap((s) => [...s.x]))
  const sorted = [...all].sort((a, b) => a - b)
  const [low, high] = [sorted[0] ?? 0, sorted.at(-1) ?? 0]
  const grid = sorted.length <= most ? sorted : Array.from({ length: most }, (_, i) => low + ((i + 0.5) * (high - low)) / most)
  const place = sorted.length <= most ? new Map(sorted.map((v, i) => [v, i])) : undefined
  const at = (v: number) => place?.get(v) ?? Math.min(most - 1, Math.floor(((v - low) / (high - low)) * most))
  const ys = series.map((s) => {
    const cells = new Map<number, number[]>()
    s.x.forEach((v, i) => {
      const y = s.y[i]
      if (typeof y !== 'number' || !Number.isFinite(y)) return
      const cell = at(v)
      const list = cells.get(cell)
      if (list) list.push(y)
      else cells.set(cell, [y])
    })
    const row = new Array<Aligned>(grid.length).fill(undefined)
    s.x.forEach((v, i) => { if (s.y[i] === null) row[at(v)] = null })
    for (const [cell, values] of cells) {
      const mean = values.reduce((a, b) => a + b, 0) / values.length
      row[cell] = values.reduce((a, b) => (Math.abs(b - mean) > Math.abs(a - mean) ? b : a))
    }
    return widenGaps(row)
  })
  return { x: grid, ys }
}

/** Parameters and tags that part the runs into a few groups, in which at least one has more than one run. */
export function groupings(runs: readonly Run[]): ColumnId[] {
  return columnIds(runs).filter((id) => {
    if (id.startsWith('m:')) return false
    const values = new Set(runs.map((r) => valueOf(r, id)))
    return values.size > 1 && values.size <= mostGroups && values.size < runs.length
  })
}

const mostGroups = 8

export interface RunGroup {
  name: string
  runs: Run[]
}

/** The runs by the values of a parameter or tag, the largest group first. */
export function groupsOf(runs: readonly Run[], id: ColumnId): RunGroup[] {
  const found = new Map<string, Run[]>()
  for (const r of runs) {
    const v = valueOf(r, id)
    const name = v === null ? 'not set' : String(v)
    found.set(name, [...(found.get(name) ?? []), r])
  }
  return [...found].map(([name, of]) => ({ name, runs: of })).sort((a, b) => b.runs.length - a.runs.length || a.name.localeCompare(b.name, 'en', { numeric: true })).slice(0, mostGroups)
}

/** What can be said of the best of some runs: on how many of the metrics that several of them have it wins, and of which it has the best value alone. */
export function judged(runs: readonly Run[], keys: readonly string[], better: Better): string[] {
  return keys.filter((k) => !isEpoch(k) && better(k) !== undefined && runs.filter((r) => Number.isFinite(r.metrics[k] ?? NaN)).length > 1)
}
