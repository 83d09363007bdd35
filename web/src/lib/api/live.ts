// One stream of events keeps every open page up to date: an event tells which answers of the server are old now.
import type { QueryClient } from '@tanstack/react-query'
import { createStore } from '../store'
import { openStream, type StreamState } from './sse'
import type { Event } from './types'

export const liveState = createStore<StreamState>('connecting')

/** First parts of the query keys that an event of this type makes old. */
export function touched(type: string): string[] {
  const [domain = '', noun = '', what = ''] = type.split('.')
  // What is deleted, restored or purged changes the trash too.
  if (/^(deleted|restored|purged|swept|done)$/.test(what || noun)) return ['trash', ...touchedOf(domain, noun)]
  return touchedOf(domain, noun)
}

function touchedOf(domain: string, noun: string): string[] {
  switch (domain) {
    case 'tracking': return ['experiments', 'runs', 'overview']
    case 'registry': return ['models', 'lineage']
    case 'trace': return ['traces']
    case 'dataset': return ['datasets', 'lineage']
    case 'evaluation': return ['gates', 'models']
    case 'serving':
    case 'routing': return ['endpoints', 'monitors', 'overview', 'lineage']
    case 'monitor': return ['monitors', 'overview']
    case 'alert': return ['alerts', 'overview']
    case 'pipeline': return ['pipelines', 'pipeline-runs', 'overview']
    case 'lifecycle': return noun === 'rollout' ? ['rollouts', 'endpoints', 'overview'] : ['retrainings', 'overview']
    default: return []
  }
}

const pace = 700

/** Follows the server until the returned function is called. Bursts are gathered, so that a page reads at most once in 0.7 s. */
export function followEvents(client: QueryClient): () => void {
  const waiting = new Set<string>()
  let timer: ReturnType<typeof setTimeout> | undefined
  const flush = () => {
    timer = undefined
    for (const key of waiting) void client.invalidateQueries({ queryKey: [key] })
    waiting.clear()
  }
  let read = false
  const stop = openStream('/api/v1/events/stream', {
    onState(state) {
      // What was read before the line stood, or while it was down, may be old: the stream tells only of what comes.
      read ||= state === 'lost' || client.getQueryCache().getAll().some((q) => q.state.dataUpdatedAt > 0)
      if (state === 'open' && read) void client.invalidateQueries()
      if (state === 'open') read = false
      liveState.set(state)
    },
    onEvent(raw) {
      const event = parse(raw.data)
      if (!event) return
      client.setQueriesData<{ items: Event[] }>({ queryKey: ['events', 'recent'] }, (old) =>
        old && !old.items.some((e) => e.id === event.id) ? { ...old, items: [event, ...old.items].slice(0, 100) } : old)
      for (const key of touched(event.type)) waiting.add(key)
      waiting.add('events')
      timer ??= setTimeout(flush, pace)
    },
  })
  return () => {
    stop()
    clearTimeout(timer)
  }
}

function parse(data: string): Event | undefined {
  try {
    const value: unknown = JSON.parse(data)
    return typeof value === 'object' && value !== null && 'type' in value ? (value as Event) : undefined
  } catch {
    return undefined
  }
}
