package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

// replay is how far the year has been played, with what happened on the way.
type replay struct {
	Next        int               `json:"next"`     // hour to send next
	Labelled    int               `json:"labelled"` // hours whose truth was sent
	Months      map[string]*month `json:"months,omitempty"`
	Alerts      map[string]string `json:"alerts,omitempty"`      // alert id -> title
	Retrainings map[string]string `json:"retrainings,omitempty"` // id -> outcome
	Rollouts    map[string]string `json:"rollouts,omitempty"`    // id -> state
	Happened    []string          `json:"happened,omitempty"`
	Latency     []float64         `json:"latency_ms,omitempty"` // per day, median of what the client saw
}

// month sums up a calendar month of the replay.
type month struct {
	Hours    int             `json:"hours"`
	Riders   float64         `json:"riders"`
	Error    float64         `json:"error"` // sum of absolute errors of what was answered
	Versions map[string]bool `json:"versions"`
}

// labelLag is how many hours the truth comes after the prediction.
const labelLag = 24

// predict asks for one hour. The key makes the row findable for its label.
func (s *story) predict(ctx context.Context, h hour, suffix string) (cmdutil.Object, error) {
	body, err := json.Marshal(h.features)
	if err != nil {
		return nil, err
	}
	key := h.at.Format("2006-01-02T15")
	if suffix != "" {
		key += "-" + suffix
	}
	header := http.Header{"X-Modelyard-Event-Time": {h.at.Format(time.RFC3339)}, "X-Modelyard-Key": {key}}
	var o cmdutil.Object
	r := client.Request{Method: http.MethodPost, Path: "/endpoints/" + name + "/predict", Body: strings.NewReader(string(body)), ContentType: "application/json", Header: header}
	if suffix != "" { // the deploy step looks for the first answer itself
		return o, s.c.Call(ctx, r, &o)
	}
	if err := s.call(ctx, r, &o); err != nil {
		return nil, err
	}
	s.book.add("prediction", o.Str("prediction_id"), o.Get("prediction").(float64))
	return o, nil
}

func (s *story) replayYear(ctx context.Context) (string, error) {
	if err := s.play(ctx, func() bool { return s.enough() && !s.busy(ctx) }); err != nil {
		return "", err
	}
	rp := &s.mem.Replay
	promoted, back := 0, 0
	for _, st := range rp.Rollouts {
		switch st {
		case "promoted":
			promoted++
		case "rolled_back":
			back++
		}
	}
	if s.days == 0 && (len(rp.Alerts) == 0 || len(rp.Retrainings) == 0 || promoted == 0) {
		return "", failed("%d alerts, %d retrainings, %d promotions: expected at least one of each", len(rp.Alerts), len(rp.Retrainings), promoted)
	}
	return fmt.Sprintf("%d predictions, %d labels, %d alerts, %d retrainings, %d promoted, %d rolled back", s.book.count("prediction"), s.book.count("label"),
		len(rp.Alerts), len(rp.Retrainings), promoted, back), nil
}

// reserve is kept of the year for the bad version's canary.
const reserve = 40 * 24

func (s *story) enough() bool {
	rp := &s.mem.Replay
	if rp.Next == 0 {
		return false
	}
	if s.days > 0 {
		return rp.Next >= s.firstHour()+s.days*24
	}
	return rp.Next >= len(s.year)-reserve
}

func (s *story) firstHour() int {
	return slices.IndexFunc(s.year, func(h hour) bool { return !h.at.Before(april) })
}

