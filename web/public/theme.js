// Runs before the first paint, so that a dark screen never flashes white. A file of its own: the policy allows no inline script.
;(function () {
  var choice = null
  try {
    choice = localStorage.getItem('modelyard.theme')
  } catch {
    // Storage can be switched off; the system's choice then holds.
  }
  var dark = choice === 'dark' || (choice !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
})()
