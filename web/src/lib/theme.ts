import { createStore } from './store'

export type ThemeChoice = 'light' | 'dark' | 'system'

const key = 'modelyard.theme'
const media = typeof matchMedia === 'function' ? matchMedia('(prefers-color-scheme: dark)') : undefined

function stored(): ThemeChoice {
  try {
    const value = localStorage.getItem(key)
    return value === 'light' || value === 'dark' ? value : 'system'
  } catch {
    return 'system'
  }
}

function resolve(choice: ThemeChoice): 'light' | 'dark' {
  if (choice !== 'system') return choice
  return media?.matches ? 'dark' : 'light'
}

export const themeChoice = createStore<ThemeChoice>(stored())
export const theme = createStore<'light' | 'dark'>(resolve(themeChoice.get()))

function apply(): void {
  theme.set(resolve(themeChoice.get()))
  document.documentElement.dataset.theme = theme.get()
}

export function setTheme(choice: ThemeChoice): void {
  try {
    localStorage.setItem(key, choice)
  } catch {
    // Without storage the choice holds until the tab closes.
  }
  themeChoice.set(choice)
  apply()
}

/** Follows the system while that is the choice. */
export function followSystem(): void {
  media?.addEventListener('change', apply)
}
