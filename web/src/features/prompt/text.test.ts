import { describe, expect, it } from 'vitest'
import { isPrompt, ownTags, pieces, promptOf } from './text'

describe('prompts', () => {
  it('are cut at their variables and come together again', () => {
    const text = 'Hello {{ name }}, {{user.city}}{{ 1x }} {single} {{ name }}'
    const parts = pieces(text)
    expect(parts.map((p) => p.text).join('')).toBe(text)
    expect(parts.filter((p) => p.variable).map((p) => p.variable)).toEqual(['name', 'user.city', 'name'])
    expect(pieces('')).toEqual([])
  })

  it('are read from the tags of a version', () => {
    expect(promptOf({ tags: { 'mlflow.prompt.text': 'Ask {{ b }} and {{ a }} and {{ b }}' } })).toEqual({ text: 'Ask {{ b }} and {{ a }} and {{ b }}', variables: ['b', 'a'] })
    expect(promptOf({})).toEqual({ text: '', variables: [] })
  })

  it('of a chat have messages; a broken list stays text', () => {
    const chat = JSON.stringify([{ role: 'system', content: 'Be brief.' }, { role: 'user', content: '{{ q }}' }])
    expect(promptOf({ tags: { 'mlflow.prompt.text': chat, _mlflow_prompt_type: 'chat' } })).toMatchObject({ text: 'system:\nBe brief.\n\nuser:\n{{ q }}', variables: ['q'], messages: [{ role: 'system' }, { role: 'user' }] })
    expect(promptOf({ tags: { 'mlflow.prompt.text': '[{"role":1}]', _mlflow_prompt_type: 'chat' } })).toEqual({ text: '[{"role":1}]', variables: [] })
    expect(promptOf({ tags: { 'mlflow.prompt.text': '{', _mlflow_prompt_type: 'chat', _mlflow_prompt_response_format: '{"type":"object"}' } })).toEqual({ text: '{', variables: [], format: { type: 'object' } })
  })

  it('are told from models by their tag', () => {
    expect(isPrompt({ tags: { 'mlflow.prompt.is_prompt': 'true' } })).toBe(true)
    expect(isPrompt({})).toBe(false)
    expect(ownTags({ team: 'x', 'mlflow.prompt.text': 'y', _mlflow_prompt_type: 'chat' })).toEqual([['team', 'x']])
  })
})
