// The columns of a runs table: what an id stands for, how the server sorts by it, and which ones a new visitor sees.
// Ids are short, for they are in the address: "name", "m:val_mae", "min:val_mae", "p:depth", "t:team".
import type { Run } from '@/lib/api/types'
import { isEpoch, lowerIsBetter, type Better } from '@/lib/metrics'

export type Aggregate = 'min' | 'max' | 'best'
export const attributes = ['name', 'started', 'took', 'status', 'user', 'source', 'commit', 'data', 'models', 'id'] as const
export type Attribute = (typeof attributes)[number] | 'curve'

export type ColumnKind =
  | { kind: 'attribute'; name: Attribute }
  | { kind: 'metric'; key: string; aggregate?: Aggregate }
  | { kind: 'param'; key: string }
  | { kind: 'tag'; key: string }

const prefixes = { m: 'metric', p: 'param', t: 'tag' } as const

/** What a column id stands for; undefined for one that nobody knows. */
export function parseColumn(id: string): ColumnKind | undefined {
  const at = id.indexOf(':')
  if (at < 0) return (attributes as readonly string[]).includes(id) || id === 'curve' ? { kind: 'attribute', name: id as Attribute } : undefined
  const head = id.slice(0, at)
  const key = id.slice(at + 1)
  if (key === '') return undefined
  if (head === 'min' || head === 'max' || head === 'best') return { kind: 'metric', key, aggregate: head }
  if (head === 'm' || head === 'p' || head === 't') return { kind: prefixes[head], key }
  return undefined
}

/** A key as the search language takes it. */
export function quoted(key: string): string {
  return /^\w+$/.test(key) ? key : `\`${key}\``
}

const sortable: Partial<Record<Attribute, string>> = { name: 'attributes.run_name', started: 'attributes.start_time', took: 'attributes.duration_s', status: 'attributes.status', user: 'tags.`mlflow.user`', source: 'tags.`mlflow.source.name`', commit: 'tags.`mlflow.source.git.commit`', id: 'attributes.run_id' }

/** The name of a column in the search language, for order and filter; undefined when runs have no order by it. */
export function reference(id: string): string | undefined {
  const c = parseColumn(id)
  switch (c?.kind) {
    case 'attribute': return sortable[c.name]
    case 'metric': return c.aggregate ? `${c.aggregate}(metrics.${quoted(c.key)})` : `metrics.${quoted(c.key)}`
    case 'param': return `params.${quoted(c.key)}`
    case 'tag': return `tags.${quoted(c.key)}`
    default: return undefined
  }
}

/** What has to come with the rows for a column to have its values, as the server takes it; undefined for what always comes. */
export function wanted(id: string): string | undefined {
  const c = parseColumn(id)
  return c?.kind === 'attribute' ? undefined : reference(id)
}

/** What a reader sees above the column. */
export function title(id: string): string {
  const c = parseColumn(id)
  switch (c?.kind) {
    case 'attribute': return { name: 'Run', started: 'Started', took: 'Took', status: 'State', user: 'Author', source: 'Source', commit: 'Commit', data: 'Data', models: 'Models', id: 'Id', curve: 'Curve' }[c.name]
    case 'metric': return c.aggregate ? `${c.aggregate} ${c.key}` : c.key
    case 'param': case 'tag': return c.key
    default: return id
  }
}

/** The value of a cell, for sorting out differences and for CSV. */
export function valueOf(run: Run, id: string): string | number | null | undefined {
  const c = parseColumn(id)
  switch (c?.kind) {
    case 'metric': return c.aggregate ? run.aggregates?.[`${c.aggregate}(metrics.${quoted(c.key)})`] : run.metrics[c.key]
    case 'param': return run.params[c.key]
    case 'tag': return run.tags[c.key]
    case 'attribute':
      switch (c.name) {
        case 'name': return run.name
        case 'started': return run.start_time
        case 'took': return run.duration_s
        case 'status': return run.status
        case 'user': return run.user || run.tags['mlflow.user']
        case 'source': return run.source || run.tags['mlflow.source.name']
        case 'commit': return run.commit || run.tags['mlflow.source.git.commit']
        case 'data': return run.inputs?.map((i) => i.name).join(', ')
        case 'models': return run.models?.map((m) => m.name).join(', ')
        case 'id': return run.id
        default: return undefined
      }
    default: return undefined
  }
}

export interface Keys {
  metrics: readonly string[]
  params: readonly string[]
  tags: readonly string[]
}

