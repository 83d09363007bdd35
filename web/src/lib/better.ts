// The direction of metrics as the page knows it: charts and tables below it ask here instead of guessing from names.
import { createContext, useContext } from 'react'
import { lowerIsBetter, type Better } from './metrics'

const Directions = createContext<Better>(lowerIsBetter)

/** Lays what was declared over a part of a page. */
export const BetterProvider = Directions.Provider

export function useBetter(): Better {
  return useContext(Directions)
}

/** "lower is better", as charts say it; nothing where it is not known. */
export function betterWords(lower: boolean | undefined): string {
  return lower === undefined ? '' : lower ? 'lower is better' : 'higher is better'
}
