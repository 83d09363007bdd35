import type { Monitor, Verdict, WindowSummary } from '@/lib/api/types'
import { ago, num, plural } from '@/lib/format'
import { metricName } from '@/lib/metrics'
import { worst } from '@/lib/states'
import { countWord, insideLimits, listed, toLimit } from '@/lib/verdict'

export interface Phrase {
  text: string
  strong?: boolean
}

/** The status beside the title. */
export function monitorWord(m: Monitor): { verdict: Verdict; word: string } {
  const verdict = worst(Object.values(m.state))
  if (verdict === 'breach' || verdict === 'watch') {
    if (m.state.drift === verdict) return { verdict, word: verdict === 'breach' ? 'Drifted' : 'Drifting' }
    if (m.state.performance === verdict) return { verdict, word: verdict === 'breach' ? 'Error too high' : 'Error rising' }
    if (m.state.quality === verdict) return { verdict, word: verdict === 'breach' ? 'Bad data' : 'Data changed' }
    return { verdict, word: verdict === 'breach' ? 'Breach' : 'Watch' }
  }
  return { verdict, word: verdict === 'ok' ? 'Healthy' : 'No data' }
}

/** The first window of the run of windows that ends with the newest in which `test` holds. */
export function since(windows: readonly WindowSummary[], test: (w: WindowSummary) => boolean): WindowSummary | undefined {
  let first: WindowSummary | undefined
  for (const w of windows.toReversed()) {
    if (!test(w)) break
    first = w
  }
  return first
}

/**
 * How the monitored endpoint stands: what drifted and since when, what the error is against its limit, what is
 * missing. `windows` ascend in time. Says a cause nowhere: attribution is not measured.
 */
export function monitorVerdict(m: Monitor, windows: readonly WindowSummary[], latest: WindowSummary | undefined, dateOf: (iso: string) => string, now = Date.now()): Phrase[] {
  if (!m.baseline.ready && m.baseline.kind === 'first_n') return [{ text: 'Collecting a baseline', strong: true }, { text: ` from the first predictions${m.baseline.rows ? `, ${m.baseline.rows} so far` : ''}; drift is judged once it is complete.` }]
  if (m.baseline.kind === 'none') return [{ text: 'There is nothing to compare with', strong: true }, { text: `${m.baseline.note ? `: ${m.baseline.note.replace(/\.$/, '')}` : ': the run behind this version logged no dataset'}. Data quality and service are watched; drift needs a baseline.` }]
  if (!latest) return [{ text: 'No window is complete yet', strong: true }, { text: `; the first verdict comes after ${windowText(m)} of predictions.` }]
  if (latest.version && m.version && latest.version !== m.version && Object.values(m.state).every((v) => v === 'no_data')) {
    return [{ text: `v${m.version} has not been judged yet`, strong: true }, { text: `: its first verdict comes after ${windowText(m)} of predictions. Shown is the last window of v${latest.version}.` }]
  }
  const out: Phrase[] = []
  const drifted = m.features.filter((f) => f.verdict === 'breach' || f.verdict === 'watch')
  if (drifted.length > 0) {
    const start = m.since?.drift ?? since(windows, (w) => w.verdicts.drift === 'breach' || w.verdicts.drift === 'watch')?.from
    const names = listed(drifted.map((f) => f.name), 4)
    out.push({ text: `${countWord(drifted.length)} of ${plural(m.features.length, 'feature')} ${drifted.length === 1 ? 'has' : 'have'} drifted${start ? ` since ${dateOf(start)}` : ''}`, strong: true }, { text: ` (${names})` })
  }
  const p = latest.performance ?? windows.findLast((w) => w.performance)?.performance
  if (p && p.value !== null) {
    const limit = p.threshold
    const bad = m.state.performance === 'breach' || m.state.performance === 'watch'
    const join = out.length > 0 ? (bad ? ', and the' : '; the') : 'The'
    out.push({ text: `${join} ${metricName(p.metric)} is ` }, { text: num(p.value), strong: bad }, { text: limit ? `, ${toLimit(p.value, limit)} of ${num(limit)}` : p.baseline ? ` against ${num(p.baseline)} at training` : '' })
  }
  if (out.length > 0) out.push({ text: '.' })
  if (drifted.length === 0) out.unshift({ text: insideLimits(m.features.length, m.features.length, 'feature', m.updated_at, now), strong: true }, { text: p && p.value !== null ? '. ' : '.' })
  if (!p) out.push({ text: ' No labels have arrived, so the error is not known.' })
  else if (!latest.performance) out.push({ text: ` The newest labels are of the window to ${dateOf(windows.findLast((w) => w.performance)?.to ?? latest.to)}.` })
  const quality = m.state.quality
  if (quality === 'breach' || quality === 'watch') out.push({ text: ' Data quality ' }, { text: quality === 'breach' ? 'is in breach' : 'needs a look', strong: true }, { text: '.' })
  return out
}

export function windowText(m: Monitor): string {
  const unit = m.window.by === 'count' ? 'prediction' : (m.window.unit ?? 'hour').replace(/s$/, '')
  return plural(m.window.size, unit)
}

/** "18 min ago" for what is computed now; kept apart from event time. */
export function checked(m: Monitor, now = Date.now()): string {
  return m.updated_at ? `checked ${ago(m.updated_at, now)}` : ''
}
