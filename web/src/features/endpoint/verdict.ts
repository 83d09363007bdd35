import type { Endpoint, EndpointStats, Rollout, RolloutStep, RouteChange, Target } from '@/lib/api/types'
import { ms, num, pct, thin } from '@/lib/format'
import { look, type Look } from '@/lib/states'

/** A part of a sentence; the claim is strong. */
export interface Phrase {
  text: string
  strong?: boolean
}

export const active = (r: Rollout | undefined): boolean => r?.state === 'running' || r?.state === 'halted'

export function currentStep(r: Rollout): RolloutStep | undefined {
  return r.steps.find((s) => s.state === 'running') ?? r.steps.findLast((s) => s.state === 'failed' || s.state === 'inconclusive')
}

/** The status beside the title. */
export function endpointLook(e: Endpoint, rollout: Rollout | undefined): Look {
  if (e.status.state !== 'ready') return look(e.status.state)
  if (rollout?.state === 'halted') return { kind: 'bad', word: 'Rollout halted' }
  if (rollout?.state === 'running') return { kind: 'info', word: 'Rollout running' }
  return look('ready')
}

/** How the endpoint stands, in one or two sentences; every number is measured. */
export function endpointVerdict(e: Endpoint, stats: EndpointStats | undefined, rollout: Rollout | undefined, span: string): Phrase[] {
  const served = e.spec.targets.filter((t) => t.role !== 'shadow' && t.weight > 0)
  const names = served.map((t) => (t.weight === 100 ? `v${t.version}` : `v${t.version} (${t.weight}${thin}%)`)).join(' and ')
  if (e.status.state === 'failed') return [{ text: 'This endpoint does not answer', strong: true }, { text: `${e.status.message ? `: ${e.status.message}` : ''}.` }]
  if (e.status.state === 'loading') return [{ text: 'Loading', strong: true }, { text: ` ${names || 'the model'}; requests are answered as soon as it is ready.` }]
  const out: Phrase[] = []
  if (e.status.state === 'degraded') out.push({ text: 'Degraded', strong: true }, { text: `${e.status.message ? `: ${e.status.message}` : ''}. ` })
  if (rollout?.state === 'halted') {
    const step = currentStep(rollout)
    out.push({ text: `The rollout of v${rollout.version} halted${step ? ` at ${step.weight}${thin}%` : ''}`, strong: true }, { text: `${rollout.reason ? `: ${rollout.reason.replace(/\.$/, '')}` : ''}. ${names} ${served.length === 1 ? 'carries' : 'carry'} the traffic.` })
    return out
  }
  if (rollout?.state === 'running') {
    const step = currentStep(rollout)
    const passed = rollout.steps.filter((s) => s.state === 'passed').length
    const waits = step?.checks?.find((c) => c.verdict === 'inconclusive' || c.verdict === 'not_enough_data')
    out.push({ text: `v${rollout.version} is on trial${step ? ` at ${step.weight}${thin}%` : ''}`, strong: true }, { text: `, ${passed} of ${rollout.steps.length} steps passed; v${rollout.champion} carries the rest.${waits ? ` The check on ${waits.name.replaceAll('_', ' ')} waits for data${waits.note ? `: ${waits.note}` : ''}.` : ''}` })
    return out
  }
  if (!stats || stats.totals.count === 0) {
    out.push({ text: `${names || 'No version'} ${served.length === 1 ? 'is' : 'are'} ready`, strong: true }, { text: `; no request in the last ${span}.` })
    return out
  }
  const { requests_per_s: rate, p95_ms: p95, error_rate: errors } = stats.totals
  out.push({ text: `${names} ${served.length === 1 ? 'answers' : 'answer'} ${num(rate)} requests/s`, strong: true }, { text: `, 95${thin}% of them within ${ms(p95)}; ${errors ? `${pct(errors, 2)} fail` : 'none fails'}.` })
  return out
}

/**
 * The version that a rollback leads to, as the server decides it: with a canary or a shadow the champion alone,
 * otherwise the champion before the present one. `history` is newest first. Undefined when there is none.
 */
export function rollbackTo(e: Endpoint, history: readonly RouteChange[]): string | undefined {
  const champion = (targets: readonly Target[]) => targets.find((t) => t.role === 'champion')?.version ?? [...targets].sort((a, b) => b.weight - a.weight)[0]?.version
  const now = champion(e.spec.targets)
  if (e.spec.targets.length > 1) return now
  return history.map((h) => champion(h.targets)).find((v) => v !== undefined && v !== now)
}

/** A thing keeps its colour on the page: champion c1, canary c2, shadow c3, older ones after them. */
export function versionColors(e: Endpoint, others: readonly string[]): Map<string, string> {
  const order = [...e.spec.targets].sort((a, b) => rank(a.role) - rank(b.role) || b.weight - a.weight)
  const out = new Map<string, string>()
  const canaryUsed = order.some((t) => t.role === 'canary')
  for (const t of order) {
    const wanted = t.role === 'champion' ? 1 : t.role === 'canary' ? 2 : 3
    const free = [...Array(8).keys()].map((i) => `var(--c${i + 1})`).filter((c) => ![...out.values()].includes(c))
    const color = `var(--c${wanted})`
    out.set(t.version, free.includes(color) ? color : (free.find((c) => c !== 'var(--c2)' || !canaryUsed) ?? 'var(--c8)'))
  }
  for (const v of others) {
    if (out.has(v)) continue
    const next = [4, 5, 6, 7, 8, 3, 2].map((i) => `var(--c${i})`).find((c) => ![...out.values()].includes(c))
    out.set(v, next ?? 'var(--ref)')
  }
  return out
}

const rank = (role: string) => (role === 'champion' ? 0 : role === 'canary' ? 1 : 2)

/** One record to try an endpoint with: its stored example, whatever form it has, else one made from its signature. */
export function sampleRecord(e: Pick<Endpoint, 'sample_input' | 'signature'>): Record<string, unknown> {
  const found = firstRecord(e.sample_input)
  if (found) return found
  return Object.fromEntries((e.signature?.inputs ?? []).flatMap((c) => (c.name ? [{ name: c.name, type: c.type }] : [])).map((c) => [c.name, /string|binary/.test(c.type) ? '' : /bool/.test(c.type) ? false : 0]))
}

function firstRecord(value: unknown): Record<string, unknown> | undefined {
  if (Array.isArray(value)) return firstRecord(value[0])
  if (typeof value !== 'object' || value === null) return undefined
  const o = value as Record<string, unknown>
  if (o.dataframe_split) return firstRecord(o.dataframe_split)
  if (o.dataframe_records) return firstRecord(o.dataframe_records)
  if (Array.isArray(o.columns) && Array.isArray(o.data)) {
    const row: unknown = o.data[0]
    return Array.isArray(row) ? Object.fromEntries(o.columns.map((c, i) => [String(c), row[i] ?? null])) : undefined
  }
  return o
}
