/** Who did something, as the server writes it: "user:ingrid", "token:ci", "system:lifecycle". */
export interface Who {
  name: string
  /** The server itself, not a person or a client. */
  system: boolean
}

export function who(actor: string | { type: string; id: string } | null | undefined): Who {
  if (!actor) return { name: 'Modelyard', system: true }
  const [type, id] = typeof actor === 'object' ? [actor.type, actor.id] : actor.includes(':') ? [actor.slice(0, actor.indexOf(':')), actor.slice(actor.indexOf(':') + 1)] : ['user', actor]
  const system = type === 'system' || type === 'job' || type === 'service'
  return { name: id || (system ? 'Modelyard' : type), system }
}
