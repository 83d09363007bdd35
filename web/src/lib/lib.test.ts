import { afterEach, describe, expect, it, vi } from 'vitest'
import { ApiError, http, problem, tokenNeeded } from './api/http'
import { touched } from './api/live'
import { createParser, type ServerEvent } from './api/sse'
import type { Event } from './api/types'
import { tell } from './events'
import { datasetOf, pageOf } from './href'
import { mlflowPage } from './mlflow'
import { who } from './actor'
import { dispatchKey, keyName, scopes } from './keys'
import { rank } from './search'

describe('search', () => {
  const names = ['fraud', 'fraud-scoring', 'bike-fraud', 'defraud', 'bike-demand']
  const find = (text: string) => rank(text, names, (n) => n, (n) => n)
  it('puts the exact name first, then beginnings, then words, then any place', () => expect(find('fraud')).toEqual(['fraud', 'fraud-scoring', 'bike-fraud', 'defraud']))
  it('keeps everything for an empty text', () => expect(find('  ')).toEqual(names))
  it('finds all words in any order', () => expect(find('demand bike')).toEqual(['bike-demand']))
})

describe('server-sent events', () => {
  const read = (...chunks: string[]) => {
    const out: ServerEvent[] = []
    const parse = createParser((e) => out.push(e))
    chunks.forEach(parse)
    return out
  }
  it('reads an event in whatever pieces it comes', () => {
    const text = 'id: 7\nevent: alert.opened\ndata: {"a":1}\n\n'
    expect(read(text)).toEqual([{ id: '7', event: 'alert.opened', data: '{"a":1}' }])
    expect(read(...text)).toEqual(read(text))
  })
  it('joins lines of data, skips comments, and waits for the end', () => {
    expect(read(': hello\n\ndata: a\ndata: b\n\ndata: not yet\n')).toEqual([{ id: '', event: 'message', data: 'a\nb' }])
  })
  it('takes any line end', () => expect(read('data: x\r\n\r\n')).toHaveLength(1))
})

describe('errors of the server', () => {
  const answer = (status: number, body: string) => new Response(body, { status, headers: { 'X-Request-Id': '7f3a' } })
  it('are read from a problem', async () => {
    const e = await problem(answer(400, JSON.stringify({ title: 'Invalid', detail: 'weights sum to 90', hint: 'make them sum to 100', errors: [{ field: 'targets', message: 'sum is 90' }] })))
    expect(e).toMatchObject({ status: 400, title: 'Invalid', message: 'weights sum to 90', hint: 'make them sum to 100', requestId: '7f3a', fields: [{ field: 'targets', message: 'sum is 90' }] })
  })
  it('are readable when the body is not', async () => {
    for (const body of ['', '<html>', '"text"', 'null', '[]']) expect((await problem(answer(502, body))).title).toBe('The server answered 502')
  })

  afterEach(() => vi.unstubAllGlobals())
  it('ask for a token on 401', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(answer(401, '{}')))
    await expect(http.get('/api/v1/overview')).rejects.toBeInstanceOf(ApiError)
    expect(tokenNeeded.get()).toBe(true)
  })
  it('say so when nothing answers', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('network')))
    await expect(http.get('/api/v1/overview')).rejects.toMatchObject({ status: 0, title: 'The server does not answer' })
  })
})

