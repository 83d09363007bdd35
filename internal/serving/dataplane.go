package serving

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/predlog"
)

// plane answers prediction requests.
type plane struct {
	s *Service
	r *httpx.Router
}

// dataRoutes registers the routes of the data plane.
func (s *Service) dataRoutes(r *httpx.Router) {
	p := &plane{s, r}
	const use = "endpoint:predict"
	r.Handle(http.MethodPost, "/endpoints/{name}/predict", use, p.guarded(p.predict))
	r.Handle(http.MethodPost, "/endpoints/{name}/invocations", use, p.guarded(p.invocations))
	r.Handle(http.MethodPost, "/v2/models/{name}/infer", use, p.guarded(p.infer))
	r.Handle(http.MethodGet, "/endpoints/{name}/ping", use, p.ready)
	r.Handle(http.MethodGet, "/v2", httpx.Public, func(w http.ResponseWriter, _ *http.Request) {
		httpx.WriteJSON(w, http.StatusOK, map[string]any{"name": "modelyard", "version": "2", "extensions": []string{}})
	})
	r.Handle(http.MethodGet, "/v2/health/live", httpx.Public, func(w http.ResponseWriter, _ *http.Request) {
		httpx.WriteJSON(w, http.StatusOK, map[string]bool{"live": true})
	})
	r.Handle(http.MethodGet, "/v2/health/ready", httpx.Public, func(w http.ResponseWriter, _ *http.Request) {
		status, ready := http.StatusOK, s.Healthy() == nil
		if !ready {
			status = http.StatusServiceUnavailable
		}
		httpx.WriteJSON(w, status, map[string]bool{"ready": ready})
	})
	r.Handle(http.MethodGet, "/v2/models/{name}", "endpoint:read", p.metadata)
	r.Handle(http.MethodGet, "/v2/models/{name}/ready", "endpoint:read", p.ready)
}

// handler answers with the body it appends to sc.out, or fails.
type handler func(req *http.Request, sc *scratch) (answer, error)

// guarded gives a handler its scratch memory and answers its errors.
func (p *plane) guarded(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		sc, _ := p.s.scratch.Get().(*scratch)
		defer p.giveBack(sc)
		sc.body, sc.out = sc.body[:0], sc.out[:0]
		a, err := h(req, sc)
		head := w.Header()
		if a.version != "" {
			head.Set("X-Modelyard-Version", a.version)
		}
		if err != nil {
			p.fail(w, req, err)
			return
		}
		if len(a.ids) > 0 {
			head.Set("X-Modelyard-Prediction-Id", a.ids[0].String())
		}
		head.Set("Content-Type", "application/json")
		head.Set("Content-Length", strconv.Itoa(len(sc.out)))
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(sc.out)
	}
}

func (p *plane) giveBack(sc *scratch) {
	if cap(sc.body) > maxScratch {
		sc.body = nil
	}
	if cap(sc.out) > maxScratch {
		sc.out = nil
	}
	clear(sc.in[:cap(sc.in)])
	clear(sc.res[:cap(sc.res)])
	sc.batch = predlog.Batch{}
	p.s.scratch.Put(sc)
}

// problem is an error answer that the official clients of each protocol read as well: Triton's and KServe's look for "error", MLflow's for
// "error_code" and "message".
type problem struct {
	*httpx.Problem
	Error        string   `json:"error"`
	ErrorCode    string   `json:"error_code"`
	Message      string   `json:"message"`
	PredictionID string   `json:"prediction_id,omitempty"`
	Predictions  []string `json:"prediction_ids,omitempty"`
}

