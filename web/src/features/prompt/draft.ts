// A version of a prompt in the making, and what it is sent as: the tags that MLflow's client reads.
import { isJson, promptOf, tagNames, type Message } from './text'
import type { Version } from '@/lib/api/types'

export interface Draft {
  chat: boolean
  text: string
  messages: Message[]
  message: string
  tags: [key: string, value: string][]
  /** JSON, or nothing. */
  format: string
  config: string
  alias: string
}

export const roles = ['system', 'user', 'assistant'] as const
export const empty: Draft = { chat: false, text: '', messages: [], message: '', tags: [], format: '', config: '', alias: '' }

const pretty = (value: unknown) => (value === undefined ? '' : JSON.stringify(value, null, 2))

/** A draft that begins with the text of a version; its tags and its note stay with that version. */
export function draftOf(v: Pick<Version, 'tags'> | undefined): Draft {
  if (!v) return empty
  const p = promptOf(v)
  return { ...empty, chat: p.messages !== undefined, text: p.messages ? '' : p.text, messages: p.messages ?? [], format: pretty(p.format), config: pretty(p.config) }
}

/** The other form of the same words: a chat of one message, or the messages as one text. */
export function turned(d: Draft): Draft {
  if (d.chat) return { ...d, chat: false, text: d.text !== '' ? d.text : d.messages.map((m) => m.content).join('\n\n') }
  return { ...d, chat: true, messages: d.messages.length > 0 ? d.messages : [{ role: 'user', content: d.text }] }
}

/** What MLflow keeps of a prompt, as tags of its version. */
export function systemTags(d: Draft): Record<string, string> {
  return {
    [tagNames.isPrompt]: 'true', [tagNames.text]: d.chat ? JSON.stringify(d.messages) : d.text, [tagNames.type]: d.chat ? 'chat' : 'text',
    ...(d.format.trim() ? { [tagNames.format]: JSON.stringify(JSON.parse(d.format)) } : {}), ...(d.config.trim() ? { [tagNames.config]: JSON.stringify(JSON.parse(d.config)) } : {}),
  }
}

export function ownDraftTags(d: Draft): Record<string, string> {
  return Object.fromEntries(d.tags.map(([k, v]) => [k.trim(), v]).filter(([k]) => k !== ''))
}

export const validName = (name: string) => /^[a-zA-Z0-9_.-]{1,200}$/.test(name)
export const validAlias = (alias: string) => /^[A-Za-z][\w.-]{0,99}$/.test(alias) && !/^v\d+$/i.test(alias) && alias.toLowerCase() !== 'latest'

/** Why a draft can't be saved; undefined when it can. */
export function fault(d: Draft): string | undefined {
  if (d.chat ? d.messages.length === 0 : d.text.trim() === '') return d.chat ? 'Add a message.' : 'Write the text.'
  if (d.chat && d.messages.some((m) => m.content.trim() === '')) return 'A message is empty.'
  if (d.chat && d.messages.some((m) => m.role.trim() === '')) return 'A message has no role.'
  if (!isJson(d.format)) return 'The response format is no JSON.'
  if (!isJson(d.config)) return 'The model settings are no JSON.'
  const keys = d.tags.map(([k]) => k.trim()).filter(Boolean)
  if (new Set(keys).size < keys.length) return 'Two tags have one name.'
  if (keys.some((k) => k.startsWith('mlflow.') || k.startsWith('_mlflow_'))) return 'Tags that begin with mlflow are those of the client.'
  if (d.alias !== '' && !validAlias(d.alias)) return 'An alias is a letter, then letters, digits, dashes and dots; latest and v1 are taken.'
  return undefined
}

/** Braces that were opened and not closed, or hold what is no name: such text stays as it is when the prompt is filled in. */
export function looseBraces(text: string): string[] {
  const out: string[] = []
  for (const m of text.matchAll(/\{\{([^{}]*)(\}\}|$|\n|\{|\})/g)) if (m[2] !== '}}' || !/^\s*[a-zA-Z_]\w*(?:\.[a-zA-Z_]\w*)*\s*$/.test(m[1]!)) out.push(m[0].trim().slice(0, 40))
  return out
}

/** Whether two drafts say the same to a model. */
export function sameWords(a: Draft, b: Draft): boolean {
  const [x, y] = [systemTags(a), systemTags(b)]
  return [...new Set([...Object.keys(x), ...Object.keys(y)])].every((k) => x[k] === y[k])
}
