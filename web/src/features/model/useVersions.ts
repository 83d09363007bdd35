import { useQueries, useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { q } from '@/lib/api/queries'
import type { Version } from '@/lib/api/types'

/**
 * The newest versions of a model or prompt, the newest first, and those that are named: a link or an alias may lead to one that is older than
 * a list holds.
 */
export function useVersions(name: string, named: readonly (string | undefined)[]) {
  const list = useQuery(q.versions(name))
  const newest = list.data?.items
  const further = [...new Set(named)].filter((v): v is string => v !== undefined && newest !== undefined && !newest.some((o) => o.version === v))
  const found = useQueries({ queries: further.map((v) => ({ ...q.version(name, v), retry: false })) })
  const stamp = found.map((f) => f.dataUpdatedAt).join()
  const versions = useMemo<Version[]>(
    () => [...(newest ?? []), ...found.flatMap((f) => f.data ?? [])].sort((a, b) => Number(b.version) - Number(a.version)),
    // The answers are told apart by when they came.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [newest, stamp],
  )
  const at = (version: string | undefined) => found[version === undefined ? -1 : further.indexOf(version)]
  return {
    list, versions,
    /** Whether a named version is still on its way, and whether there is none. */
    awaits: (version: string | undefined) => at(version)?.isPending ?? false,
    lacks: (version: string | undefined) => at(version)?.isError ?? false,
  }
}
