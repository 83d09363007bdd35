// Server-sent events over fetch: unlike EventSource it tells a refused request from a lost connection.
import { send, type Query } from './http'

export interface ServerEvent {
  id: string
  event: string
  data: string
}

/** Takes chunks of a stream and gives back the events that are complete. */
export function createParser(onEvent: (event: ServerEvent) => void): (chunk: string) => void {
  let buffer = ''
  let id = ''
  let event = ''
  let data: string[] = []
  return (chunk) => {
    buffer += chunk
    const lines = buffer.split(/\r\n|\n|\r(?!$)/)
    buffer = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) onEvent({ id, event: event || 'message', data: data.join('\n') })
        event = ''
        data = []
        continue
      }
      const colon = line.indexOf(':')
      if (colon === 0) continue
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'data') data.push(value)
      else if (field === 'event') event = value
      else if (field === 'id') id = value
    }
  }
}

export type StreamState = 'connecting' | 'open' | 'lost'

export interface StreamOptions {
  query?: Query
  onEvent: (event: ServerEvent) => void
  onState?: (state: StreamState) => void
  /** Ends for good when the server closes the stream, as a log of a finished step does. */
  once?: boolean
}

/** Follows a stream until the returned function is called; reconnects where it stopped, 1 s to 15 s apart. */
export function openStream(path: string, options: StreamOptions): () => void {
  const stop = new AbortController()
  void follow(path, options, stop.signal)
  return () => stop.abort()
}

async function follow(path: string, options: StreamOptions, signal: AbortSignal): Promise<void> {
  let last = ''
  let wait = 1000
  while (!signal.aborted) {
    options.onState?.('connecting')
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' }
      if (last) headers['Last-Event-ID'] = last
      const response = await send('GET', path, { query: options.query ?? {}, headers, signal })
      options.onState?.('open')
      wait = 1000
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
      const parse = createParser((event) => {
        if (event.id) last = event.id
        options.onEvent(event)
      })
      for (;;) {
        const chunk = await reader?.read()
        if (!chunk || chunk.done) break
        parse(chunk.value)
      }
      if (options.once) return
    } catch {
      if (signal.aborted) return
    }
    options.onState?.('lost')
    await pause(wait, signal)
    wait = Math.min(15_000, wait * 2)
  }
}

function pause(millis: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, millis)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
