import { describe, expect, it } from 'vitest'
import { draftOf, empty, fault, looseBraces, sameWords, systemTags, turned, validAlias, validName, type Draft } from './draft'
import { promptOf } from './text'

const text = (t: string): Draft => ({ ...empty, text: t })

describe('drafts of prompts', () => {
  it('are sent as the tags that make the same prompt again', () => {
    for (const d of [text('Ask {{ q }}'), { ...empty, chat: true, messages: [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: '{{ q }}\n"quoted"' }] }, { ...text('x'), format: '{ "type": "object" }', config: '{"temperature": 0.2}' }]) {
      const again = draftOf({ tags: systemTags(d) })
      expect(sameWords(again, d)).toBe(true)
      expect(promptOf({ tags: systemTags(d) }).messages).toEqual(d.chat ? d.messages : undefined)
    }
    expect(systemTags(text('x'))).toEqual({ 'mlflow.prompt.is_prompt': 'true', 'mlflow.prompt.text': 'x', _mlflow_prompt_type: 'text' })
  })

  it('turn from text to chat and back without losing words', () => {
    const chat = turned(text('Ask {{ q }}'))
    expect(chat).toMatchObject({ chat: true, messages: [{ role: 'user', content: 'Ask {{ q }}' }] })
    expect(turned({ ...chat, text: '' })).toMatchObject({ chat: false, text: 'Ask {{ q }}' })
  })

  it('say why they cannot be saved', () => {
    expect(fault(text('hello'))).toBeUndefined()
    const bad: [Draft, RegExp][] = [
      [text(' \n'), /Write/], [{ ...empty, chat: true }, /Add a message/], [{ ...empty, chat: true, messages: [{ role: 'user', content: ' ' }] }, /empty/], [{ ...empty, chat: true, messages: [{ role: '', content: 'x' }] }, /role/],
      [{ ...text('x'), format: '{' }, /format/], [{ ...text('x'), config: 'temperature' }, /settings/], [{ ...text('x'), tags: [['a', '1'], [' a', '2']] }, /Two tags/],
      [{ ...text('x'), tags: [['mlflow.prompt.text', 'y']] }, /client/], [{ ...text('x'), alias: 'latest' }, /alias/], [{ ...text('x'), alias: '1st' }, /alias/],
    ]
    for (const [d, why] of bad) expect(fault(d)).toMatch(why)
    expect(fault({ ...text('x'), tags: [['', ''], ['a', '']], alias: 'staging' })).toBeUndefined()
  })

  it('notice braces that are no variable', () => {
    expect(looseBraces('{{ name }} and {{a.b}} and {single}')).toEqual([])
    expect(looseBraces('{{ name } and {{ 1st }} and {{ open')).toEqual(['{{ name }', '{{ 1st }}', '{{ open'])
  })

  it('have names and aliases as MLflow takes them', () => {
    expect(['a', 'support-answer.v2', 'A_1'].every(validName)).toBe(true)
    expect(['', 'a b', 'a/b', 'ä'].some(validName)).toBe(false)
    expect(validAlias('v1')).toBe(false)
    expect(validAlias('production')).toBe(true)
  })
})
