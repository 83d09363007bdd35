import { describe, expect, it } from 'vitest'
import { mlflowTable, readNotebook, tableOf } from './notebook'

describe('notebooks', () => {
  it('are read cell by cell', () => {
    const nb = readNotebook({ metadata: { language_info: { name: 'python' } }, cells: [
      { cell_type: 'markdown', source: ['# Title\n', 'text'] },
      { cell_type: 'code', execution_count: 3, source: 'print(1)', outputs: [
        { output_type: 'stream', name: 'stdout', text: ['1\n'] }, { output_type: 'display_data', data: { 'image/png': 'aGk=\n', 'text/plain': '<Figure>' } },
        { output_type: 'execute_result', data: { 'text/html': '<table><tr><th></th><th>a</th></tr><tr><td>0</td><td>5</td></tr></table><script>alert(1)</script>', 'text/plain': 'a' } },
        { output_type: 'error', ename: 'E', evalue: 'v', traceback: ['\u001b[31mE\u001b[0m: v'] }, { output_type: 'display_data', data: { 'application/vnd.plotly.v1+json': {} } },
      ] },
    ] })
    expect(nb?.cells.map((c) => c.kind)).toEqual(['markdown', 'code'])
    expect(nb?.cells[0]?.source).toBe('# Title\ntext')
    expect(nb?.cells[1]?.count).toBe(3)
    expect(nb?.cells[1]?.outputs).toEqual([
      { kind: 'text', text: '1\n', error: false }, { kind: 'image', type: 'image/png', base64: 'aGk=' }, { kind: 'table', table: { columns: [{ name: '' }, { name: 'a' }], rows: [['0', '5']] } },
      { kind: 'text', text: 'E: v', error: true }, { kind: 'left-out', what: 'application/vnd.plotly.v1+json' },
    ])
  })
  it('of any shape are read to an end', () => {
    for (const v of [null, 1, 'x', [], {}, { cells: 5 }]) expect(readNotebook(v)).toBeUndefined()
    for (const v of [{ cells: [] }, { cells: [null, 1, {}, { cell_type: 'code', outputs: [null, 5, { data: 7 }], source: 9 }] }, { worksheets: [{ cells: [{ cell_type: 'code', input: 'a', outputs: [{ output_type: 'pyout', text: 'b' }] }] }] }]) expect(readNotebook(v)).toBeDefined()
    expect(readNotebook({ cells: Array.from({ length: 500 }, () => ({})) })?.more).toBe(100)
  })
  it('bring no HTML along', () => {
    expect(tableOf('<p>no table</p>')).toBeUndefined()
    expect(tableOf('<table><tr><td><img src=x onerror=alert(1)>a</td></tr></table>')).toEqual({ columns: [{ name: 'a' }], rows: [] })
  })
})

describe('tables of MLflow', () => {
  it('are told from other JSON', () => {
    expect(mlflowTable({ columns: ['q', 'a'], data: [['x', { b: 1 }], [1]] })).toEqual({ columns: [{ name: 'q' }, { name: 'a' }], rows: [['x', '{"b":1}'], [1, null]] })
    for (const v of [null, {}, { columns: [], data: [] }, { columns: ['a'], data: [{}] }, { columns: 'a', data: [] }]) expect(mlflowTable(v)).toBeUndefined()
  })
})
