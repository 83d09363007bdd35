// Package client is the Go client of Modelyard's native API. The command line and the tests use it; so can you.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultServer is where a server on the same machine answers.
const DefaultServer = "http://127.0.0.1:5000"

// Client talks to one server. Safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
	trace io.Writer
}

// Options of a Client.
type Options struct {
	Server string    // default DefaultServer
	Token  string    // sent as a bearer token when set
	Trace  io.Writer // if set, requests and statuses are written to it, secrets hidden
}

// New makes a client.
func New(o Options) (*Client, error) {
	if o.Server == "" {
		o.Server = DefaultServer
	}
	u, err := url.Parse(o.Server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, &Error{Kind: "invalid", Message: fmt.Sprintf("%q is not a server address", o.Server), Hint: "expected something like " + DefaultServer}
	}
	return &Client{base: strings.TrimRight(o.Server, "/"), token: o.Token, http: &http.Client{}, trace: o.Trace}, nil
}

// Server is the address this client talks to.
func (c *Client) Server() string { return c.base }

// Field is one wrong field of an input.
type Field struct {
	Name    string `json:"field"`
	Message string `json:"message"`
}

// Error is an answer that is not a success. Kind is one of invalid, unauthenticated, forbidden, not_found, conflict, precondition,
// exhausted, unavailable, internal, or unreachable when no server answered.
type Error struct {
	Kind      string  `json:"kind"`
	Message   string  `json:"message"`
	Hint      string  `json:"hint,omitempty"`
	RequestID string  `json:"request_id,omitempty"`
	Fields    []Field `json:"errors,omitempty"`
	Status    int     `json:"status,omitempty"`
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s: %s", f.Name, f.Message)
	}
	return b.String()
}

// IsNotFound reports whether err says that a thing is not there.
func IsNotFound(err error) bool { return KindOf(err) == "not_found" }

// KindOf is the kind of a client error, or "".
func KindOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// Request is a call with everything that can be set.
type Request struct {
	Method      string
	Path        string // below the server, starting with /
	Query       url.Values
	JSON        any       // body as JSON
	Body        io.Reader // or a raw body
	ContentType string    // of a raw body
	Header      http.Header
}

// Do sends r and gives the response of a success; close its body. Any other status is an *Error.
func (c *Client) Do(ctx context.Context, r Request) (*http.Response, error) {
	body := r.Body
	if r.JSON != nil {
		b, err := json.Marshal(r.JSON)
		if err != nil {
			return nil, err
		}
		body, r.ContentType = bytes.NewReader(b), "application/json"
	}
	u := c.base + r.Path
	if len(r.Query) > 0 {
		u += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, u, body)
	if err != nil {
		return nil, err
	}
	for k, v := range r.Header {
		req.Header[k] = v
	}
	if r.ContentType != "" {
		req.Header.Set("Content-Type", r.ContentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	start := time.Now()
	resp, err := c.http.Do(req)
	if c.trace != nil {
		status := "no answer"
		if resp != nil {
			status = resp.Status
		}
		_, _ = fmt.Fprintf(c.trace, "%s %s -> %s (%s)\n", r.Method, u, status, time.Since(start).Round(time.Millisecond))
	}
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode >= 300 {
		defer func() { _ = resp.Body.Close() }()
		return nil, problem(resp)
	}
	return resp, nil
}

func (c *Client) unreachable(err error) error {
	var op *net.OpError
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.As(err, &op) || errors.Is(err, io.EOF) {
		return &Error{Kind: "unreachable", Message: "no server answers at " + c.base, Hint: "start one with `modelyard up`, or name it with --server or MODELYARD_SERVER"}
	}
	return err
}

func problem(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var p struct {
		Detail    string  `json:"detail"`
		Kind      string  `json:"kind"`
		Hint      string  `json:"hint"`
		RequestID string  `json:"request_id"`
		Errors    []Field `json:"errors"`
	}
	if json.Unmarshal(b, &p) != nil || p.Kind == "" {
		p.Kind, p.Detail = "internal", fmt.Sprintf("the server answered %s", resp.Status)
	}
	return &Error{Kind: p.Kind, Message: p.Detail, Hint: p.Hint, RequestID: p.RequestID, Fields: p.Errors, Status: resp.StatusCode}
}

// Call sends r and decodes the JSON answer into out, unless out is nil.
func (c *Client) Call(ctx context.Context, r Request, out any) error {
	resp, err := c.Do(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if out == nil || resp.StatusCode == http.StatusNoContent {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return &Error{Kind: "internal", Message: "the server's answer is not the JSON that was expected: " + err.Error()}
	}
	return nil
}

// Get reads path into out.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	return c.Call(ctx, Request{Method: http.MethodGet, Path: path, Query: query}, out)
}

// Send sends a JSON body with a method and decodes the answer into out.
func (c *Client) Send(ctx context.Context, method, path string, in, out any) error {
	return c.Call(ctx, Request{Method: method, Path: path, JSON: in}, out)
}

// P joins path segments, each escaped: P("api/v1/models", name).
func P(prefix string, segments ...string) string {
	var b strings.Builder
	b.WriteString("/" + strings.Trim(prefix, "/"))
	for _, s := range segments {
		b.WriteString("/" + url.PathEscape(s))
	}
	return b.String()
}
