import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useState, type ReactNode } from 'react'
import { ApiError, address, http } from '@/lib/api/http'
import { q } from '@/lib/api/queries'
import type { FilePreview } from '@/lib/api/types'
import { bytes, count } from '@/lib/format'
import { Skeleton } from '../Empty'
import { ErrorBox } from '../ErrorBox'
import { JsonView } from '../JsonView'
import { Markdown } from '../Markdown'
import { mlflowTable, readNotebook } from './notebook'
import { TableView } from './TableView'

const Notebook = lazy(() => import('./Notebook').then((m) => ({ default: m.Notebook })))

/** A file that has to be read whole to be shown is read up to this size. */
const mostWhole = 12_000_000
const mostPicture = 40_000_000
const firstRows = 200
const allRows = 1000

const pictures = /\.(png|jpe?g|gif|webp|svg|bmp|ico|avif)$/i
const whole = /\.(json|ipynb|md|markdown|webmanifest)$/i

/** What a file holds, as far as it can be shown without trusting it. */
export function Preview({ path, content, preview }: { path: string; content: string; preview: string }): ReactNode {
  const url = address(content, { path })
  return (
    <>
      <div className="ph"><h2 className="mono clip" title={path}>{path}</h2><div className="r"><a className="btn s" href={url} download={path.split('/').at(-1)}>Download</a></div></div>
      <div className="p-3.5 overflow-auto" style={{ maxHeight: '68vh' }} tabIndex={0} role="region" aria-label={path}>
        {pictures.test(path) ? <Picture content={content} path={path} /> : whole.test(path) ? <Whole content={content} path={path} preview={preview} /> : <Head preview={preview} path={path} />}
      </div>
    </>
  )
}

/** The content comes as an attachment, so it is fetched and shown from memory. An SVG in an img runs no scripts and loads nothing. */
function Picture({ content, path }: { content: string; path: string }) {
  const [size, setSize] = useState('')
  const blob = useQuery({
    queryKey: ['picture', content, path], staleTime: 300_000, retry: false,
    queryFn: async ({ signal }) => {
      const response = await http.raw(content, { query: { path }, signal })
      const length = Number(response.headers.get('Content-Length') ?? 0)
      if (length > mostPicture) throw new ApiError({ status: 0, title: `${bytes(length)} is too much for a picture here`, hint: 'Download it to see it.' })
      return { url: URL.createObjectURL(await response.blob()), length }
    },
  })
  if (blob.error) return <ErrorBox error={blob.error} title="Can't show the picture" onRetry={() => void blob.refetch()} />
  if (!blob.data) return <Skeleton rows={4} widths={['60%']} />
  return <><img src={blob.data.url} alt={path} className="max-w-full bg-white rounded-control" onLoad={(e) => setSize(`${e.currentTarget.naturalWidth} × ${e.currentTarget.naturalHeight}, `)} /><p className="text-3 text-sm pt-2">{size}{bytes(blob.data.length)}</p></>
}

/** Documents that mean something only as a whole; one that is too large shows its beginning. */
function Whole({ content, path, preview }: { content: string; path: string; preview: string }) {
  const file = useQuery({
    queryKey: ['file', content, path], staleTime: 60_000, retry: false,
    queryFn: async ({ signal }) => {
      const response = await http.raw(content, { query: { path }, signal })
      if (Number(response.headers.get('Content-Length') ?? 0) <= mostWhole) return { text: await response.text() }
      await response.body?.cancel()
      return { text: null }
    },
  })
  if (file.error) return <ErrorBox error={file.error} title="Can't read the file" onRetry={() => void file.refetch()} />
  if (!file.data) return <Skeleton rows={4} widths={['60%']} />
  const { text } = file.data
  if (text === null) return <Head preview={preview} path={path} />
  if (text === '') return <p className="text-3">This file is empty.</p>
  if (/\.(md|markdown)$/i.test(path)) return <Markdown under={2} text={text} />
  return <Json path={path} text={text} />
}

function Json({ path, text }: { path: string; text: string }) {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return <><p className="text-3 text-sm pb-2">This is not valid JSON, so it is shown as text.</p><pre className="log">{text.slice(0, 200_000)}</pre></>
  }
  const notebook = /\.ipynb$/i.test(path) ? readNotebook(value) : undefined
  if (notebook) return <Suspense fallback={<Skeleton rows={6} />}><Notebook file={notebook} /></Suspense>
  const table = mlflowTable(value)
  return table ? <TableView table={table} label={path} /> : <JsonView value={value} />
}

/** The beginning of a file: rows where it has rows, text where it is text. */
function Head({ preview, path }: { preview: string; path: string }) {
  const [rows, setRows] = useState(firstRows)
  const head = useQuery(q.preview(preview, path, rows))
  if (head.error) return <ErrorBox error={head.error} title="Can't read the file" onRetry={() => void head.refetch()} />
  if (!head.data) return <Skeleton rows={6} />
  const v = head.data
  if (v.kind === 'binary') return <p className="text-2">{bytes(v.size)}. {v.note && !v.note.endsWith('.') ? `${v.note}.` : v.note} Download it to open it.</p>
  if (v.kind === 'table') return <TableView table={{ columns: v.columns ?? [], rows: v.rows ?? [] }} label={path} note={<RowNote v={v} more={rows < allRows ? () => setRows(allRows) : undefined} />} />
  if (!v.text) return <p className="text-3">This file is empty.</p>
  return <>{/\.html?$/i.test(path) && <p className="text-3 text-sm pb-2">HTML is shown as text: what runs upload is never run here.</p>}<pre className="log">{v.text}</pre>{v.truncated && <p className="text-3 text-sm pt-2">The first {bytes(v.text.length)} of {bytes(v.size)}.</p>}</>
}

function RowNote({ v, more }: { v: FilePreview; more: (() => void) | undefined }) {
  const shown = v.rows?.length ?? 0
  const skipped = v.skipped ?? []
  return (
    <>
      {v.truncated ? `The first ${count(shown)}${v.total_rows ? ` of ${count(v.total_rows)}` : ''} rows` : `${count(shown)} rows`}, {count(v.columns?.length ?? 0)} columns, {bytes(v.size)}.
      {v.truncated && more && shown >= firstRows && <> <button type="button" className="link" onClick={more}>Show {count(allRows)}</button></>}
      {skipped.length > 0 && <> Not shown: {skipped.slice(0, 5).join(', ')}{skipped.length > 5 ? ` and ${skipped.length - 5} more` : ''}.</>}
    </>
  )
}
