// What is known of a metric by its name alone.

/** Whether a smaller value of it is the better one; undefined when the name does not tell. */
export function lowerIsBetter(name: string): boolean | undefined {
  const words = name.toLowerCase().split(/[^a-z0-9]+/)
  if (words.some((w) => /^(mae|mse|rmse|rmsle|mape|smape|loss|error|err|logloss|brier|l1|l2|latency|perplexity|wape|mdape|binary|multi)$/.test(w)) || /_loss|_error/.test(name.toLowerCase())) return true
  if (words.some((w) => /^(acc|accuracy|auc|roc|f1|precision|recall|r2|score|ndcg|map|mrr|ks|gini|bleu|rouge)$/.test(w))) return false
  return undefined
}

/** The metric a page shows first: a validation error, then any error or score, then the first that is no system figure. */
export function mainMetric(keys: readonly string[]): string | undefined {
  const own = keys.filter((k) => !k.startsWith('system/'))
  const rank = (k: string) => (/^(val|valid|validation|test|eval)/i.test(k) ? 0 : 2) + (lowerIsBetter(k) === undefined ? 1 : 0)
  return [...own].sort((a, b) => rank(a) - rank(b) || a.length - b.length)[0]
}

/** The best of some runs by a metric; undefined where the direction is not known. */
export function best<T extends { metrics: Record<string, number | null> }>(runs: readonly T[], key: string): T | undefined {
  const lower = lowerIsBetter(key)
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
