import { useEffect } from 'react'
import { createStore, useStore } from '@/lib/store'

const now = createStore(Date.now())
let users = 0
let timer: ReturnType<typeof setInterval> | undefined

/** The time of the page, renewed every ten seconds for all who show it. */
export function useNow(): number {
  useEffect(() => {
    if (users++ === 0) {
      now.set(Date.now())
      timer = setInterval(() => now.set(Date.now()), 10_000)
    }
    return () => {
      if (--users === 0) clearInterval(timer)
    }
  }, [])
  return useStore(now)
}
