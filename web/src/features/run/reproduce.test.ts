import { describe, expect, it } from 'vitest'
import type { Run } from '@/lib/api/types'
import { byPrefix, gaps, reproduce, safeRepository } from './reproduce'

const run = (over: Partial<Run>): Run => ({ id: 'a', experiment_id: '1', name: 'n', status: 'FINISHED', lifecycle: 'active', start_time: '2026-01-01T00:00:00Z', metrics: {}, params: {}, tags: {}, ...over })
const known = { server: 'http://localhost:5000' }

describe('how to reproduce', () => {
  it('says only what the run told', () => {
    expect(reproduce(run({}), known)).toEqual([])
    expect(gaps(run({}), known)).toHaveLength(3)
  })
  it('goes from the code to the run', () => {
    const r = run({ commit: '9f31', source: '/home/ann/train.py', tags: { 'mlflow.source.git.repoURL': 'https://ann:secret@git.example.org/bikes.git' }, inputs: [{ name: 'x', digest: 'd', source: 'http://h/api/v1/datasets/trips/versions/41/data' }] })
    const steps = reproduce(r, { ...known, requirements: 'models:/m-1/requirements.txt' })
    expect(steps.flatMap((s) => s.commands)).toEqual([
      'git clone https://git.example.org/bikes.git && cd bikes', 'git checkout 9f31', 'python -m venv .venv && . .venv/bin/activate', 'mlflow artifacts download -u models:/m-1/requirements.txt -d .', 'pip install -r requirements.txt',
      'modelyard dataset pull trips@41', 'export MLFLOW_TRACKING_URI=http://localhost:5000', 'python train.py',
    ])
    expect(gaps(r, { ...known, requirements: 'x' })).toEqual([])
  })
  it('takes a project by its entry point, and nothing of a run becomes a command of its own', () => {
    const r = run({ params: { depth: '8', evil: '$(rm -rf /)', long: 'x'.repeat(100) }, tags: { 'mlflow.project.entryPoint': 'main; reboot', 'mlflow.source.git.commit': '9f31' } })
    expect(reproduce(r, known).at(-1)?.commands.at(-1)).toBe("mlflow run . -e 'main; reboot' --experiment-id 1 -P depth=8 -P 'evil=$(rm -rf /)'")
  })
  it('takes the command of a step as it was', () => {
    expect(reproduce(run({ source: 'python train.py' }), known).at(-1)?.commands.at(-1)).toBe('python train.py')
    expect(reproduce(run({ source: 'python -c x.py' }), known)).toEqual([])
  })
  it('takes no option from a tag', () => expect(reproduce(run({ tags: { 'mlflow.source.git.commit': '--orphan' } }), known)).toEqual([]))
  it('shows no password', () => expect(safeRepository('https://x:y@h/r')).toBe('https://h/r'))
})

describe('charts', () => {
  it('are grouped by prefix, the machine last', () => {
    expect(byPrefix(['system/cpu', 'train/a', 'loss', 'train/b', 'acc']).map((g) => [g.name, g.keys])).toEqual([['', ['loss', 'acc']], ['train', ['train/a', 'train/b']], ['system', ['system/cpu']]])
  })
})
