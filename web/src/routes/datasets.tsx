import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo, type ReactNode } from 'react'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Dataset } from '@/lib/api/types'
import { bytes, count, plural } from '@/lib/format'
import { href } from '@/lib/href'
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

const route = getRouteApi('/datasets')

const columns: Column<Dataset>[] = [
  { id: 'name', header: 'Dataset', cell: (d) => <Go to={href.dataset(d.name)} className="strong">{d.name}</Go>, value: (d) => d.name },
  { id: 'version', header: 'Latest', cell: (d) => (d.latest_version ? <span className="mono">v{d.latest_version}</span> : ''), value: (d) => d.latest_version, width: 90 },
  { id: 'versions', header: 'Versions', num: true, cell: (d) => count(d.versions_count), value: (d) => d.versions_count, width: 100 },
  { id: 'rows', header: 'Rows', num: true, cell: (d) => count(d.rows), value: (d) => d.rows, width: 110 },
  { id: 'size', header: 'Size', num: true, cell: (d) => bytes(d.size_bytes), value: (d) => d.size_bytes, width: 110 },
  { id: 'contract', header: 'Contract', cell: (d) => (d.contract ? <Tag>checked</Tag> : ''), width: 110 },
  { id: 'description', header: 'Description', cell: (d) => <span className="text-2 inline-block max-w-[360px] clip align-bottom" title={d.description}>{d.description}</span> },
  { id: 'updated', header: 'Changed', cell: (d) => <Time at={d.updated_at ?? d.created_at} />, value: (d) => d.updated_at ?? d.created_at, width: 130 },
]

export function Datasets(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const go = useGo()
  const query = useQuery(q.datasets())
  const items = query.data?.items
  const shown = useMemo(() => rank(search.find ?? '', items ?? [], (d) => `${d.name} ${d.description ?? ''}`, (d) => d.name), [items, search.find])
  return (
    <Page title="Datasets" verdict={items && items.length > 0 ? <><b>{plural(items.length, 'dataset')}</b>. A version never changes: runs, gates and monitors refer to it by number and digest.</> : undefined}>
      <div className="flex mb-3"><FilterBox value={search.find ?? ''} placeholder="Find a dataset" onChange={(find) => void navigate({ search: (s) => ({ ...s, find: find || undefined }), replace: true })} /></div>
      <section className="panel">
        <Load query={query} what="the datasets" skeleton={<Skeleton rows={6} />}>
          {(d) => d.items.length === 0
            ? <Empty title="No dataset yet" command={cli.pushData('bike', 'rides.csv', { target: 'rentals', timeColumn: 'time' })}>A dataset version is profiled, checked against its contract, and becomes the baseline that monitors compare with.</Empty>
            : <DataTable label="Datasets" columns={columns} rows={shown} rowKey={(x) => x.name} sort={parseSort(search.sort)} onSort={(s) => void navigate({ search: (o) => ({ ...o, sort: sortText(s) }), replace: true })} onOpen={(x) => go(href.dataset(x.name))} />}
        </Load>
      </section>
    </Page>
  )
}
