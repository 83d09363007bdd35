import { useQuery, type UseQueryOptions } from '@tanstack/react-query'
import { ChevronRight, File, Folder } from 'lucide-react'
import { lazy, Suspense, useState, type KeyboardEvent } from 'react'
import type { FileInfo, List } from '@/lib/api/types'
import { bytes } from '@/lib/format'
import { Empty, Skeleton } from './Empty'
import { Load } from './Load'

const Preview = lazy(() => import('./preview/Preview').then((m) => ({ default: m.Preview })))

interface Props {
  /** The files of a folder; '' is the top. */
  list: (path: string) => UseQueryOptions<List<FileInfo>>
  /** The address of a file's content, without the query. */
  content: string
  /** The address of the beginning of a file. */
  preview: string
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
      <section className="panel min-h-40">{open ? <Suspense fallback={<Skeleton rows={5} />}><Preview key={open} path={open} content={content} preview={preview} /></Suspense> : <p className="text-3 p-3.5">Choose a file to see it.</p>}</section>
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
