import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/react'
import { useState } from 'react'
import { afterEach, describe, expect, it } from 'vitest'
import { EditText } from './EditText'
import { toasts } from './toasts'

afterEach(() => {
  cleanup()
  toasts.set([])
})

function Example({ refuse }: { refuse?: boolean }) {
  const [value, setValue] = useState('')
  return <EditText name="note" value={value} placeholder="Nothing yet" save={async (text) => { if (refuse) throw new Error('the run is deleted'); setValue(text) }} />
}
const field = () => screen.getByRole('textbox', { name: 'note' })

describe('a text edited where it stands', () => {
  it('is kept with Ctrl Enter, and Undo brings back what was there', async () => {
    render(<Example />)
    fireEvent.click(screen.getByRole('button', { name: 'Nothing yet' }))
    fireEvent.change(field(), { target: { value: 'a **b**  \n' } })
    fireEvent.keyDown(field(), { key: 'Enter', ctrlKey: true })
    await waitFor(() => expect(screen.getByText('b').tagName).toBe('B'))
    const undo = toasts.get().at(-1)?.action
    expect(undo?.label).toBe('Undo')
    undo?.run()
    await waitFor(() => expect(screen.getByRole('button', { name: 'Nothing yet' })).toBeTruthy())
  })
  it('is given up with Esc', () => {
    render(<Example />)
    fireEvent.click(screen.getByRole('button', { name: 'Nothing yet' }))
    fireEvent.change(field(), { target: { value: 'half' } })
    fireEvent.keyDown(field(), { key: 'Escape' })
    expect(screen.getByRole('button', { name: 'Nothing yet' })).toBeTruthy()
  })
  it('stays open with the reason when it is refused', async () => {
    render(<Example refuse />)
    fireEvent.click(screen.getByRole('button', { name: 'Nothing yet' }))
    fireEvent.change(field(), { target: { value: 'x' } })
    fireEvent.keyDown(field(), { key: 'Enter', metaKey: true })
    await waitFor(() => expect(screen.getByRole('alert').textContent).toContain('the run is deleted'))
    expect((field() as HTMLTextAreaElement).value).toBe('x')
  })
})
