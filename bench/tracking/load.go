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
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one keep-alive HTTP connection. It is thinner than net/http's client, which would take as much of the shared cores as a server.
type conn struct {
	addr string
	c    net.Conn
	r    *bufio.Reader
}

func dial(ctx context.Context, addr string) (*conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{addr, c, bufio.NewReaderSize(c, 64<<10)}, nil
}

// do sends a request and reads the answer to its end. A nil sink keeps the body.
func (k *conn) do(method, path string, body []byte, sink io.Writer) (status int, out []byte, err error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n", method, path, k.addr)
	if method != http.MethodGet {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	if len(body) < 1<<20 {
		b.Write(body)
		body = nil
	}
	if _, err := k.c.Write(b.Bytes()); err != nil {
		return 0, nil, err
	}
	if _, err := k.c.Write(body); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(k.r, nil)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if sink != nil {
		_, err = io.Copy(sink, resp.Body)
		return resp.StatusCode, nil, err
	}
	out, err = io.ReadAll(resp.Body)
	return resp.StatusCode, out, err
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
