import { createStore } from '@/lib/store'

export interface Toast {
  id: number
  kind: 'ok' | 'bad' | 'info'
  text: string
  /** Undo or another single step. */
  action?: { label: string; run: () => void }
  /** Where more is told of it. */
  link?: { label: string; to: string }
}

export const toasts = createStore<Toast[]>([])

const life = 8000
let next = 1

/** Says what happened, bottom left. Errors stay until they are closed. */
export function toast(t: Omit<Toast, 'id'>): void {
  const id = next++
  toasts.set([...toasts.get().slice(-3), { ...t, id }])
  if (t.kind !== 'bad') setTimeout(() => dismiss(id), life)
}

export function dismiss(id: number): void {
  toasts.set(toasts.get().filter((t) => t.id !== id))
}