// play sends day after day until done says so after a day, or the year ends. It holds the clock while a retraining decides.
func (s *story) play(ctx context.Context, done func() bool) error {
	rp := &s.mem.Replay
	if rp.Next == 0 {
		rp.Next, rp.Labelled = s.firstHour(), s.firstHour()
		rp.Months, rp.Alerts, rp.Retrainings, rp.Rollouts = map[string]*month{}, map[string]string{}, map[string]string{}, map[string]string{}
	}
	for rp.Next < len(s.year) && !done() {
		end := min(rp.Next+24, len(s.year))
		var took []float64
		for _, h := range s.year[rp.Next:end] {
			began := time.Now()
			o, err := s.predict(ctx, h, "")
			if err != nil {
				return err
			}
			took = append(took, float64(time.Since(began).Microseconds())/1000)
			s.tally(h, o)
		}
		slices.Sort(took)
		rp.Latency = append(rp.Latency, took[len(took)/2])
		rp.Next = end
		if err := s.label(ctx, end-labelLag); err != nil {
			return err
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
		if err := s.observe(ctx); err != nil {
			return err
		}
		if err := s.save(); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) tally(h hour, o cmdutil.Object) {
	rp := &s.mem.Replay
	k := h.at.Format("2006-01")
	m := rp.Months[k]
	if m == nil {
		m = &month{Versions: map[string]bool{}}
		rp.Months[k] = m
	}
	m.Hours++
	m.Riders += h.riders
	m.Error += math.Abs(o.Get("prediction").(float64) - h.riders)
	m.Versions[o.Str("version")] = true
}

// label sends the truth of all hours before upto that have none yet.
func (s *story) label(ctx context.Context, upto int) error {
	rp := &s.mem.Replay
	if upto <= rp.Labelled {
		return nil
	}
	type item struct {
		Key       string  `json:"key"`
		Label     float64 `json:"label"`
		EventTime string  `json:"event_time"`
	}
	var items []item
	for _, h := range s.year[rp.Labelled:upto] {
		items = append(items, item{h.at.Format("2006-01-02T15"), h.riders, h.at.Add(labelLag * time.Hour).Format(time.RFC3339)})
	}
	var o cmdutil.Object
	if err := s.call(ctx, client.Request{Method: http.MethodPost, Path: "/endpoints/" + name + "/feedback", JSON: map[string]any{"items": items}}, &o); err != nil {
		return err
	}
	if u, _ := o.Get("unknown").(float64); u > 0 {
		return failed("the server does not know %v of the predictions that it answered", u)
	}
	for _, it := range items {
		s.book.add("label", it.Key, it.Label)
	}
	rp.Labelled = upto
	return nil
}

// settle waits until the monitor has seen what was sent and the events of it have been heard, so that the replay does not run ahead
// of what watches it.
func (s *story) settle(ctx context.Context) error {
	began := time.Now()
	for quiet := 0; quiet < 2; {
		m, err := s.get(ctx, client.P("api/v1/monitors", name), nil)
		waits := client.IsNotFound(err) // a moment after the endpoint was made: its event is not heard yet
		if err != nil && !waits {
			return err
		}
		jobs, err := s.get(ctx, "/api/v1/jobs", url.Values{"state": {"ready"}})
		if err != nil {
			return err
		}
		running, err := s.get(ctx, "/api/v1/jobs", url.Values{"state": {"running"}})
		if err != nil {
			return err
		}
		pending, _ := m.Get("pending").(float64)
		if pending == 0 && !waits && !hearing(jobs) && !hearing(running) {
			quiet++
		} else {
			quiet = 0
		}
		if time.Since(began) > 30*time.Second {
			return failed("the monitor does not keep up: %v records behind", pending)
		}
		if quiet < 2 && !pause(ctx, 8*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// hearing reports whether an event waits to be heard; a job that waits for its retry does not count.
func hearing(list cmdutil.Object) bool {
	return slices.ContainsFunc(list.Items("items"), func(j cmdutil.Object) bool {
		return strings.HasPrefix(j.Str("kind"), "hear:") && !j.Time("run_at").After(time.Now())
	})
}

// observe tells what is new: alerts, retrainings, rollouts. It returns when no retraining is under way before its rollout.
func (s *story) observe(ctx context.Context) error {
	if err := s.observeAlerts(ctx); err != nil {
		return err
	}
	if err := s.observeRetrainings(ctx); err != nil {
		return err
	}
	return s.observeRollouts(ctx)
}

func (s *story) note(format string, args ...any) {
	day := s.year[min(s.mem.Replay.Next, len(s.year))-1].at.Format("2 Jan")
	line := day + ": " + fmt.Sprintf(format, args...)
	s.mem.Replay.Happened = append(s.mem.Replay.Happened, line)
	s.f.Progress("   %s", line)
}

func (s *story) observeAlerts(ctx context.Context) error {
	o, err := s.get(ctx, "/api/v1/alerts", nil)
	if err != nil {
		return err
	}
	items := o.Items("items")
	slices.Reverse(items)
	for _, a := range items {
		if id := a.Str("id"); s.mem.Replay.Alerts[id] == "" {
			s.mem.Replay.Alerts[id] = a.Str("title")
			s.note("alert: %s", first(a.Str("reason"), a.Str("title")))
		}
	}
	return nil
}

func first(vs ...string) string {
	for _, v := range vs {
		if v != "" {
			return v
		}
	}
	return ""
}

// observeRetrainings holds the clock while a retraining trains and is judged: it decides on the data there is.
func (s *story) observeRetrainings(ctx context.Context) error {
	for began := time.Now(); ; {
		o, err := s.get(ctx, "/api/v1/retrainings", url.Values{"endpoint": {name}})
		if err != nil {
			return err
		}
		hold := false
		items := o.Items("items")
		slices.Reverse(items)
		for _, r := range items {
			id, outcome := r.Str("id"), r.Str("outcome")
			if s.mem.Replay.Retrainings[id] == "" {
				s.mem.Replay.Retrainings[id] = "running"
				s.note("retraining started: the clock is held")
			}
			if run := r.Str("pipeline_run_id"); run != "" {
				s.book.once("pipeline_run", run)
			}
			if v := r.Str("challenger"); v != "" {
				s.book.once("version", name+"/"+v)
			}
			why := "" // the reason of the outcome; before, it is that of the alert
			if outcome != "" {
				why = r.Str("reason")
			}
			now := first(outcome, map[bool]string{true: "rollout of version " + r.Str("challenger")}[r.Str("rollout_id") != ""], "running")
			if now != s.mem.Replay.Retrainings[id] {
				s.mem.Replay.Retrainings[id] = now
				s.note("retraining: %s %s", now, why)
			}
			hold = hold || now == "running"
		}
		if !hold {
			return nil
		}
		if time.Since(began) > 15*time.Minute {
			return failed("the retraining does not end")
		}
		if !pause(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}

func (s *story) rollouts(ctx context.Context) ([]cmdutil.Object, error) {
	o, err := s.get(ctx, "/api/v1/rollouts", url.Values{"endpoint": {name}})
	if err != nil {
		return nil, err
	}
	items := o.Items("items")
	slices.Reverse(items)
	return items, nil
}

func (s *story) observeRollouts(ctx context.Context) error {
	began := time.Now()
	for {
		items, err := s.rollouts(ctx)
		if err != nil {
			return err
		}
		judging := false
		for _, r := range items {
			id, state := r.Str("id"), r.Str("state")
			if step := currentStep(r); state == "running" && step != "" {
				state = "running at " + step + " %"
			}
			if old := s.mem.Replay.Rollouts[id]; old != state {
				s.mem.Replay.Rollouts[id] = state
				why := ""
				if r.Str("state") != "running" {
					why = r.Str("reason")
				}
				s.note("version %s: %s %s", r.Str("version"), state, why)
			}
			judging = judging || (r.Str("state") == "running" && time.Since(began) < 250*time.Millisecond)
		}
		if !judging {
			return nil
		}
		if !pause(ctx, 60*time.Millisecond) { // a canary judges what it has before the next day comes
			return ctx.Err()
		}
	}
}

func currentStep(r cmdutil.Object) string {
	for _, st := range r.Items("steps") {
		if st.Str("state") == "running" {
			return st.Str("weight")
		}
	}
	return ""
}

// busy reports whether a rollout or a retraining is under way.
func (s *story) busy(ctx context.Context) bool {
	items, err := s.rollouts(ctx)
	return err == nil && slices.ContainsFunc(items, func(r cmdutil.Object) bool { return r.Str("state") == "running" })
}

func (s *story) badVersion(ctx context.Context) (string, error) {
	if s.mem.BadRun == "" {
		o, err := s.send(ctx, http.MethodPost, client.P("api/v1/pipelines", name, "runs"), map[string]any{"params": map[string]string{"endpoint": name, "shuffle": "yes"}})
		if err != nil {
			return "", err
		}
		s.mem.BadRun = o.Str("id")
		if err := s.save(); err != nil {
			return "", err
		}
	}
	o, err := s.awaitRun(ctx, s.mem.BadRun)
	if err != nil {
		return "", err
	}
	version := o.Str("outputs.version")
	if s.mem.BadRoll == "" {
		r, err := s.send(ctx, http.MethodPost, "/api/v1/rollouts", map[string]any{"endpoint": name, "version": version, "steps": []int{10, 50, 100}, "min_samples": 72,
			"checks": map[string]float64{"max_error_rate": 0.01, "max_latency_ratio": 5, "max_metric_increase": 0.05}})
		if client.KindOf(err) == "conflict" || client.KindOf(err) == "precondition" { // it was started just before the server died
			items, lerr := s.rollouts(ctx)
			if i := len(items) - 1; lerr == nil && i >= 0 && items[i].Str("version") == version {
				r, err = items[i], nil
			}
		}
		if err != nil {
			return "", err
		}
		s.mem.BadRoll = r.Str("id")
		if err := s.save(); err != nil {
			return "", err
		}
	}
	var last cmdutil.Object
	err = s.play(ctx, func() bool {
		last, err = s.get(ctx, client.P("api/v1/rollouts", s.mem.BadRoll), nil)
		return err != nil || last.Str("state") != "running"
	})
	if err != nil {
		return "", err
	}
	if last, err = s.get(ctx, client.P("api/v1/rollouts", s.mem.BadRoll), nil); err != nil {
		return "", err
	}
	if last.Str("state") != "rolled_back" {
		return "", failed("the bad version %s is %s: %s", version, last.Str("state"), last.Str("reason"))
	}
	return fmt.Sprintf("version %s, trained on shuffled labels, went out as a canary and was rolled back: %s", version, last.Str("reason")), nil
}

// verify looks for everything that the server acknowledged, however often it died in between.
func (s *story) verify(ctx context.Context) (string, error) {
	resp, err := s.c.Do(ctx, client.Request{Method: http.MethodGet, Path: client.P("api/v1/endpoints", name, "predictions", "export"), Query: url.Values{"format": {"csv"}}})
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	outputs, labels, err := readExport(resp.Body)
	if err != nil {
		return "", err
	}
	lost := map[string]int{}
	for _, e := range s.book.entries {
		ok := true
		switch e.What {
		case "prediction":
			v, there := outputs[e.ID]
			ok = there && math.Abs(v-e.Value) < 1e-6
		case "label":
			v, there := labels[e.ID]
			ok = there && v == e.Value
		case "run":
			_, err := s.get(ctx, client.P("api/v1/runs", e.ID), nil)
			ok = err == nil
		case "pipeline_run":
			_, err := s.get(ctx, client.P("api/v1/pipeline-runs", e.ID), nil)
			ok = err == nil
		case "version":
			m, v, _ := strings.Cut(e.ID, "/")
			_, err := s.get(ctx, client.P("api/v1/models", m, "versions", v), nil)
			ok = err == nil
		}
		if !ok {
			lost[e.What]++
		}
	}
	if len(lost) > 0 {
		return "", failed("lost: %v", lost)
	}
	chain, err := s.send(ctx, http.MethodPost, "/api/v1/events/verify", map[string]string{})
	if err != nil {
		return "", err
	}
	if chain.Str("ok") != "true" {
		return "", failed("the event chain: %s", chain.Str("detail"))
	}
	return fmt.Sprintf("%d predictions, %d labels, %d runs, %d versions are there; %s events in a whole chain; the server was started again %d times",
		s.book.count("prediction"), s.book.count("label"), s.book.count("run"), s.book.count("version"), chain.Str("count"), s.srv.restarts), nil
}

// summary prints what was measured.
func (s *story) summary() error {
	rp := &s.mem.Replay
	var keys []string
	for k := range rp.Months {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	type row struct {
		Month    string  `json:"month"`
		Hours    int     `json:"hours"`
		Riders   float64 `json:"riders_per_hour"`
		Error    float64 `json:"mean_absolute_error"`
		Versions string  `json:"versions"`
	}
	var rows []row
	for _, k := range keys {
		m := rp.Months[k]
		var vs []string
		for v := range m.Versions {
			vs = append(vs, v)
		}
		slices.SortFunc(vs, func(a, b string) int { x, _ := strconv.Atoi(a); y, _ := strconv.Atoi(b); return x - y })
		rows = append(rows, row{k, m.Hours, m.Riders / float64(m.Hours), m.Error / float64(m.Hours), strings.Join(vs, ",")})
	}
	var total float64
	for _, c := range s.mem.Chapters {
		total += c.Seconds
	}
	doc := map[string]any{"chapters": s.mem.Chapters, "months": rows, "happened": rp.Happened, "predictions": s.book.count("prediction"), "labels": s.book.count("label"), "seconds": total, "server": s.srv.url(), "restarts": s.srv.restarts}
	if s.f.Structured() {
		return s.f.Document(doc)
	}
	out := s.f.Out
	_, _ = fmt.Fprintf(out, "\nThe year, as it was served\n")
	if err := cmdutil.List(s.f, rows, rows, []cmdutil.Column[row]{
		{Head: "month", Cell: func(r row) string { return r.Month }},
		{Head: "riders/h", Cell: func(r row) string { return strconv.FormatFloat(r.Riders, 'f', 0, 64) }},
		{Head: "error/h", Cell: func(r row) string { return strconv.FormatFloat(r.Error, 'f', 1, 64) }},
		{Head: "versions", Cell: func(r row) string { return r.Versions }},
	}); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "\nWhat was done\n")
	return cmdutil.List(s.f, s.mem.Chapters, s.mem.Chapters, []cmdutil.Column[chapter]{
		{Head: "step", Cell: func(c chapter) string { return c.Name }},
		{Head: "seconds", Cell: func(c chapter) string { return strconv.FormatFloat(c.Seconds, 'f', 1, 64) }},
		{Head: "measured", Cell: func(c chapter) string { return c.Detail }},
	})
}

// verdict is nil when each step did what it should.
func (s *story) verdict() error {
	for _, c := range s.mem.Chapters {
		if !c.OK {
			return failed("%s", c.Name)
		}
	}
	return nil
}
