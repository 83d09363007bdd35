// Package ui serves the web application that is embedded in the binary.
//
// `npm run build` in web/ writes it to dist/, which is not committed; only dist/.gitkeep is, so that the package
// always compiles. A binary built without the application serves one page that says how to build it.
package ui
