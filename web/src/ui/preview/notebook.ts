// Reads what a notebook holds, without ever running any of it. HTML is taken apart for its tables and otherwise left out.

export interface TableData {
  columns: { name: string; type?: string }[]
  rows: (string | number | boolean | null)[][]
}

export type Output =
  | { kind: 'text'; text: string; error?: boolean }
  | { kind: 'image'; type: string; base64: string }
  | { kind: 'table'; table: TableData }
  | { kind: 'left-out'; what: string }

export interface NotebookCell {
  kind: 'code' | 'markdown' | 'raw'
  source: string
  count?: number
  outputs: Output[]
}

export interface NotebookFile {
  language: string
  cells: NotebookCell[]
  /** Cells that were left out because there are so many. */
  more: number
}

const mostCells = 400
const mostText = 20_000
const mostOutputs = 40

const object = (v: unknown): Record<string, unknown> => (typeof v === 'object' && v !== null ? (v as Record<string, unknown>) : {})
const array = (v: unknown): unknown[] => (Array.isArray(v) ? v : [])
const text = (v: unknown): string => (typeof v === 'string' ? v : array(v).filter((x) => typeof x === 'string').join(''))
const cut = (s: string) => (s.length > mostText ? `${s.slice(0, mostText)}\n… ${(s.length - mostText).toLocaleString('en')} characters more` : s)

/** A notebook of format 3 or 4; undefined when it is none. */
export function readNotebook(value: unknown): NotebookFile | undefined {
  const nb = object(value)
  const cells = Array.isArray(nb.cells) ? nb.cells : Array.isArray(nb.worksheets) ? nb.worksheets.flatMap((w) => array(object(w).cells)) : undefined
  if (!cells) return undefined
  const meta = object(nb.metadata)
  return {
    language: text(object(meta.language_info).name) || text(object(meta.kernelspec).language) || 'python',
    cells: cells.slice(0, mostCells).map((c) => cell(object(c))), more: Math.max(0, cells.length - mostCells),
  }
}

function cell(c: Record<string, unknown>): NotebookCell {
  const kind = c.cell_type === 'code' ? 'code' : c.cell_type === 'markdown' || c.cell_type === 'heading' ? 'markdown' : 'raw'
  const count = c.execution_count ?? c.prompt_number
  return { kind, source: cut(text(c.source ?? c.input)), ...(typeof count === 'number' ? { count } : {}), outputs: array(c.outputs).slice(0, mostOutputs).flatMap((o) => output(object(o))) }
}

function output(o: Record<string, unknown>): Output[] {
  if (o.output_type === 'stream') return [{ kind: 'text', text: plain(text(o.text)), error: o.name === 'stderr' }]
  if (o.output_type === 'error' || o.output_type === 'pyerr') return [{ kind: 'text', text: plain(array(o.traceback).map(text).join('\n') || `${text(o.ename)}: ${text(o.evalue)}`), error: true }]
  // Format 3 holds its data beside its type.
  const data = o.data === undefined ? { 'image/png': o.png, 'image/jpeg': o.jpeg, 'text/html': o.html, 'text/plain': o.text } as Record<string, unknown> : object(o.data)
  for (const type of ['image/png', 'image/jpeg', 'image/gif', 'image/webp']) {
    const base64 = text(data[type]).replace(/\s/g, '')
    if (base64 && /^[A-Za-z0-9+/]+=*$/.test(base64)) return [{ kind: 'image', type, base64 }]
  }
  const html = text(data['text/html'])
  const table = html ? tableOf(html) : undefined
  if (table) return [{ kind: 'table', table }]
  const words = text(data['text/markdown']) || text(data['text/plain'])
  if (words) return [{ kind: 'text', text: plain(words) }]
  const types = Object.keys(data).filter((k) => data[k] !== undefined)
  return types.length > 0 ? [{ kind: 'left-out', what: types.join(', ') }] : []
}

/** Text without the colours of a terminal. */
function plain(s: string): string {
  return cut(s.replace(/\u001b\[[0-9;]*[A-Za-z]/g, ''))
}

const mostRows = 200

/** The first table of some HTML, as text: what pandas shows of a frame. Parsed apart from the page, so nothing of it runs or loads. */
export function tableOf(html: string): TableData | undefined {
  // Handlers would not run in there, but the browser reports each as refused.
  const quiet = html.replace(/<style\b[\s\S]*?(<\/style>|$)/gi, '').replace(/<[^>]*>/g, (tag) => tag.replace(/\s(on[a-z]+|style)\s*=/gi, ' data-off='))
  const table = new DOMParser().parseFromString(quiet, 'text/html').querySelector('table')
  if (!table) return undefined
  const lines = [...table.querySelectorAll('tr')].map((tr) => [...tr.querySelectorAll('th,td')].map((c) => c.textContent?.trim() ?? ''))
  const [head, ...rows] = lines
  if (!head || head.length === 0) return undefined
  const width = Math.max(...lines.map((l) => l.length))
  return { columns: Array.from({ length: width }, (_, i) => ({ name: head[i] ?? '' })), rows: rows.slice(0, mostRows).map((r) => Array.from({ length: width }, (_, i) => r[i] ?? '')) }
}

/** What MLflow's log_table and pandas' "split" write: {"columns": [...], "data": [[...]]}; undefined for other JSON. */
export function mlflowTable(value: unknown): TableData | undefined {
  const { columns, data } = object(value)
  if (!Array.isArray(columns) || !Array.isArray(data) || columns.length === 0 || !columns.every((c) => typeof c === 'string' || typeof c === 'number') || !data.every(Array.isArray)) return undefined
  return { columns: columns.map((c) => ({ name: String(c) })), rows: (data as unknown[][]).map((r) => columns.map((_, i) => { const v = r[i]; return v === undefined || v === null ? null : typeof v === 'number' || typeof v === 'boolean' || typeof v === 'string' ? v : JSON.stringify(v) })) }
}