func (p *plane) fail(w http.ResponseWriter, req *http.Request, err error) {
	var input *infer.InputError
	var model *modelError
	switch {
	case errors.As(err, &input):
		e := errs.E(errs.Invalid, "serving.predict", input.Error(), nil)
		for _, f := range input.Problems {
			name := f.Field
			if f.Row >= 0 && name != "" {
				name += "[" + strconv.Itoa(f.Row) + "]"
			}
			if name == "" {
				name = "body"
			}
			msg := f.Message
			if f.Expected != "" {
				msg = "expected " + f.Expected + ", got " + f.Got
			}
			e = e.WithField(name, "%s", msg)
		}
		err = e.WithHint("GET /v2/models/%s lists the inputs", req.PathValue("name"))
	case errs.KindOf(err) == errs.Internal && !errors.As(err, &model):
		p.r.Error(w, req, err)
		return
	}
	out := problem{Problem: httpx.ProblemOf(req.Context(), err), ErrorCode: "INTERNAL_ERROR"}
	if errors.As(err, &model) {
		out.Detail, out.Hint = model.Error(), "the endpoint's log and the model's own output say more"
		for _, id := range model.ids {
			out.Predictions = append(out.Predictions, id.String())
		}
		if len(out.Predictions) > 0 {
			out.PredictionID = out.Predictions[0]
			w.Header().Set("X-Modelyard-Prediction-Id", out.PredictionID)
		}
	}
	switch out.Kind {
	case errs.Invalid, errs.Exhausted:
		out.ErrorCode = "BAD_REQUEST"
	case errs.NotFound:
		out.ErrorCode = "RESOURCE_DOES_NOT_EXIST"
	case errs.Unavailable:
		out.ErrorCode = "TEMPORARILY_UNAVAILABLE"
		w.Header().Set("Retry-After", "1")
	}
	out.Error, out.Message = out.Detail, out.Detail
	b, merr := json.Marshal(out)
	if merr != nil {
		p.r.Error(w, req, err)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(out.Status)
	_, _ = w.Write(b)
}

// start reads the body and what the headers say.
func (p *plane) start(req *http.Request, sc *scratch) (*request, error) {
	r := &request{endpoint: req.PathValue("name"), received: p.s.d.Clock.Now(), key: req.Header.Get("X-Modelyard-Key")}
	if _, err := p.s.live(r.endpoint); err != nil { // before a large body is read in vain
		return nil, err
	}
	if enc := req.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, errs.Invalidf("serving.predict", "the request is not valid").WithField("Content-Encoding", "%.40q: expected none, the body as it is", enc)
	}
	if err := r.setEvent(r.key, req.Header.Get("X-Modelyard-Event-Time")); err != nil {
		return nil, err
	}
	var err error
	if sc.body, err = readBody(sc.body, req, p.s.d.MaxBody); err != nil {
		return nil, err
	}
	r.body = sc.body
	return r, nil
}

func (r *request) setEvent(key, eventTime string) error {
	if len(key) > predlog.MaxKey {
		return errs.Invalidf("serving.predict", "the request is not valid").WithField("X-Modelyard-Key", "expected at most %d bytes", predlog.MaxKey)
	}
	if !utf8.ValidString(key) {
		return errs.Invalidf("serving.predict", "the request is not valid").WithField("X-Modelyard-Key", "expected UTF-8")
	}
	r.key = key
	if eventTime == "" {
		return nil
	}
	t, err := predlog.ParseTime(eventTime)
	if err != nil {
		return errs.Invalidf("serving.predict", "the request is not valid").WithField("X-Modelyard-Event-Time", "%s", err.Error())
	}
	r.eventTime = t
	return nil
}

// readBody reads a body of at most limit bytes into b.
func readBody(b []byte, req *http.Request, limit int64) ([]byte, error) {
	tooLarge := errs.E(errs.Exhausted, "serving.predict", "the body is larger than "+strconv.FormatInt(limit, 10)+" bytes", nil).WithHint("send fewer rows at a time")
	if req.ContentLength > limit {
		return b, tooLarge
	}
	if n := req.ContentLength; n > int64(cap(b)) {
		b = make([]byte, 0, n+1)
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := req.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if int64(len(b)) > limit {
			return b, tooLarge
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return b, errs.E(errs.Invalid, "serving.predict", "the body could not be read", err)
		}
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return b, errs.Invalidf("serving.predict", "the body is empty").WithField("body", "expected JSON with the model's inputs")
	}
	return b, nil
}

func bindPredict(b *infer.Binder, body []byte) (*infer.Bound, error)     { return b.Predict(body) }
func bindInvocations(b *infer.Binder, body []byte) (*infer.Bound, error) { return b.Invocations(body) }