describe('events in words', () => {
  const event = (type: string, data: Record<string, unknown>): Event => ({ id: '1', type, time: '', actor: '', resource: { kind: 'thing', id: 'x' }, data })
  it('name the thing, what happened and where to look', () => {
    expect(tell(event('registry.alias.set', { model: 'bike', version: '3', alias: 'champion', previous: '2' }))).toEqual({ subject: 'bike v3', what: 'became @champion instead of v2', to: '/models/bike?version=3' })
    expect(tell(event('lifecycle.rollout.halted', { endpoint: 'fraud', version: '13', reason: 'errors 2.4 %' }))).toEqual({ subject: 'fraud', what: 'rollout of v13 halted: errors 2.4 %', to: '/endpoints/fraud' })
    expect(tell(event('routing.route.changed', { endpoint: 'e', targets: [{ version: '1', weight: 90 }, { version: '2', weight: 10 }] })).what).toBe('traffic v1 90 %, v2 10 %')
  })
  it('of the trash are told', () => {
    expect(tell(event('trace.deleted', { experiment_id: '3', traces: 2 }))).toEqual({ subject: '2 traces', what: 'moved to the trash', to: '/experiments/3?tab=traces' })
    expect(tell(event('trace.restored', { experiment_id: '3', traces: 1 }))).toMatchObject({ subject: 'A trace', what: 'brought back' })
    expect(tell(event('trash.purge.done', { count: 12 }))).toMatchObject({ subject: '12 things', to: '/trash' })
    expect(tell(event('trash.contents.swept', { removed: 1 })).subject).toBe('1 content')
  })

  it('are told even when nobody knows them', () => expect(tell(event('cost.budget.set_anew', {}))).toEqual({ subject: 'x', what: 'budget set anew' }))
  it('escape names', () => {
    expect(pageOf('model', 'a b')).toBe('/models/a%20b')
    expect(pageOf('version', 'bike/3')).toBe('/models/bike?version=3')
    expect(pageOf('planet', 'x')).toBeUndefined()
  })
  it('know the dataset behind a source', () => {
    expect(datasetOf('http://127.0.0.1:5000/api/v1/datasets/my%20bike/versions/3/data')).toEqual({ name: 'my bike', version: '3' })
    expect(datasetOf('s3://bucket/x.csv')).toBeUndefined()
    expect(datasetOf(undefined)).toBeUndefined()
  })
  it('make the right answers old', () => {
    expect(touched('alert.opened')).toContain('alerts')
    expect(touched('lifecycle.rollout.halted')).toContain('rollouts')
    expect(touched('unknown.thing')).toEqual([])
    for (const type of ['tracking.run.deleted', 'registry.model.restored', 'dataset.version.purged', 'trace.deleted', 'trash.purge.done', 'trash.contents.swept']) expect(touched(type)).toContain('trash')
    expect(touched('tracking.run.ended')).not.toContain('trash')
  })
})

describe('keys', () => {
  const press = (key: string, target: HTMLElement = document.body, init: KeyboardEventInit = {}) => {
    const e = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...init })
    Object.defineProperty(e, 'target', { value: target })
    return dispatchKey(e)
  }
  afterEach(() => scopes.set([]))
  it('run the innermost binding, also of two keys', () => {
    const ran: string[] = []
    const bind = (keys: string, name: string, always = false) => ({ keys, label: name, always, run: () => ran.push(name) })
    scopes.set([{ bindings: [bind('j', 'outer'), bind('g h', 'home'), bind('mod+k', 'palette', true)] }, { bindings: [bind('j', 'inner')] }])
    press('j')
    press('g')
    press('h')
    const field = document.createElement('input')
    expect(press('j', field)).toBe(false)
    expect(press('k', field, { ctrlKey: true })).toBe(true)
    expect(ran).toEqual(['inner', 'home', 'palette'])
  })
  it('have names', () => expect(keyName({ key: 'K', ctrlKey: false, metaKey: true, altKey: false })).toBe('mod+k'))
})

describe('links of the MLflow client', () => {
  it.each([
    ['#/experiments/1/runs/8c5f', '/runs/8c5f'], ['#/experiments/1', '/experiments/1'], ['#/experiments', '/experiments'], ['#/models/bike%20x/versions/3', '/models/bike%20x?version=3'],
    ['#/models/bike', '/models/bike'], ['#/models', '/models'], ['#/experiments/1/runs/8c5f?tab=x', '/runs/8c5f'], ['#/gateway', undefined], ['#main', undefined], ['', undefined], ['#/models/%', '/models/%25'],
    ['#/compare-runs?runs=[%22a1%22,%22b2%22]&experiments=[%220%22]', '/compare?runs=a1,b2'], ['#/compare-runs?runs=["a1"]', '/compare?runs=a1'], ['#/compare-runs?runs=[', undefined], ['#/compare-runs', undefined],
  ])('%s opens %s', (hash, page) => expect(mlflowPage(hash)).toBe(page))
})

it('knows people from the server', () => {
  expect(who('user:ingrid')).toEqual({ name: 'ingrid', system: false })
  expect(who('system:lifecycle')).toEqual({ name: 'lifecycle', system: true })
  expect(who({ type: 'user', id: 'root' })).toEqual({ name: 'root', system: false })
  expect(who('')).toEqual({ name: 'Modelyard', system: true })
})