const own = (key: string) => !key.startsWith('system/')

/** Metrics in the order a reader looks for them: the main one, its like, then the rest by name, figures of the machine last. */
export function orderedMetrics(keys: readonly string[], main: string | undefined, better: Better = lowerIsBetter): string[] {
  const rank = (k: string) => (k === main ? 0 : own(k) ? (better(k) === undefined ? (isEpoch(k) ? 3 : 2) : 1) : 4)
  return [...keys].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true }))
}

/**
 * What a new visitor sees: when, how long, the main metric two more metrics, and the parameters that differ among the
 * runs at hand (numbers before words), at most nine in all.
 */
export function usualColumns(keys: Keys, main: string | undefined, sample: readonly Run[], better: Better = lowerIsBetter): string[] {
  const metrics = orderedMetrics(keys.metrics, main, better).filter(own).slice(0, 3)
  const values = (k: string) => sample.flatMap((r) => (r.params[k] === undefined ? [] : [r.params[k]]))
  const numeric = (k: string) => values(k).some((v) => v !== '' && Number.isFinite(Number(v)))
  const varied = keys.params.filter((k) => sample.length === 0 || new Set(values(k)).size > 1)
  const params = (varied.length > 0 ? varied : keys.params.filter(numeric)).toSorted((a, b) => Number(numeric(b)) - Number(numeric(a))).slice(0, 4)
  const data = sample.some((r) => (r.inputs?.length ?? 0) > 0) ? ['data'] : []
  return ['started', 'took', ...metrics.map((k) => `m:${k}`), ...params.map((k) => `p:${k}`), ...data]
}

/** A column for asking in which of them runs differ; undefined for those that the server can't compare. */
export function comparable(id: string): string | undefined {
  return id === 'data' ? 'datasets.name' : id === 'name' ? undefined : reference(id)
}

/** The columns whose values are not all the same, as the server told; what it can't compare stays. */
export function differing(columns: readonly string[], varied: readonly string[]): string[] {
  const differ = new Set(varied)
  return columns.filter((id) => { const c = comparable(id); return c === undefined || differ.has(c) })
}

const exportNames: Partial<Record<Attribute, string>> = { name: 'run_name', started: 'start_time', took: 'duration_s', status: 'status', user: 'user_id', source: 'source', commit: 'commit', data: 'datasets', models: 'models', id: 'run_id' }

/** A column as the server writes it into a file; undefined for pictures. */
export function exported(id: string): string | undefined {
  const c = parseColumn(id)
  if (c?.kind !== 'attribute') return reference(id)
  return exportNames[c.name] && `attributes.${exportNames[c.name]}`
}

/** The width a column has before anybody changes it, in pixels. */
export function usualWidth(id: string): number {
  const c = parseColumn(id)
  if (c?.kind === 'attribute') return { name: 232, started: 96, took: 90, status: 100, user: 110, source: 130, commit: 84, data: 130, models: 130, id: 110, curve: 84 }[c.name]
  return Math.max(c?.kind === 'metric' ? 88 : 76, Math.min(180, title(id).length * 6.7 + 28))
}

export const narrowest = 56
export const widest = 640

/** Moves a column to the place of another. */
export function moved(columns: readonly string[], id: string, to: string): string[] {
  const rest = columns.filter((c) => c !== id)
  const at = columns.indexOf(to)
  if (id === to || at < 0 || !columns.includes(id)) return [...columns]
  rest.splice(columns.indexOf(id) < at ? rest.indexOf(to) + 1 : rest.indexOf(to), 0, id)
  return rest
}

/** A condition that the runs of a group meet, added to the filter that found the group. */
export function narrowed(filter: string | undefined, keys: Readonly<Record<string, string | null>>): string {
  const parts = Object.entries(keys).map(([k, v]) => {
    const [, entity = '', key = ''] = /^(params|tags)\.(.*)$/s.exec(k) ?? []
    const name = `${entity}.${quoted(key.replace(/^`|`$/g, ''))}`
    return v === null ? `${name} IS NULL` : `${name} = ${text(v)}`
  })
  return [filter ? (/\bor\b/i.test(filter) ? `(${filter})` : filter) : '', ...parts].filter(Boolean).join(' and ')
}

/** A text as the search language takes it, in the quotes that it does not hold. */
function text(v: string): string {
  return v.includes('"') ? `'${v}'` : `"${v}"`
}
