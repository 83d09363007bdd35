import type { ReactNode } from 'react'
import { pieces, type Prompt } from './text'

/** A template with its variables marked. */
export function Template({ text }: { text: string }): ReactNode {
  return pieces(text).map((p, i) => (p.variable ? <span key={i} className="var" title={`variable ${p.variable}`}>{p.text}</span> : <span key={i}>{p.text}</span>))
}

/** The text of a prompt; a chat as its messages, one under the other. */
export function PromptText({ prompt }: { prompt: Prompt }) {
  if (prompt.text === '') return <p className="p-3.5 text-3">This version has no text.</p>
  if (!prompt.messages) return <div className="prompt px-3.5 py-3"><Template text={prompt.text} /></div>
  return <div>{prompt.messages.map((m, i) => <div key={i} className="px-3.5 py-2.5 border-t border-grid first:border-0"><div className="text-xs text-3 mb-0.5">{m.role}</div><div className="prompt"><Template text={m.content} /></div></div>)}</div>
}