func (p *plane) predict(req *http.Request, sc *scratch) (answer, error) {
	r, err := p.start(req, sc)
	if err != nil {
		return answer{}, err
	}
	r.bind = bindPredict
	a, err := p.s.predict(req.Context(), r, sc)
	if err == nil {
		sc.out = appendPredict(sc.out, &a, a.out.Rows == 1 && isSingle(r.body))
	}
	return a, err
}

// isSingle reports whether a body is one record or one list of values, rather than a list of them.
func isSingle(body []byte) bool {
	b := bytes.TrimLeft(body, " \t\r\n")
	if len(b) == 0 || b[0] != '[' {
		return true
	}
	b = bytes.TrimLeft(b[1:], " \t\r\n")
	return len(b) > 0 && b[0] != '[' && b[0] != '{'
}

func (p *plane) invocations(req *http.Request, sc *scratch) (answer, error) {
	r, err := p.start(req, sc)
	if err != nil {
		return answer{}, err
	}
	r.bind = bindInvocations
	kind, _, merr := mime.ParseMediaType(req.Header.Get("Content-Type"))
	switch {
	case kind == "text/csv":
		l, err := p.s.live(r.endpoint)
		if err != nil {
			return answer{}, err
		}
		if r.body, err = csvToSplit(r.body, l.versions[0].info.Inputs); err != nil {
			return answer{}, err
		}
	case kind != "application/json" && kind != "" || merr != nil && req.Header.Get("Content-Type") != "":
		return answer{}, errs.Invalidf("serving.invocations", "the content type is not known").WithField("Content-Type", "expected application/json or text/csv")
	}
	a, err := p.s.predict(req.Context(), r, sc)
	if err == nil {
		sc.out = appendInvocations(sc.out, &a)
	}
	return a, err
}

func (p *plane) infer(req *http.Request, sc *scratch) (answer, error) {
	r, err := p.start(req, sc)
	if err != nil {
		return answer{}, err
	}
	if req.Header.Get("Inference-Header-Content-Length") != "" {
		return answer{}, errs.Invalidf("serving.v2", "binary tensors are not taken yet").WithField("Inference-Header-Content-Length", "send the tensors as JSON data")
	}
	v2, err := parseV2(r.body)
	if err != nil {
		return answer{}, err
	}
	key, event := r.key, req.Header.Get("X-Modelyard-Event-Time")
	if k := v2.parameter("key"); k != "" {
		key = k
	}
	if t := v2.parameter("event_time"); t != "" {
		event = t
	}
	if err := r.setEvent(key, event); err != nil {
		return answer{}, err
	}
	l, err := p.s.live(r.endpoint)
	if err != nil {
		return answer{}, err
	}
	info := l.versions[0].info
	r.bind = v2.bind(info.Inputs)
	a, err := p.s.predict(req.Context(), r, sc)
	if err == nil {
		sc.out, err = appendV2(sc.out, r.endpoint, v2, &a, info.Outputs)
	}
	return a, err
}

func (p *plane) ready(w http.ResponseWriter, req *http.Request) {
	if _, err := p.s.live(req.PathValue("name")); err != nil {
		p.fail(w, req, err)
		return
	}
	httpx.WriteJSON(w, http.StatusOK, map[string]any{"name": req.PathValue("name"), "ready": true})
}

// metadata describes an endpoint as the Open Inference Protocol does.
func (p *plane) metadata(w http.ResponseWriter, req *http.Request) {
	l, err := p.s.live(req.PathValue("name"))
	if err != nil {
		p.fail(w, req, err)
		return
	}
	type meta struct {
		Name     string `json:"name"`
		Datatype string `json:"datatype"`
		Shape    []int  `json:"shape"`
	}
	list := func(specs []infer.Spec, unnamed string) []meta {
		out := []meta{}
		for _, s := range specs {
			if s.Name == "" { // the protocol has no tensors without a name
				s.Name = unnamed
			}
			out = append(out, meta{s.Name, v2Type(s), append([]int{-1}, s.Shape...)})
		}
		return out
	}
	versions := []string{}
	for _, t := range l.route.Targets {
		versions = append(versions, t.Version)
	}
	info := l.versions[0].info
	httpx.WriteJSON(w, http.StatusOK, map[string]any{"name": l.name, "versions": versions, "platform": "modelyard-" + info.Runtime, "inputs": list(info.Inputs, "input"), "outputs": list(info.Outputs, "prediction")})
}
