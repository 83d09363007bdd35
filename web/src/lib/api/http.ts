// The one place that talks to the server. Errors arrive as RFC 9457 problems and leave as ApiError.
import { createStore } from '../store'

export interface FieldProblem {
  field: string
  message: string
}

export class ApiError extends Error {
  override name = 'ApiError'
  readonly status: number
  readonly title: string
  readonly hint: string
  readonly requestId: string
  readonly fields: FieldProblem[]

  constructor(init: { status: number; title: string; detail?: string; hint?: string; requestId?: string; fields?: FieldProblem[] }) {
    super(init.detail || init.title)
    this.status = init.status
    this.title = init.title
    this.hint = init.hint ?? ''
    this.requestId = init.requestId ?? ''
    this.fields = init.fields ?? []
  }
}

/** Set when the server asks for a token; the shell then shows the prompt. A session cookie carries it from there. */
export const tokenNeeded = createStore(false)

export type Query = Record<string, string | number | boolean | undefined | null | readonly string[]>

/** The address of a path of the server, wherever the application is mounted. */
export function address(path: string, query?: Query): string {
  const url = new URL(path.replace(/^\//, ''), document.baseURI)
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === null || value === '') continue
    if (Array.isArray(value)) for (const v of value) url.searchParams.append(key, v)
    else url.searchParams.set(key, String(value))
  }
  return url.toString()
}

export interface Options {
  query?: Query
  body?: unknown
  signal?: AbortSignal
  headers?: Record<string, string>
}

/** Sends a request and answers with the response of a success; throws ApiError for everything else. */
export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', ...options.headers }
  const init: RequestInit = { method, headers, signal: options.signal ?? null }
  if (options.body !== undefined) {
    headers['Content-Type'] = 'application/json'
    init.body = JSON.stringify(options.body)
  }
  let response: Response
  try {
    response = await fetch(address(path, options.query), init)
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new ApiError({
      status: 0,
      title: 'The server does not answer',
      detail: `No connection to ${new URL(document.baseURI).host}. It may be stopped or restarting.`,
      hint: 'Start it with: modelyard up',
    })
  }
  if (response.ok) return response
  if (response.status === 401) tokenNeeded.set(true)
  throw await problem(response)
}

/** Reads an error answer, whatever its body is. */
export async function problem(response: Response): Promise<ApiError> {
  const requestId = response.headers.get('X-Request-Id') ?? ''
  const fallback = { status: response.status, title: `The server answered ${response.status}`, requestId }
  let body: unknown
  try {
    body = await response.json()
  } catch {
    return new ApiError(fallback)
  }
  if (typeof body !== 'object' || body === null) return new ApiError(fallback)
  const p = body as Record<string, unknown>
  const str = (v: unknown) => (typeof v === 'string' ? v : '')
  const fields = Array.isArray(p.errors)
    ? p.errors.map((e: Record<string, unknown>) => ({ field: str(e.field) || str(e.location).replace(/^body\./, ''), message: str(e.message) || str(e.detail) }))
    : []
  return new ApiError({
    ...fallback,
    title: str(p.title) || str(p.error_code) || fallback.title,
    detail: str(p.detail) || str(p.message) || fields.map((f) => `${f.field}: ${f.message}`).join('; '),
    hint: str(p.hint),
    requestId: str(p.request_id) || requestId,
    fields,
  })
}

async function json<T>(method: string, path: string, options?: Options): Promise<T> {
  const response = await send(method, path, options)
  if (response.status === 204) return undefined as T
  return (await response.json()) as T
}

export const http = {
  get: <T>(path: string, options?: Options) => json<T>('GET', path, options),
  post: <T>(path: string, options?: Options) => json<T>('POST', path, options),
  put: <T>(path: string, options?: Options) => json<T>('PUT', path, options),
  patch: <T>(path: string, options?: Options) => json<T>('PATCH', path, options),
  delete: <T>(path: string, options?: Options) => json<T>('DELETE', path, options),
  /** The response itself, for files. */
  raw: (path: string, options?: Options) => send('GET', path, { ...options, headers: { Accept: '*/*' } }),
  /** The response itself of a question that has a body. */
  rawPost: (path: string, options?: Options) => send('POST', path, { ...options, headers: { Accept: '*/*' } }),
  text: async (path: string, options?: Options) => (await send('GET', path, { ...options, headers: { Accept: '*/*' } })).text(),
}
