// Package ui serves the embedded web application.
package ui

import (
	"embed"
	"net/http"
)

//go:embed all:dist
var dist embed.FS

// Handler serves the web application.
func Handler() http.Handler { return http.FileServerFS(dist) }
