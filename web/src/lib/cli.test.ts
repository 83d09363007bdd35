import { expect, it } from 'vitest'
import { cli, quoted } from './cli'

it('quotes what a shell would break', () => {
  expect(quoted('bike-demand/3')).toBe('bike-demand/3')
  expect(quoted("it's")).toBe("'it'\\''s'")
  expect(quoted('a b; rm -rf x')).toBe("'a b; rm -rf x'")
  expect(quoted('$(id)')).toBe("'$(id)'")
  expect(quoted('')).toBe("''")
})

it('writes commands as they are typed', () => {
  expect(cli.deploy('models:/bike@champion', 'bike')).toBe('modelyard deploy models:/bike@champion --name bike')
  expect(cli.promote('bike', '3', 'champion', 'better in June')).toBe("modelyard model promote bike/3 --reason 'better in June'")
  expect(cli.rollout('bike', '4', { steps: '10,50,100' })).toBe('modelyard rollout start bike 4 --steps 10,50,100')
  expect(cli.runPipeline('bike', { until: '2011-04-01', note: 'a b' })).toBe("modelyard pipeline run bike -p until=2011-04-01 -p 'note=a b'")
  expect(cli.predict('bike', '{"hour": 8}')).toBe(`modelyard endpoint predict bike '{"hour": 8}'`)
})
