package ui

import (
	"bytes"
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed all:dist
var embedded embed.FS

//go:embed fallback.html
var fallback []byte

// policy lets a page load and talk to its own server and nothing else. Scripts and styles are files; none are
// inline, so neither needs an exception. Pictures may also come from the page itself (a chart saved as PNG, a preview).
const policy = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"

// immutable is for files whose name holds the hash of what is in them.
const immutable = "public, max-age=31536000, immutable"

// Handler serves the embedded application. Addresses that name no file are pages of the application and get
// index.html; the paths of APIs must be routed before they come here.
func Handler() http.Handler {
	dist, err := fs.Sub(embedded, "dist")
	if err != nil {
		// fs.Sub refuses only an invalid path, and "dist" is none.
		panic(err)
	}
	return New(dist)
}

// Built tells whether the application is in this binary.
func Built() bool {
	_, err := fs.Stat(embedded, "dist/index.html")
	return err == nil
}

// New serves an application from dist, read once: the files of a build do not change.
func New(dist fs.FS) http.Handler {
	h := &handler{dist: dist}
	h.index, _ = fs.ReadFile(dist, "index.html")
	return h
}

type handler struct {
	dist  fs.FS
	index []byte
}

// ServeHTTP answers GET and HEAD.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", policy)
	header.Set("Referrer-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "The web pages answer GET and HEAD only.", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	switch {
	case name == "" || name == "index.html":
		h.page(w, r)
	case hidden(name):
		http.NotFound(w, r)
	case h.file(w, r, name):
	case strings.HasPrefix(name, "assets/"):
		// A file of another build. Answering with a page would be taken for a broken script.
		http.NotFound(w, r)
	default:
		h.page(w, r)
	}
}

// hidden tells files that are no part of the application: its manifest, its packed copies, .gitkeep.
func hidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return true
		}
	}
	return strings.HasSuffix(name, ".br") || strings.HasSuffix(name, ".gz")
}

func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	body, status := h.index, http.StatusOK
	if body == nil {
		body, status = fallback, http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	write(w, r, status, body)
}

// file writes the file called name, packed as the client likes; false when there is none.
func (h *handler) file(w http.ResponseWriter, r *http.Request, name string) bool {
	info, err := fs.Stat(h.dist, name)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	header := w.Header()
	body, encoding := h.packed(name, r.Header.Get("Accept-Encoding"))
	if body == nil {
		if body, err = fs.ReadFile(h.dist, name); err != nil {
			return false
		}
	}
	header.Add("Vary", "Accept-Encoding")
	if encoding != "" {
		header.Set("Content-Encoding", encoding)
	}
	kind := mime.TypeByExtension(path.Ext(name))
	if kind == "" {
		kind = "application/octet-stream"
	}
	header.Set("Content-Type", kind)
	if strings.HasPrefix(name, "assets/") {
		header.Set("Cache-Control", immutable)
	} else {
		header.Set("Cache-Control", "no-cache")
	}
	write(w, r, http.StatusOK, body)
	return true
}

// packed gives the best stored copy that the client takes.
func (h *handler) packed(name, accepted string) (body []byte, encoding string) {
	for _, c := range []struct{ ext, encoding string }{{".br", "br"}, {".gz", "gzip"}} {
		if !accepts(accepted, c.encoding) {
			continue
		}
		if data, err := fs.ReadFile(h.dist, name+c.ext); err == nil {
			return data, c.encoding
		}
	}
	return nil, ""
}

// accepts reads an Accept-Encoding header (RFC 9110, section 12.5.3) as far as one encoding goes.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), encoding) {
			continue
		}
		_, q, found := strings.Cut(weight, "q=")
		if !found {
			return true
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return err == nil && value > 0
	}
	return false
}

func write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	// The client went away; there is nobody to tell.
	_, _ = bytes.NewReader(body).WriteTo(w)
}
