import { useQuery, type UseQueryOptions } from '@tanstack/react-query'
import { ChevronRight, File, Folder } from 'lucide-react'
import { lazy, Suspense, useState, type KeyboardEvent } from 'react'
import { address, http } from '@/lib/api/http'
import type { FileInfo, List } from '@/lib/api/types'
import { bytes } from '@/lib/format'
import { Empty, Skeleton } from './Empty'
import { ErrorBox } from './ErrorBox'
import { JsonView } from './JsonView'
import { Load } from './Load'
import { Markdown } from './Markdown'

const FullPreview = lazy(() => import('./preview/Preview').then((m) => ({ default: m.Preview })))

interface Props {
  /** The files of a folder; '' is the top. */
  list: (path: string) => UseQueryOptions<List<FileInfo>>
  /** The address of a file's content, without the query. */
  content: string
  /** The address of the beginning of a file; without it, small texts alone are shown. */
  preview?: string
  open: string | undefined
  onOpen: (path: string) => void
  empty: { title: string; text: string; command?: string }
}

/** A tree of files with a preview beside it. */
export function Files({ list, content, preview, open, onOpen, empty }: Props) {
  const top = useQuery(list(''))
  return (
    <div className="grid gap-3.5 cols:grid-cols-[300px_minmax(0,1fr)] items-start">
      <section className="panel py-1.5" role="tree" aria-label="Files">
        <Load query={top} what="the files">
          {(d) => (d.items.length === 0 ? <Empty title={empty.title} {...(empty.command ? { command: empty.command } : {})}>{empty.text}</Empty> : d.items.map((f) => <Node key={f.path} file={f} list={list} open={open} onOpen={onOpen} depth={0} />))}
        </Load>
      </section>
      <section className="panel min-h-40">{open ? (preview ? <Suspense fallback={<Skeleton rows={5} />}><FullPreview key={open} path={open} content={content} preview={preview} /></Suspense> : <Preview key={open} path={open} content={content} />) : <p className="text-3 p-3.5">Choose a file to see it.</p>}</section>
    </div>
  )
}

function Node({ file, list, open, onOpen, depth }: { file: FileInfo; list: Props['list']; open: string | undefined; onOpen: (path: string) => void; depth: number }) {
  const [wide, setWide] = useState(open?.startsWith(`${file.path}/`) ?? false)
  const inside = useQuery({ ...list(file.path), enabled: file.is_dir && wide })
  const name = file.path.split('/').at(-1)
  const keys = (e: KeyboardEvent<HTMLButtonElement>) => {
    if (e.key === 'ArrowRight' && file.is_dir && !wide) setWide(true)
    else if (e.key === 'ArrowLeft' && file.is_dir && wide) setWide(false)
    else if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      const items = [...(e.currentTarget.closest('[role=tree]')?.querySelectorAll<HTMLElement>('[role=treeitem]') ?? [])]
      items[items.indexOf(e.currentTarget) + (e.key === 'ArrowDown' ? 1 : -1)]?.focus()
    } else return
    e.preventDefault()
  }
  return (
    <>
      <button type="button" role="treeitem" aria-expanded={file.is_dir ? wide : undefined} aria-selected={file.path === open} className={`cm !rounded-none text-sm !min-h-7 hover:bg-hover ${file.path === open ? 'bg-selected' : ''}`} style={{ paddingLeft: 12 + depth * 16 }} onKeyDown={keys} onClick={() => (file.is_dir ? setWide(!wide) : onOpen(file.path))}>
        {file.is_dir ? <ChevronRight size={12} style={{ rotate: wide ? '90deg' : '0deg' }} /> : <span className="w-3" />}
        {file.is_dir ? <Folder size={14} /> : <File size={14} />}<span className="flex-1 clip">{name}</span><span className="text-3">{file.is_dir ? '' : bytes(file.size)}</span>
      </button>
      {wide && inside.data?.items.map((f) => <Node key={f.path} file={f} list={list} open={open} onOpen={onOpen} depth={depth + 1} />)}
    </>
  )
}

const mostBytes = 1_000_000
const pictures = /\.(png|jpe?g|gif|webp|avif)$/i

function Preview({ path, content }: { path: string; content: string }) {
  const url = address(content, { path })
  const picture = pictures.test(path)
  const text = useQuery({
    queryKey: ['preview', content, path], enabled: !picture, staleTime: 60_000, retry: false,
    queryFn: async ({ signal }) => {
      const response = await http.raw(content, { query: { path }, signal })
      const size = Number(response.headers.get('Content-Length') ?? 0)
      if (size > mostBytes) return { big: size, text: '' }
      const data = new Uint8Array(await response.arrayBuffer())
      if (data.subarray(0, 4000).includes(0)) return { big: data.length, text: '' }
      return { big: 0, text: new TextDecoder().decode(data) }
    },
  })
  return (
    <>
      <div className="ph"><h2 className="mono">{path}</h2><div className="r"><a className="btn s" href={url} download={path.split('/').at(-1)}>Download</a></div></div>
      <div className="p-3.5 overflow-auto" style={{ maxHeight: '62vh' }}>
        {picture ? <Picture content={content} path={path} />
          : text.error ? <ErrorBox error={text.error} title="Can't read the file" onRetry={() => void text.refetch()} />
            : !text.data ? <Skeleton rows={4} widths={['60%']} />
              : text.data.big > 0 ? <p className="text-2">{bytes(text.data.big)}, not shown here. Download it to see it.</p> : <Text path={path} text={text.data.text} />}
      </div>
    </>
  )
}

/** The content may come as an attachment, so it is fetched and shown from memory. */
function Picture({ content, path }: { content: string; path: string }) {
  const blob = useQuery({ queryKey: ['picture', content, path], staleTime: 300_000, queryFn: async ({ signal }) => URL.createObjectURL(await (await http.raw(content, { query: { path }, signal })).blob()) })
  if (blob.error) return <ErrorBox error={blob.error} title="Can't read the picture" onRetry={() => void blob.refetch()} />
  return blob.data ? <img src={blob.data} alt={path} className="max-w-full" /> : <Skeleton rows={4} widths={['60%']} />
}

function Text({ path, text }: { path: string; text: string }) {
  if (text === '') return <p className="text-3">This file is empty.</p>
  if (/\.md$/i.test(path)) return <Markdown text={text} />
  if (/\.(json|ipynb)$/i.test(path)) {
    try {
      return <JsonView value={JSON.parse(text)} />
    } catch {
      return <pre className="log">{text}</pre>
    }
  }
  if (/\.csv$/i.test(path)) return <Csv text={text} />
  return <pre className="log">{text}</pre>
}

const mostRows = 100

function Csv({ text }: { text: string }) {
  const lines = text.split(/\r?\n/).filter((l) => l !== '')
  const rows = lines.slice(0, mostRows + 1).map(cells)
  return (
    <>
      <table className="tbl dense"><thead><tr>{rows[0]?.map((c, i) => <th key={i}>{c}</th>)}</tr></thead><tbody>{rows.slice(1).map((r, i) => <tr key={i}>{r.map((c, j) => <td key={j} className={Number.isFinite(Number(c)) && c !== '' ? 'num' : ''}>{c}</td>)}</tr>)}</tbody></table>
      {lines.length > mostRows + 1 && <p className="text-3 text-sm pt-2">The first {mostRows} of {lines.length - 1} rows.</p>}
    </>
  )
}

function cells(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map((m) => (m[1] !== undefined ? m[1].replaceAll('""', '"') : (m[2] ?? '')))
}
