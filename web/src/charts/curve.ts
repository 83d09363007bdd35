// From the points of a metric to a line on one of three axes.
import { num } from '@/lib/format'
import { isEpoch } from '@/lib/metrics'
import { smooth, type Value } from './maths'

export const xAxes = ['step', 'time', 'epoch'] as const
export type XAxis = (typeof xAxes)[number]

export interface RawPoint {
  step: number
  time: string
  /** NaN and the infinities are words. */
  value: number | string | null
}

export interface Line {
  /** Ascending. */
  x: number[]
  /** null where a point is not finite. */
  y: Value[]
  /** What stands there instead, by x. */
  odd: Map<number, string>
}

/** The metric that counts the epochs of a run. */
export function epochKey(metrics: Readonly<Record<string, unknown>>): string | undefined {
  return Object.keys(metrics).filter(isEpoch).sort((a, b) => a.length - b.length)[0]
}

/** The epoch at a step: the one logged there, else between those before and after; undefined outside. */
export function epochAt(epochs: readonly RawPoint[], step: number): number | undefined {
  let low = 0
  let high = epochs.length - 1
  if (high < 0 || step < epochs[0]!.step) return undefined
  while (low < high) {
    const mid = (low + high + 1) >> 1
    if (epochs[mid]!.step <= step) low = mid
    else high = mid - 1
  }
  const [a, b] = [epochs[low]!, epochs[low + 1]]
  if (typeof a.value !== 'number') return undefined
  if (a.step === step || !b || typeof b.value !== 'number') return a.value
  // A counter that stands still between two of its points has not moved, one that moves does so evenly.
  return a.value + ((step - a.step) / (b.step - a.step)) * (b.value - a.value)
}

/** The line of a metric: over steps, seconds since `start` (unix milliseconds), or epochs. Of several points of one place the last one counts. */
export function lineOf(points: readonly RawPoint[], { axis, start, epochs = [], weight = 0 }: { axis: XAxis; start: number; epochs?: readonly RawPoint[]; weight?: number }): Line {
  const place = (p: RawPoint) => (axis === 'time' ? (Date.parse(p.time) - start) / 1000 : axis === 'epoch' ? epochAt(epochs, p.step) : p.step)
  const byPlace = new Map<number, RawPoint['value']>()
  for (const p of points) {
    const at = place(p)
    if (at !== undefined) byPlace.set(at, p.value)
  }
  const x = [...byPlace.keys()].sort((a, b) => a - b)
  const values = x.map((at) => byPlace.get(at) ?? null)
  const finite = (v: RawPoint['value']): v is number => typeof v === 'number' && Number.isFinite(v)
  return {
    x,
    y: smooth(values.map((v) => (finite(v) ? v : null)), weight),
    odd: new Map(x.flatMap((at, i) => { const v = values[i]; return v === null || v === undefined || finite(v) ? [] : [[at, num(Number(v))] as const] })),
  }
}

/** Under the pointer. */
export function placeName(axis: XAxis, at: number): string {
  if (axis === 'time') return `${num(at)} s after start`
  return axis === 'epoch' ? `epoch ${num(at)}` : `step ${Math.round(at).toLocaleString('en')}`
}
