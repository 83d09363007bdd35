import { createElement, Fragment, type ReactNode } from 'react'

/** Markdown as React elements; nothing of the text is ever taken for HTML. Covers what model cards and notes use. `under` lowers its headings by so many levels, below those of the page. */
export function Markdown({ text, under = 0 }: { text: string; under?: number }) {
  return <div className="md">{blocks(text.replaceAll('\r\n', '\n').split('\n'), under)}</div>
}

function blocks(lines: string[], under: number): ReactNode[] {
  const out: ReactNode[] = []
  let i = 0
  const take = (test: (line: string) => boolean): string[] => {
    const from = i
    while (i < lines.length && test(lines[i]!)) i++
    return lines.slice(from, i)
  }
  while (i < lines.length) {
    const line = lines[i]!
    const key = i
    const heading = /^(#{1,6})\s+(.*)$/.exec(line)
    if (line.trim() === '') i++
    else if (heading) {
      i++
      out.push(createElement(`h${Math.min(6, heading[1]!.length + under)}`, { key }, inline(heading[2]!)))
    } else if (/^(```|~~~)/.test(line)) {
      i++
      const fence = line.slice(0, 3)
      const code = take((l) => !l.startsWith(fence))
      i++
      out.push(<pre key={key}>{code.join('\n')}</pre>)
    } else if (/^\s*([-*+]|\d+[.)])\s+/.test(line)) {
      const ordered = /^\s*\d/.test(line)
      const items = take((l) => /^\s*([-*+]|\d+[.)])\s+/.test(l) || /^\s{2,}\S/.test(l))
      const joined: string[] = []
      for (const item of items) {
        if (/^\s*([-*+]|\d+[.)])\s+/.test(item)) joined.push(item.replace(/^\s*([-*+]|\d+[.)])\s+/, ''))
        else joined[joined.length - 1] += ` ${item.trim()}`
      }
      out.push(createElement(ordered ? 'ol' : 'ul', { key }, joined.map((item, j) => <li key={j}>{inline(item)}</li>)))
    } else if (line.startsWith('>')) {
      out.push(<blockquote key={key}>{blocks(take((l) => l.startsWith('>')).map((l) => l.replace(/^>\s?/, '')), under)}</blockquote>)
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      i++
      out.push(<hr key={key} className="border-border" />)
    } else if (line.includes('|') && /^\s*\|?\s*:?-+/.test(lines[i + 1] ?? '')) {
      out.push(table(take((l) => l.includes('|')), key))
    } else {
      const paragraph = take((l) => l.trim() !== '' && !/^(#{1,6}\s|```|~~~|>|\s*[-*+]\s)/.test(l))
      if (paragraph.length === 0) paragraph.push(lines[i++]!)
      out.push(<p key={key}>{inline(paragraph.join(' '))}</p>)
    }
  }
  return out
}

function table(lines: string[], key: number): ReactNode {
  const cells = (line: string) => line.trim().replace(/^\||\|$/g, '').split('|').map((c) => c.trim())
  const [head = '', , ...rows] = lines
  return (
    <table key={key}>
      <thead><tr>{cells(head).map((c, i) => <th key={i}>{inline(c)}</th>)}</tr></thead>
      <tbody>{rows.map((r, i) => <tr key={i}>{cells(r).map((c, j) => <td key={j}>{inline(c)}</td>)}</tr>)}</tbody>
    </table>
  )
}

const marks = /(`[^`]+`)|(\*\*[^*]+\*\*|__[^_]+__)|(\*[^*\s][^*]*\*|\b_[^_]+_\b)|(\[[^\]]+\]\([^)\s]+\))|(https?:\/\/[^\s<>)]+)/

function inline(text: string): ReactNode {
  const found = marks.exec(text)
  if (!found) return text
  const [part] = found
  const before = text.slice(0, found.index)
  const after = text.slice(found.index + part.length)
  let node: ReactNode
  if (found[1]) node = <code>{part.slice(1, -1)}</code>
  else if (found[2]) node = <b>{inline(part.slice(2, -2))}</b>
  else if (found[3]) node = <em>{inline(part.slice(1, -1))}</em>
  else if (found[4]) {
    const [, label = '', href = ''] = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(part) ?? []
    node = /^(https?:|\/|#)/i.test(href) ? <Outside href={href}>{label}</Outside> : label
  } else node = <Outside href={part}>{part}</Outside>
  return <Fragment>{before}{node}{inline(after)}</Fragment>
}

function Outside({ href, children }: { href: string; children: ReactNode }) {
  return <a className="link" href={href} target="_blank" rel="noreferrer noopener">{children}</a>
}
