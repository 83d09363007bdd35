import { expect, it } from 'vitest'
import { best, lowerIsBetter, mainMetric, metricName } from './metrics'

it('reads the direction from the name', () => {
  for (const name of ['val_mae', 'rmse', 'train-l1', 'loss', 'val/loss', 'p95_latency']) expect(lowerIsBetter(name), name).toBe(true)
  for (const name of ['auc', 'val_accuracy', 'r2', 'f1', 'test/roc_auc']) expect(lowerIsBetter(name), name).toBe(false)
  for (const name of ['epoch', 'lr', 'rows']) expect(lowerIsBetter(name), name).toBeUndefined()
})

it('shows a validation error first', () => {
  expect(mainMetric(['train_mae', 'epoch', 'val_mae', 'system/cpu'])).toBe('val_mae')
  expect(mainMetric(['epoch', 'train_mae'])).toBe('train_mae')
  expect(mainMetric(['system/cpu'])).toBeUndefined()
})

it('finds the best run, and none where the direction is not known', () => {
  const runs = [{ metrics: { mae: 3, n: 1 } }, { metrics: { mae: 2, n: 2 } }, { metrics: { mae: null } }, { metrics: {} }] as { metrics: Record<string, number | null> }[]
  expect(best(runs, 'mae')).toBe(runs[1])
  expect(best(runs, 'n')).toBeUndefined()
  expect(best(runs, 'auc')).toBeUndefined()
})

it('speaks abbreviations', () => {
  expect(metricName('mae')).toBe('MAE')
  expect(metricName('train_loss')).toBe('train_loss')
})
