// The address holds what was chosen: a reload, the back button and a copied link show the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open, settled } from '../lib/browser.mjs'
import { comes, within } from '../lib/within.mjs'

test('address: sort of a list stays after a reload', within(async (page) => {
  await open(page, '/experiments')
  const head = page.getByRole('columnheader', { name: 'Experiment' })
  await head.getByRole('button').click()
  await head.getByRole('button').click()
  await page.waitForURL('**/experiments?sort=-name')
  const shown = () => page.locator('tbody tr[data-row] td:first-child').allInnerTexts()
  const names = (await shown()).toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true, sensitivity: 'base' }))
  await comes(shown, names)
  await page.reload()
  await settled(page)
  await comes(() => head.getAttribute('aria-sort'), 'descending')
  await page.waitForFunction((n) => document.querySelectorAll('tbody tr[data-row]').length === n, names.length)
  await comes(shown, names)
}))

test('address: tabs are steps of the history, and back leads through them', within(async (page) => {
  await open(page, '/endpoints')
  await page.getByRole('link', { name: 'bike-demand', exact: true }).first().click()
  await page.waitForURL('**/endpoints/bike-demand')
  const tabs = page.getByRole('navigation', { name: 'Parts of this page' })
  await tabs.getByRole('link', { name: /Versions/ }).click()
  await page.getByRole('table', { name: 'Loaded versions' }).waitFor()
  await tabs.getByRole('link', { name: /History/ }).click()
  await page.getByRole('table', { name: 'Route changes' }).waitFor()
  await page.reload()
  await page.getByRole('table', { name: 'Route changes' }).waitFor()
  await page.goBack()
  await page.getByRole('table', { name: 'Loaded versions' }).waitFor()
  assert.match(page.url(), /\?tab=versions$/)
  await page.goBack()
  await page.getByRole('heading', { name: 'Traffic' }).waitFor()
  await page.goBack()
  await page.waitForURL('**/endpoints')
}))

test('address: a window and a feature of the monitor survive a copied link', within(async (page, api) => {
  const { items } = await api.get('/api/v1/monitors/bike-demand/windows?limit=60')
  const window = await api.get(`/api/v1/monitors/bike-demand/windows/${items[Math.floor(items.length / 2)].id}`)
  const feature = window.features[0].name
  await open(page, `/monitors/bike-demand?window=${window.id}&feature=${feature}`)
  await page.locator('tr[data-row]').filter({ has: page.locator('button[aria-expanded=true]') }).getByText(feature, { exact: true }).waitFor()
  await page.reload()
  await page.locator('tr[data-row]').filter({ has: page.locator('button[aria-expanded=true]') }).getByText(feature, { exact: true }).waitFor()
}))

test('address: nonsense in a link opens the page in its usual state', within(async (page) => {
  await open(page, '/experiments?sort=-&find=%00%00')
  await open(page, '/endpoints/bike-demand?tab=nothing&range=900y&zoom=a..b')
  await page.getByRole('heading', { name: 'Traffic' }).waitFor()
  await open(page, '/monitors/bike-demand?windows=-4&order=sideways')
  await page.getByRole('table', { name: 'Features' }).waitFor()
}))
