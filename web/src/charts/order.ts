/** Text by letter, with numbers inside it by size: "v2" before "v10". */
export function compareText(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true, sensitivity: 'base' })
}
