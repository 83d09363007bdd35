import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { useMemo, type ReactNode } from 'react'
import { Editor } from '@/features/prompt/Editor'
import { ownTags } from '@/features/prompt/text'
import { q } from '@/lib/api/queries'
import type { Model } from '@/lib/api/types'
import { plural } from '@/lib/format'
import { href } from '@/lib/href'
import { useKeys } from '@/lib/keys'
import { rank } from '@/lib/search'
import { parseSort, sortText } from '@/lib/url'
import { DataTable, type Column } from '@/ui/DataTable'
import { Empty, Skeleton } from '@/ui/Empty'
import { FilterBox } from '@/ui/FilterBox'
import { Go, useGo } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Page } from '@/ui/Page'
import { Tag } from '@/ui/Status'
import { Time } from '@/ui/Time'

const route = getRouteApi('/prompts')

const columns: Column<Model>[] = [
  { id: 'name', header: 'Prompt', cell: (m) => <Go to={href.prompt(m.name)} className="strong">{m.name}</Go>, value: (m) => m.name },
  { id: 'aliases', header: 'Aliases', cell: (m) => <span className="flex gap-1.5">{Object.entries(m.aliases).map(([a, v]) => <Tag key={a} {...(a === 'production' || a === 'champion' ? { look: 'accent' as const } : {})}>@{a} v{v}</Tag>)}</span> },
  { id: 'versions', header: 'Versions', num: true, cell: (m) => m.versions_count, value: (m) => m.versions_count },
  { id: 'tags', header: 'Tags', from: 720, cell: (m) => <span className="flex gap-1.5">{ownTags(m.tags).slice(0, 4).map(([k, v]) => <Tag key={k} look="line">{k}: {v}</Tag>)}</span> },
  { id: 'description', header: 'Description', from: 860, cell: (m) => <span className="text-2 inline-block max-w-[320px] clip align-bottom" title={m.description}>{m.description}</span> },
  { id: 'updated', header: 'Changed', cell: (m) => <Time at={m.updated_at} />, value: (m) => m.updated_at },
]

export function Prompts(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const go = useGo()
  const query = useQuery(q.prompts())
  const items = query.data?.items
  const shown = useMemo(() => rank(search.find ?? '', items ?? [], (m) => `${m.name} ${m.description ?? ''} ${Object.keys(m.aliases).join(' ')} ${ownTags(m.tags).flat().join(' ')}`, (m) => m.name), [items, search.find])
  const live = items?.filter((m) => Object.keys(m.aliases).length > 0).length ?? 0
  const write = () => void navigate({ search: (s) => ({ ...s, new: true }) })
  useKeys([{ keys: 'n', label: 'Write a prompt', run: write }], !search.new)
  if (search.new) return <Page crumbs={[{ label: 'Prompts', to: '/prompts' }]} title="New prompt" verdict="A prompt has versions that never change, and aliases that applications load it by."><Editor versions={[]} aliases={{}} onClose={() => void navigate({ search: {} })} /></Page>
  return (
    <Page title="Prompts" actions={<button type="button" className="btn pri" onClick={write}><Plus size={14} />New prompt</button>} verdict={items && items.length > 0 ? <><b>{plural(items.length, 'prompt')}</b>, {live === 0 ? 'none with' : live === items.length ? 'all with' : `${live} with`} an alias that applications load by.</> : undefined}>
      {items && items.length > 0 && <div className="flex mb-3"><FilterBox value={search.find ?? ''} placeholder="Find a prompt" onChange={(find) => void navigate({ search: (s) => ({ ...s, find: find || undefined }), replace: true })} /></div>}
      <section className="panel">
        <Load query={query} what="the prompts" skeleton={<Skeleton rows={6} />}>
          {(d) => d.items.length === 0
            ? <Empty title="No prompt yet" command='mlflow.genai.register_prompt(name="support-answer", template="Answer {{ question }} in two sentences.")'>A prompt has versions that never change, aliases that applications load it by, and a difference between any two of them. <button type="button" className="link" onClick={write}>Write one here</button>, or register it from code:</Empty>
            : <DataTable label="Prompts" columns={columns} rows={shown} rowKey={(m) => m.name} sort={parseSort(search.sort)} onSort={(s) => void navigate({ search: (o) => ({ ...o, sort: sortText(s) }), replace: true })} onOpen={(m) => go(href.prompt(m.name))} />}
        </Load>
      </section>
    </Page>
  )
}
