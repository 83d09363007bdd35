import { rangeWords, type RangeName } from '@/lib/url'
import { Segmented } from './Segmented'

export function TimeRange({ value, options, onChange }: { value: RangeName | 'custom'; options: readonly RangeName[]; onChange: (v: RangeName) => void }) {
  const items: { value: RangeName | 'custom'; label: string }[] = options.map((o) => ({ value: o, label: rangeWords[o] }))
  if (value === 'custom') items.push({ value: 'custom', label: 'Zoomed' })
  return <Segmented small label="Time range" value={value} options={items} onChange={(v) => v !== 'custom' && onChange(v)} />
}
