package transfer

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
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// Server says how to reach an MLflow server.
type Server struct {
	URL                       string
	Token, Username, Password string // as MLFLOW_TRACKING_TOKEN, _USERNAME and _PASSWORD
	Workspace                 string // of MLflow 3; empty for the default one
	Bearer                    string // of this product, when it is the one that is called
}

// caller speaks MLflow's REST. Every answer is bounded; what may be asked again is asked again when the server stumbles.
type caller struct {
	base string
	o    Server
	http *http.Client
}

// Bounds of the calls to a foreign server.
const (
	maxAnswer   = 256 << 20 // bytes of one JSON answer
	attempts    = 4
	headTimeout = 5 * time.Minute // until an answer begins: a large search takes MLflow a minute
)

func newCaller(o Server) (*caller, error) {
	u, err := url.Parse(o.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errs.Invalidf("transfer.server", "%.200q is not the address of a server", o.URL).WithHint("expected something like http://127.0.0.1:5000")
	}
	if u.User != nil {
		return nil, errs.Invalidf("transfer.server", "the address holds a user name or password").WithHint("set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead")
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, TLSHandshakeTimeout: 10 * time.Second,
		ResponseHeaderTimeout: headTimeout, MaxIdleConnsPerHost: 2 * workers, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10}
	return &caller{base: strings.TrimRight(o.URL, "/"), o: o, http: &http.Client{Transport: t}}, nil
}

// remoteError is an answer of an MLflow server that is not a success.
type remoteError struct {
	status        int
	code, message string
	call          string
}

func (e *remoteError) Error() string {
	return fmt.Sprintf("%s answered %d %s: %.500s", e.call, e.status, e.code, e.message)
}

func isMissing(err error) bool {
	var r *remoteError
	return errors.As(err, &r) && r.status == http.StatusNotFound
}

func hasCode(err error, code string) bool {
	var r *remoteError
	return errors.As(err, &r) && r.code == code
}

// do sends one request; body may be nil. The caller closes the answer.
func (c *caller) do(ctx context.Context, method, path string, q url.Values, body io.Reader, size int64) (*http.Response, error) {
	u := c.base + path
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	if size >= 0 {
		req.ContentLength = size
	}
	if size == 0 {
		req.Body = http.NoBody
	}
	req.Header.Set("User-Agent", "modelyard")
	switch {
	case c.o.Bearer != "":
		req.Header.Set("Authorization", "Bearer "+c.o.Bearer)
	case c.o.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.o.Token)
	case c.o.Username != "":
		req.SetBasicAuth(c.o.Username, c.o.Password)
	}
	if c.o.Workspace != "" && c.o.Workspace != space.Default { // the default one is that of servers without workspaces too
		req.Header.Set("X-MLFLOW-WORKSPACE", c.o.Workspace)
	}
	if _, isJSON := body.(*bytes.Reader); isJSON {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	var known *errs.Error
	if errors.As(err, &known) { // of the body that is sent
		return nil, known
	}
	if err != nil {
		return nil, errs.E(errs.Unavailable, "transfer.call", "no answer from "+c.base, err).WithHint("check the address and that the server runs")
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	e := &remoteError{status: resp.StatusCode, call: method + " " + path}
	var w struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
		Detail  string `json:"detail"`
	}
	if json.Unmarshal(b, &w) == nil {
		e.code, e.message = w.Code, w.Message+w.Detail
	} else {
		e.message = string(b)
	}
	if e.status == http.StatusUnauthorized || e.status == http.StatusForbidden {
		return nil, errs.E(errs.Unauthenticated, "transfer.call", c.base+" refuses us", e).WithHint("set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
	}
	return nil, e
}

// call sends JSON (nil for none) and reads JSON; it tries again when the server is busy or gone for a moment.
func (c *caller) call(ctx context.Context, method, path string, q url.Values, in, out any) error {
	var text []byte
	if in != nil {
		var err error
		if text, err = json.Marshal(in); err != nil {
			return err
		}
	}
	var err error
	for try := range attempts {
		if err = pause(ctx, try); err != nil {
			return err
		}
		if err = c.once(ctx, method, path, q, text, out); !transient(err) {
			return err
		}
	}
	return err
}

func (c *caller) once(ctx context.Context, method, path string, q url.Values, text []byte, out any) error {
	var body io.Reader
	size := int64(-1)
	if text != nil {
		body, size = bytes.NewReader(text), int64(len(text))
	}
	resp, err := c.do(ctx, method, path, q, body, size)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return errs.E(errs.Unavailable, "transfer.call", "the answer of "+c.base+" broke off", err)
	case len(b) > maxAnswer:
		return errs.E(errs.Exhausted, "transfer.call", "the answer of "+path+" is larger than "+strconv.Itoa(maxAnswer)+" bytes", nil)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return errs.E(errs.Invalid, "transfer.call", c.base+path+" does not answer as an MLflow server does", err).WithHint("check the address: it is the one that MLFLOW_TRACKING_URI would have")
	}
	return nil
}

// transient reports whether a call may succeed when it is made again.
func transient(err error) bool {
	var r *remoteError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.As(err, &r):
		return r.status == http.StatusTooManyRequests || r.status >= 500 && r.status != http.StatusNotImplemented
	}
	return errs.Is(err, errs.Unavailable)
}

// pause waits before an attempt: not at all before the first, then 200 ms, 800 ms and 3.2 s.
func pause(ctx context.Context, try int) error {
	if try == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(50 * time.Millisecond << (2 * try))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
