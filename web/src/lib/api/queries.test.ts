import { QueryClient } from '@tanstack/react-query'
import { afterEach, expect, it, vi } from 'vitest'
import { q } from './queries'

afterEach(() => vi.unstubAllGlobals())

it('a list is read whole, page by page', async () => {
  const asked: (string | null)[] = []
  vi.stubGlobal('fetch', (input: string | URL | Request) => {
    const token = new URL(input instanceof Request ? input.url : input, 'http://127.0.0.1').searchParams.get('page_token')
    asked.push(token)
    const page = Number(token ?? 0)
    return Promise.resolve(Response.json({ items: [{ id: `e${page}` }], ...(page < 2 ? { next_page_token: String(page + 1) } : {}) }))
  })
  const { items } = await new QueryClient().fetchQuery(q.experiments())
  expect(items.map((e) => e.id)).toEqual(['e0', 'e1', 'e2'])
  expect(asked).toEqual([null, '1', '2'])
})
