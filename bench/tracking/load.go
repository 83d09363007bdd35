package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one keep-alive HTTP connection. It does what a server is asked here and no more: net/http's client would take as much of the
// shared cores as a server.
type conn struct {
	addr string
	c    net.Conn
	r    *bufio.Reader
	out  []byte // the request
	in   []byte // the answer
}

func dial(ctx context.Context, addr string) (*conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{addr: addr, c: c, r: bufio.NewReaderSize(c, 64<<10)}, nil
}

// do sends a request and reads the answer to its end. A nil sink keeps the body, until the next request.
func (k *conn) do(method, path string, body []byte, sink io.Writer) (status int, out []byte, err error) {
	k.out = append(append(append(append(append(k.out[:0], method...), ' '), path...), " HTTP/1.1\r\nHost: "...), k.addr...)
	k.out = append(k.out, "\r\nContent-Type: application/json\r\n"...)
	if method != http.MethodGet {
		k.out = append(strconv.AppendInt(append(k.out, "Content-Length: "...), int64(len(body)), 10), "\r\n"...)
	}
	k.out = append(k.out, "\r\n"...)
	if len(body) < 1<<20 {
		k.out, body = append(k.out, body...), nil
	}
	if _, err := k.c.Write(k.out); err != nil {
		return 0, nil, err
	}
	if len(body) > 0 {
		if _, err := k.c.Write(body); err != nil {
			return 0, nil, err
		}
	}
	status, length, err := k.head()
	switch {
	case err != nil:
		return 0, nil, err
	case sink != nil && length >= 0:
		_, err = io.CopyN(sink, k.r, length)
		return status, nil, err
	case length >= 0:
		k.in = slices.Grow(k.in[:0], int(length))[:length]
		_, err = io.ReadFull(k.r, k.in)
		return status, k.in, err
	}
	var all bytes.Buffer
	if sink == nil {
		sink = &all
	}
	if _, err = io.Copy(sink, httputil.NewChunkedReader(k.r)); err == nil {
		_, err = k.r.ReadSlice('\n') // the empty trailer
	}
	return status, all.Bytes(), err
}

// head reads the status and the headers. The length is -1 for an answer in chunks.
func (k *conn) head() (status int, length int64, err error) {
	for first := true; ; first = false {
		line, err := k.r.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case first:
			if len(line) < 12 {
				return 0, 0, fmt.Errorf("not HTTP: %q", line)
			}
			status, err = strconv.Atoi(string(line[9:12]))
		case len(line) == 0:
			return status, length, nil
		case len(name) == 14 && bytes.EqualFold(name, []byte("content-length")):
			length, err = strconv.ParseInt(string(value), 10, 64)
		case len(name) == 17 && bytes.EqualFold(name, []byte("transfer-encoding")):
			length = -1
		}
		if err != nil {
			return 0, 0, err
		}
	}
}

// ask is do with any status but 200 as an error.
func (k *conn) ask(method, path, body string) ([]byte, error) {
	status, out, err := k.do(method, path, []byte(body), nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s %s: %d %.300s", method, path, status, out)
	}
	return out, err
}

// point is what one round of load measured.
type point struct {
	perSecond float64
	p50, p99  time.Duration
	done      int
}

// request is the n-th request of a caller.
type request func(caller, n int) (method, path, body string)

// load asks in a closed loop with callers connections for a while, or each caller at most pace times a second when pace is not 0.
func load(ctx context.Context, addr string, callers int, pace float64, d time.Duration, next request) (point, error) {
	took := make([][]time.Duration, callers)
	fail := make([]error, callers)
	var wg sync.WaitGroup
	start := time.Now()
	for w := range callers {
		wg.Go(func() {
			k, err := dial(ctx, addr)
			if err != nil {
				fail[w] = err
				return
			}
			defer func() { _ = k.c.Close() }()
			for n := 0; n == 0 || (time.Since(start) < d && ctx.Err() == nil); n++ { // one at least
				if pace > 0 {
					time.Sleep(time.Until(start.Add(time.Duration(float64(n) / pace * float64(time.Second)))))
				}
				method, path, body := next(w, n)
				at := time.Now()
				if _, err := k.ask(method, path, body); err != nil {
					fail[w] = err
					return
				}
				took[w] = append(took[w], time.Since(at))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	if len(all) == 0 {
		return point{}, errors.Join(append(fail, errors.New("nothing was answered"))...)
	}
	return point{float64(len(all)) / elapsed.Seconds(), all[len(all)/2], all[len(all)*99/100], len(all)}, errors.Join(fail...)
}

// batchBody is a log-batch of keys times steps points.
func batchBody(run string, keys, steps, from int) string {
	b := make([]byte, 0, 90*keys*steps+128)
	b = append(b, `{"run_id": "`+run+`", "metrics": [`...)
	for k := range keys {
		for i := range steps {
			if k+i > 0 {
				b = append(b, ", "...)
			}
			b = append(strconv.AppendInt(append(b, `{"key": "metric_`...), int64(k), 10), `", "value": 0.`...)
			v := (from + i) % 1000
			b = append(b, byte('0'+v/100), byte('0'+v/10%10), byte('0'+v%10))
			b = strconv.AppendInt(append(b, `, "timestamp": `...), int64(1_700_000_000_000+from+i), 10)
			b = append(strconv.AppendInt(append(b, `, "step": `...), int64(from+i), 10), '}')
		}
	}
	return string(append(b, `], "params": [], "tags": []}`...))
}

// counter hands out numbers to callers.
type counter struct{ n atomic.Int64 }

func (c *counter) next() int { return int(c.n.Add(1)) }
