import { cleanup, fireEvent, render, screen, within } from '@testing-library/react'
import { useState } from 'react'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dispatchKey } from '@/lib/keys'
import type { Sort } from '@/lib/url'
import { DataTable, compare, type Column } from './DataTable'
import { JsonView } from './JsonView'
import { Markdown } from './Markdown'
import { moveBorder, setWeight, TrafficSplit, type Lane } from './TrafficSplit'

afterEach(cleanup)

const lanes: Lane[] = [{ version: '12', color: 'var(--c1)', weight: 70 }, { version: '13', color: 'var(--c2)', weight: 20 }, { version: '14', color: 'var(--c3)', weight: 10 }]
const weights = (l: Lane[]) => l.map((x) => x.weight)

describe('traffic', () => {
  it('moves one border between its neighbours', () => {
    expect(weights(moveBorder(lanes, 0, 80))).toEqual([80, 10, 10])
    expect(weights(moveBorder(lanes, 0, 99))).toEqual([90, 0, 10])
    expect(weights(moveBorder(lanes, 1, 70))).toEqual([70, 0, 30])
    expect(weights(moveBorder(lanes, 0, -5))).toEqual([0, 90, 10])
  })
  it('always sums to 100', () => {
    for (const w of [0, 5, 33.4, 100, 250, -3, NaN]) for (const v of ['12', '13', '14']) expect(weights(setWeight(lanes, v, w)).reduce((a, b) => a + b)).toBe(100)
    expect(weights(setWeight(lanes, '13', 60))).toEqual([30, 60, 10])
    expect(weights(setWeight(lanes, '12', 95))).toEqual([95, 0, 5])
  })
  it('is moved by the arrow keys', () => {
    function Example() {
      const [now, setNow] = useState(lanes.slice(0, 2).map((l, i) => ({ ...l, weight: i === 0 ? 75 : 25 })))
      return <TrafficSplit lanes={now} live={lanes} onChange={setNow} />
    }
    render(<Example />)
    const slider = screen.getByRole('slider', { name: 'Traffic to v13' })
    expect(slider.getAttribute('aria-valuenow')).toBe('25')
    fireEvent.keyDown(slider, { key: 'ArrowRight' })
    expect(screen.getByRole('slider').getAttribute('aria-valuenow')).toBe('24')
    fireEvent.keyDown(screen.getByRole('slider'), { key: 'ArrowLeft', shiftKey: true })
    expect(screen.getByRole('slider').getAttribute('aria-valuenow')).toBe('29')
  })
})

interface Row {
  name: string
  mae: number | null
}
const rows: Row[] = [{ name: 'b10', mae: 3 }, { name: 'b2', mae: null }, { name: 'a', mae: 1 }]
const columns: Column<Row>[] = [
  { id: 'name', header: 'Run', cell: (r) => r.name, value: (r) => r.name },
  { id: 'mae', header: 'MAE', num: true, cell: (r) => r.mae, value: (r) => r.mae },
]

describe('tables', () => {
  beforeEach(() => addEventListener('keydown', dispatchKey))
  afterEach(() => removeEventListener('keydown', dispatchKey))
  const names = () => screen.getAllByRole('row').slice(1).map((r) => within(r).getAllByRole('cell').at(-2)?.textContent)

  function Example({ onOpen }: { onOpen?: (r: Row) => void }) {
    const [sort, setSort] = useState<Sort | undefined>()
    const [selected, setSelected] = useState<Set<string>>(new Set())
    return <DataTable label="Runs" columns={columns} rows={rows} rowKey={(r) => r.name} sort={sort} onSort={setSort} selected={selected} onSelect={setSelected} onOpen={(r) => onOpen?.(r)} />
  }
  it('sort by their heads, nothing last', () => {
    render(<Example />)
    expect(names()).toEqual(['b10', 'b2', 'a'])
    fireEvent.click(screen.getByRole('button', { name: 'MAE' }))
    expect(names()).toEqual(['a', 'b10', 'b2'])
    fireEvent.click(screen.getByRole('button', { name: 'MAE' }))
    expect(names()).toEqual(['b10', 'a', 'b2'])
    fireEvent.click(screen.getByRole('button', { name: 'Run' }))
    expect(names()).toEqual(['a', 'b2', 'b10'])
  })
  it('are walked, selected and opened by keyboard', () => {
    const opened: string[] = []
    render(<Example onOpen={(r) => opened.push(r.name)} />)
    const press = (key: string) => fireEvent.keyDown(document.body, { key })
    press('j')
    press('j')
    press('x')
    press('Enter')
    press('k')
    press('Enter')
    expect(opened).toEqual(['b2', 'b10'])
    expect(screen.getByRole('checkbox', { name: 'Select b2' }).getAttribute('aria-checked')).toBe('true')
    expect(screen.getByRole('checkbox', { name: 'Select all rows' }).getAttribute('aria-checked')).toBe('mixed')
  })
  it('compare numbers inside text by size', () => expect(['v10', 'v2', 'v1'].sort(compare)).toEqual(['v1', 'v2', 'v10']))
})

describe('texts of others', () => {
  it('markdown never becomes HTML or a script', () => {
    const { container } = render(<Markdown text={'# Card\n<img src=x onerror=alert(1)> **bold** [bad](javascript:alert(1)) [good](https://example.org)\n\n- one\n- two `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nraw **text**\n```'} />)
    expect(container.querySelector('img')).toBeNull()
    expect([...container.querySelectorAll('a')].map((a) => a.getAttribute('href'))).toEqual(['https://example.org'])
    expect(container.querySelector('h1')?.textContent).toBe('Card')
    expect(container.querySelectorAll('li')).toHaveLength(2)
    expect(container.querySelector('td')?.textContent).toBe('1')
    expect(container.querySelector('pre')?.textContent).toBe('raw **text**')
  })
  it('markdown of any shape ends', () => {
    for (const text of ['', '|', '```', '> ', '-', '####### x', '| a |\n|---|', '**', '1.', '\n\n\n']) expect(() => render(<Markdown text={text} />)).not.toThrow()
  })
  it('JSON folds', () => {
    render(<JsonView value={{ a: { b: { c: 1 } } }} />)
    expect(screen.queryByText('c:')).toBeNull()
    fireEvent.click(screen.getByRole('button', { name: /b:/ }))
    expect(screen.getByText(/c:/)).toBeTruthy()
  })
})
