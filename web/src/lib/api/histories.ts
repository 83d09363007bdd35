// Metric histories, read together: charts that ask in the same moment share one request.
import { http } from './http'
import type { MetricHistory } from './types'

interface Wish {
  run: string
  key: string
  resolve: (history: MetricHistory) => void
  reject: (error: unknown) => void
}

interface Answer {
  series: { run_id: string; key: string; points: MetricHistory['points']; total?: number }[]
}

/** The server takes so many series in one request. */
const mostRuns = 100
const mostKeys = 20
export const chartPoints = 1000

let waiting: Wish[] = []

/** The points of one metric of one run, thinned for a chart. */
export function loadHistory(run: string, key: string): Promise<MetricHistory> {
  return new Promise((resolve, reject) => {
    if (waiting.length === 0) setTimeout(flush, 4)
    waiting.push({ run, key, resolve, reject })
  })
}

/** Wishes as requests of runs times keys: keys that are wanted of the same runs go together. */
export function batches(wishes: readonly { run: string; key: string }[]): { runs: string[]; keys: string[] }[] {
  const byKey = new Map<string, Set<string>>()
  for (const w of wishes) byKey.set(w.key, (byKey.get(w.key) ?? new Set()).add(w.run))
  const byRuns = new Map<string, { runs: string[]; keys: string[] }>()
  for (const [key, runs] of byKey) {
    const name = [...runs].sort().join()
    const group = byRuns.get(name)
    if (group) group.keys.push(key)
    else byRuns.set(name, { runs: [...runs], keys: [key] })
  }
  return [...byRuns.values()].flatMap(({ runs, keys }) => pieces(runs, mostRuns).flatMap((r) => pieces(keys, mostKeys).map((k) => ({ runs: r, keys: k }))))
}

function pieces<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size))
}

function flush(): void {
  const wishes = waiting
  waiting = []
  for (const batch of batches(wishes)) {
    const inside = wishes.filter((w) => batch.runs.includes(w.run) && batch.keys.includes(w.key))
    ask(batch, chartPoints).then((answer) => {
      const found = new Map(answer.series.map((s) => [`${s.run_id}\n${s.key}`, s.points]))
      for (const w of inside) w.resolve({ key: w.key, points: found.get(`${w.run}\n${w.key}`) ?? [] })
    }, (error: unknown) => {
      for (const w of inside) w.reject(error)
    })
  }
}

function ask(batch: { runs: string[]; keys: string[] }, points: number, signal?: AbortSignal): Promise<Answer> {
  return http.post<Answer>('/api/v1/metric-histories', { body: { ...batch, max_points: points }, ...(signal ? { signal } : {}) })
}

/** The shapes of one metric of many runs, for pictures as small as a word. */
export async function loadCurves(runs: readonly string[], key: string, signal?: AbortSignal): Promise<Map<string, (number | null)[]>> {
  const answers = await Promise.all(pieces(runs, mostRuns).map((r) => ask({ runs: r, keys: [key] }, 32, signal)))
  return new Map(answers.flatMap((a) => a.series.map((s) => [s.run_id, s.points.map((p) => (typeof p.value === 'number' ? p.value : null))] as const)))
}
