// What is known of a metric: by what was declared of it, else by its name alone.

/** Whether a smaller value of it is the better one; undefined when the name does not tell. */
export function lowerIsBetter(name: string): boolean | undefined {
  const words = name.toLowerCase().split(/[^a-z0-9]+/)
  if (words.some((w) => /^(mae|mse|rmse|rmsle|mape|smape|loss|error|err|logloss|brier|l1|l2|latency|perplexity|wape|mdape|binary|multi)$/.test(w)) || /_loss|_error/.test(name.toLowerCase())) return true
  if (words.some((w) => /^(acc|accuracy|auc|roc|f1|precision|recall|r2|score|ndcg|map|mrr|ks|gini|bleu|rouge)$/.test(w))) return false
  return undefined
}

/** Whether a smaller value of a metric is the better one. */
export type Better = (metric: string) => boolean | undefined

/** By metric: "min" or "max" is its better end. */
export type Declared = Readonly<Record<string, string>> | undefined

/** The direction that was declared; the first declaration counts, and where there is none the name decides. */
export function betterOf(...declared: readonly Declared[]): Better {
  const known = new Map<string, boolean>()
  for (const d of declared) for (const [metric, end] of Object.entries(d ?? {})) if (!known.has(metric) && (end === 'min' || end === 'max')) known.set(metric, end === 'min')
  return known.size === 0 ? lowerIsBetter : (metric) => known.get(metric) ?? lowerIsBetter(metric)
}

const prefix = 'modelyard.best.'

/** What tags declare: "modelyard.best.auc" is "max". */
export function declaredBy(tags: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(tags ?? {}).flatMap(([k, v]) => (k.startsWith(prefix) ? [[k.slice(prefix.length), v] as const] : [])))
}

/** The metric a page shows first: a validation error, then any error or score, then the first that is no system figure. */
export function mainMetric(keys: readonly string[], better: Better = lowerIsBetter): string | undefined {
  const own = keys.filter((k) => !k.startsWith('system/'))
  const rank = (k: string) => (/^(val|valid|validation|test|eval)/i.test(k) ? 0 : 2) + (better(k) === undefined ? 1 : 0) + (isEpoch(k) ? 4 : 0)
  return [...own].sort((a, b) => rank(a) - rank(b) || a.length - b.length)[0]
}

/** Whether a metric counts epochs, so that others can be drawn over it. */
export const isEpoch = (key: string): boolean => /(^|\/)epochs?$/i.test(key)

/** The best of some runs by a metric; undefined where the direction is not known. */
export function best<T extends { metrics: Record<string, number | null> }>(runs: readonly T[], key: string, better: Better = lowerIsBetter): T | undefined {
  const lower = better(key)
  if (lower === undefined) return undefined
  let out: T | undefined
  for (const r of runs) {
    const v = r.metrics[key]
    if (v === null || v === undefined || !Number.isFinite(v)) continue
    const o = out?.metrics[key]
    if (o === undefined || o === null || (lower ? v < o : v > o)) out = r
  }
  return out
}

/** A metric's name as it is spoken: short ones are abbreviations. */
export function metricName(metric: string): string {
  return /^(mae|mse|rmse|mape|smape|auc|r2|f1|ks|psi)$/.test(metric) ? metric.toUpperCase() : metric
}
