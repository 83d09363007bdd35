package httpx

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/id"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "modelyard_http_requests_total", Help: "HTTP requests by route and status."}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "modelyard_http_request_seconds", Help: "Time to answer, by route.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}}, []string{"route"}),
	}
	if reg != nil {
		reg.MustRegister(m.requests, m.seconds)
	}
	return m
}

// recorder remembers the status that was answered.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(s int) {
	if w.status == 0 {
		w.status = s
	}
	w.ResponseWriter.WriteHeader(s)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach flushing and deadlines.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

var requestID = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)

// Handler is the router with what every request passes: request id, recovery from panics, host and cross-site checks, security
// headers, metrics.
func (r *Router) Handler() http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		start := time.Now()
		rid := req.Header.Get("X-Request-Id")
		if !requestID.MatchString(rid) {
			rid = id.New()
		}
		req = req.WithContext(actor.WithRequest(req.Context(), rid))
		h := w.Header()
		h.Set("X-Request-Id", rid)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		rec := &recorder{ResponseWriter: w}
		defer func() { r.finish(rec, req, start, recover()) }()
		if !r.hostAllowed(req.Host) {
			r.Error(rec, req, errs.E(errs.Forbidden, "http.host", fmt.Sprintf("this server does not answer for host %q", req.Host), nil).
				WithHint("use 127.0.0.1 or localhost, or add the name to hosts in the configuration"))
			return
		}
		if err := cross.Check(req); err != nil {
			r.Error(rec, req, errs.E(errs.Forbidden, "http.origin", "cross-site request refused", nil))
			return
		}
		r.mux.ServeHTTP(rec, req)
	})
}

func (r *Router) finish(rec *recorder, req *http.Request, start time.Time, panicked any) {
	if panicked != nil {
		if err, ok := panicked.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(panicked) // the documented way to drop a connection
		}
		r.o.Log.Error("panic in a handler", "request_id", actor.Request(req.Context()), "route", req.Pattern, "panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
		if rec.status == 0 {
			r.Error(rec, req, errs.E(errs.Internal, "http.serve", "internal error", nil))
		}
	}
	route := req.Pattern
	if _, p, ok := strings.Cut(route, " "); ok {
		route = p
	}
	if route == "" {
		route = "none"
	}
	r.metrics.requests.WithLabelValues(req.Method, route, strconv.Itoa(max(rec.status, 200))).Inc()
	r.metrics.seconds.WithLabelValues(route).Observe(time.Since(start).Seconds())
}

func (r *Router) hostAllowed(host string) bool {
	if len(r.o.Hosts) == 0 {
		return true
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return slices.Contains(r.o.Hosts, strings.Trim(strings.ToLower(host), "[]"))
}
