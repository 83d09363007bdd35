import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Skeleton } from './Empty'
import { ErrorBox } from './ErrorBox'

interface Props<T> {
  query: UseQueryResult<T>
  /** What could not be read, for the error: "the runs". */
  what: string
  skeleton?: ReactNode
  children: (data: T) => ReactNode
}

/** A query as a page shows it: skeleton, error with Retry, or its data; old data stays while new data loads. */
export function Load<T>({ query, what, skeleton = <Skeleton />, children }: Props<T>) {
  if (query.data !== undefined) {
    return (
      <>
        {query.error && <div className="px-3.5 py-2"><ErrorBox error={query.error} title={`Can't renew ${what}`} onRetry={() => void query.refetch()} /></div>}
        {children(query.data)}
      </>
    )
  }
  if (query.error) return <div className="px-3.5 py-3"><ErrorBox error={query.error} title={`Can't read ${what}`} onRetry={() => void query.refetch()} /></div>
  return skeleton
}
