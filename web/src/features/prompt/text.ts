// Prompts as MLflow's client stores them: registered models with a tag, the text in a tag of each version.
import type { Model, Version } from '@/lib/api/types'

export const tagNames = { isPrompt: 'mlflow.prompt.is_prompt', text: 'mlflow.prompt.text', type: '_mlflow_prompt_type', format: '_mlflow_prompt_response_format', config: '_mlflow_prompt_model_config' } as const

export interface Message {
  role: string
  content: string
}

export interface Prompt {
  /** The whole as text: what a diff compares. */
  text: string
  /** Of a chat prompt; a text prompt has none. */
  messages?: Message[]
  /** Names in {{ }}, in the order in which they appear first. */
  variables: string[]
  /** JSON schema that answers keep to, and settings of the model, when they were given. */
  format?: unknown
  config?: unknown
}

const variable = /\{\{\s*([a-zA-Z_][\w]*(?:\.[a-zA-Z_][\w]*)*)\s*\}\}/g

export interface Piece {
  text: string
  /** The name, when the piece is a variable. */
  variable?: string
}

/** A template as text and variables; joined, the pieces are the template again. */
export function pieces(text: string): Piece[] {
  const out: Piece[] = []
  let at = 0
  for (const m of text.matchAll(variable)) {
    if (m.index > at) out.push({ text: text.slice(at, m.index) })
    out.push({ text: m[0], variable: m[1]! })
    at = m.index + m[0].length
  }
  if (at < text.length) out.push({ text: text.slice(at) })
  return out
}

function json(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Nothing, or JSON. */
export const isJson = (text: string) => text.trim() === '' || json(text) !== undefined

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && 'role' in value && typeof value.role === 'string' && 'content' in value && typeof value.content === 'string'
}

/** The prompt of a version; the text is empty when it has none. */
export function promptOf(v: Pick<Version, 'tags'>): Prompt {
  const tags = v.tags ?? {}
  const raw = tags[tagNames.text] ?? ''
  const list = tags[tagNames.type] === 'chat' ? json(raw) : undefined
  const messages = Array.isArray(list) && list.every(isMessage) ? list : undefined
  const text = messages ? messages.map((m) => `${m.role}:\n${m.content}`).join('\n\n') : raw
  const [format, config] = [json(tags[tagNames.format]), json(tags[tagNames.config])]
  return {
    text, variables: [...new Set([...text.matchAll(variable)].map((m) => m[1]!))],
    ...(messages ? { messages } : {}), ...(format === undefined ? {} : { format }), ...(config === undefined ? {} : { config }),
  }
}

/** Tags that people set, without those that make a prompt of a model. */
export function ownTags(tags: Record<string, string> | undefined): [string, string][] {
  return Object.entries(tags ?? {}).filter(([k]) => !k.startsWith('mlflow.') && !k.startsWith('_mlflow_'))
}

export const isPrompt = (m: Pick<Model, 'tags'>) => m.tags?.[tagNames.isPrompt] === 'true'
