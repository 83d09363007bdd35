import { useLayoutEffect, useRef, type KeyboardEvent as ReactKeyboardEvent } from 'react'
import { createStore } from './store'

/** One key ("j", "/", "?", "Escape", "mod+k") or two in a row ("g h"). */
export interface Binding {
  keys: string
  label: string
  run: (event: KeyboardEvent) => void
  /** Also while typing in a field. */
  always?: boolean
  /** Not listed in the help. */
  quiet?: boolean
  /** Whether it does something here and now; the help lists no key that does nothing. */
  works?: () => boolean
}

interface Scope {
  bindings: Binding[]
}

/** What is bound now, innermost scope last; the help lists it. */
export const scopes = createStore<Scope[]>([])

const pairWindow = 1500

/** Whether a key press belongs to a field, a menu or a dialog rather than to the page. */
export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
}

export function keyName(event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey'>): string {
  const mod = event.ctrlKey || event.metaKey ? 'mod+' : ''
  const alt = event.altKey ? 'alt+' : ''
  return mod + alt + (event.key.length === 1 ? event.key.toLowerCase() : event.key)
}

let pending = ''
let pendingAt = 0

/** Runs the innermost binding of a key press; true when one was found. */
export function dispatchKey(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.isComposing) return false
  const name = keyName(event)
  const pair = pending !== '' && event.timeStamp - pendingAt < pairWindow ? `${pending} ${name}` : ''
  pending = ''
  const inField = typing(event.target)
  const inOverlay = event.target instanceof HTMLElement && event.target.closest('[role=dialog],[role=menu]') !== null
  for (const scope of scopes.get().toReversed()) {
    for (const binding of scope.bindings) {
      if (binding.keys !== pair && binding.keys !== name) continue
      if ((inField || inOverlay) && !binding.always) continue
      // Enter on a link or a button is its own.
      if (name === 'Enter' && event.target instanceof Element && event.target.closest('a,button,summary')) continue
      event.preventDefault()
      binding.run(event)
      return true
    }
  }
  if (!inField && /^[a-z]$/.test(name)) {
    pending = name
    pendingAt = event.timeStamp
  }
  return false
}

/** The arrows up and down for what scrolls: they move its rows instead. A menu that one of its parts opened has its own. */
export function arrows(move: (by: -1 | 1) => void) {
  return (event: ReactKeyboardEvent<HTMLElement>): void => {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || !event.currentTarget.contains(event.target as Node)) return
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return
    event.preventDefault()
    move(event.key === 'ArrowDown' ? 1 : -1)
  }
}

/** Binds keys while the component is mounted: from the moment it can be seen, so that no key pressed at what is there is lost. */
export function useKeys(bindings: Binding[], active = true): void {
  const latest = useRef(bindings)
  useLayoutEffect(() => {
    latest.current = bindings
  })
  const shape = bindings.map((b) => `${b.keys}\t${b.label}`).join('\n')
  useLayoutEffect(() => {
    if (!active) return
    const scope: Scope = {
      bindings: latest.current.map((b, i) => ({ ...b, run: (event) => latest.current[i]?.run(event) })),
    }
    scopes.set([...scopes.get(), scope])
    return () => scopes.set(scopes.get().filter((s) => s !== scope))
  }, [shape, active])
}
