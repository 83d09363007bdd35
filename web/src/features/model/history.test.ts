import { expect, it } from 'vitest'
import { aliasLife } from './history'

it('tells who set which alias when, for how long and why', () => {
  const life = aliasLife([
    { at: '2026-01-03', actor: 'b', what: 'alias_set', alias: 'champion', version: '2', previous: '1', reason: 'better' },
    { at: '2026-01-01', actor: 'a', what: 'version_created', version: '1' },
    { at: '2026-01-02', actor: 'a', what: 'alias_set', alias: 'champion', version: '1' },
    { at: '2026-01-04', actor: 'c', what: 'alias_set', alias: 'shadow', version: '2' },
    { at: '2026-01-05', actor: 'c', what: 'alias_deleted', alias: 'shadow', version: '2' },
  ])
  expect(life.get('1')).toEqual([{ alias: 'champion', from: '2026-01-02', to: '2026-01-03', by: 'a', next: '2' }])
  expect(life.get('2')).toEqual([{ alias: 'shadow', from: '2026-01-04', to: '2026-01-05', by: 'c' }, { alias: 'champion', from: '2026-01-03', by: 'b', reason: 'better' }])
})
