package mlflow

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/page"
	"github.com/modelyard/modelyard/internal/tracking"
)

type historyIn struct {
	ID        string   `json:"run_id"`
	UUID      string   `json:"run_uuid"`
	Key       string   `json:"metric_key"`
	PageToken string   `json:"page_token"`
	Max       *integer `json:"max_results"`
}

// metricHistory answers all points of a metric, or a page of them when max_results is given. A history has up to a million points,
// so it has an encoder of its own.
func (e *Edge) metricHistory(w http.ResponseWriter, req *http.Request) {
	var in historyIn
	if err := decode(req, maxBody, &in); err != nil {
		e.fail(w, req, err)
		return
	}
	points, next, err := e.historyPage(req.Context(), in)
	if err != nil {
		e.fail(w, req, err)
		return
	}
	key, err := json.Marshal(in.Key)
	if err != nil {
		e.fail(w, req, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	const flush = 64 << 10
	b := make([]byte, 0, flush+512)
	b = append(b, `{"metrics":[`...)
	for i, p := range points {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"key":`...)
		b = append(b, key...)
		b = append(b, `,"value":`...)
		b = double(p.Value).append(b)
		b = append(b, `,"timestamp":`...)
		b = strconv.AppendInt(b, p.Time, 10)
		b = append(b, `,"step":`...)
		b = strconv.AppendInt(b, p.Step, 10)
		b = append(b, '}')
		if len(b) > flush {
			if _, err := w.Write(b); err != nil {
				return // the client went away
			}
			b = b[:0]
		}
	}
	b = append(b, ']')
	if next != "" {
		b = append(b, `,"next_page_token":"`+next+`"`...)
	}
	_, _ = w.Write(append(b, '}'))
}

// historyCursor counts the points that were given out. Points are only ever added, and mostly at the end.
type historyCursor struct {
	Key  string `json:"k"`
	Done int    `json:"n"`
}

func (e *Edge) historyPage(ctx context.Context, in historyIn) ([]tracking.Point, string, error) {
	id, err := runID{in.ID, in.UUID}.get()
	switch {
	case err != nil:
		return nil, "", err
	case in.Key == "":
		return nil, "", missing("metric_key")
	case in.Max != nil && *in.Max < 1:
		_, err = pageSize(in.Max, tracking.MaxHistoryPerPage)
		return nil, "", err
	}
	var c historyCursor
	if err := page.Decode(in.PageToken, &c); err != nil {
		return nil, "", err
	}
	if c.Done < 0 || (in.PageToken != "" && c.Key != in.Key) {
		return nil, "", errs.Invalidf("mlflow.history", "page_token belongs to another metric").WithField("page_token", "start again without it")
	}
	points, err := e.d.Tracking.History(ctx, id, in.Key)
	if err != nil {
		return nil, "", err
	}
	points = points[min(c.Done, len(points)):]
	most := len(points)
	if in.Max != nil {
		most = min(most, int(min(*in.Max, tracking.MaxHistoryPerPage)))
	}
	if most == len(points) {
		return points, "", nil
	}
	return points[:most], page.Encode(historyCursor{in.Key, c.Done + most}), nil
}

type historyBulkIn struct {
	RunID []string `json:"run_id"`
	Key   string   `json:"metric_key"`
	Max   integer  `json:"max_results"`
}

// maxBulkRuns is MLflow's bound on the runs of one bulk history.
const maxBulkRuns = 100

// bulkPoints are the points of several runs on the wire.
type bulkPoints []tracking.Series

func (all bulkPoints) appendJSON(b []byte) []byte {
	b = append(b, `{"metrics":[`...)
	first := true
	for _, s := range all {
		head := appendText([]byte(`{"key":`), s.Key)
		tail := append(appendField(nil, "run_id", s.RunID), '}')
		for _, p := range s.Points {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(b, head...)
			b = append(b, `,"value":`...)
			b = double(p.Value).append(b)
			b = appendNumber(b, "timestamp", p.Time)
			b = appendNumber(b, "step", p.Step)
			b = append(b, tail...)
		}
	}
	return append(b, ']', '}')
}

// historyBulk gives the first points of several runs, by run and time, as MLflow's charts ask for them.
func (e *Edge) historyBulk(ctx context.Context, in *historyBulkIn) (bulkPoints, error) {
	switch {
	case len(in.RunID) == 0:
		return nil, errs.Invalidf("mlflow.history", "GetMetricHistoryBulk request must specify at least one run_id.").WithField("run_id", "expected ids of runs")
	case len(in.RunID) > maxBulkRuns:
		return nil, errs.Invalidf("mlflow.history", "GetMetricHistoryBulk request cannot specify more than %d run_ids. Received %d run_ids.", maxBulkRuns, len(in.RunID)).WithField("run_id", "ask for fewer runs")
	case in.Key == "":
		return nil, errs.Invalidf("mlflow.history", "GetMetricHistoryBulk request must specify a metric_key.").WithField("metric_key", "expected a key")
	case in.Max < 0:
		return nil, checkMax(in.Max, tracking.MaxHistoryPerPage)
	}
	left := page.Limit(int(in.Max), tracking.MaxHistoryPerPage, tracking.MaxHistoryPerPage)
	ids := slices.Sorted(slices.Values(in.RunID))
	var out bulkPoints
	for _, id := range slices.Compact(ids) {
		points, err := e.d.Tracking.History(ctx, id, in.Key)
		if errs.Is(err, errs.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		points = points[:min(left, len(points))]
		left -= len(points)
		out = append(out, tracking.Series{RunID: id, Key: in.Key, Points: points})
	}
	return out, nil
}

type historyIntervalIn struct {
	RunIDs []string `json:"run_ids"`
	Key    string   `json:"metric_key"`
	Start  *integer `json:"start_step"`
	End    *integer `json:"end_step"`
	Max    *integer `json:"max_results"`
}

// maxInterval is MLflow's bound on the points of one run in an interval.
const maxInterval = 2500

// historyInterval gives the histories of several runs for a chart: of each at most max_results points, by step, the smallest and the
// largest value of each stretch kept. (MLflow takes steps at equal distances, and loses peaks between them.)
func (e *Edge) historyInterval(ctx context.Context, in *historyIntervalIn) (bulkPoints, error) {
	switch {
	case len(in.RunIDs) == 0:
		return nil, missing("run_ids")
	case len(in.RunIDs) > maxBulkRuns:
		return nil, errs.Invalidf("mlflow.history", "GetMetricHistoryBulkInterval request must specify at most %d run_ids. Received %d run_ids.", maxBulkRuns, len(in.RunIDs)).WithField("run_ids", "ask for fewer runs")
	case in.Key == "":
		return nil, missing("metric_key")
	case (in.Start == nil) != (in.End == nil):
		return nil, errs.Invalidf("mlflow.history", "If either start step or end step are specified, both must be specified.").WithField("start_step", "expected both or neither")
	case in.Start != nil && *in.Start > *in.End:
		return nil, errs.Invalidf("mlflow.history", "end_step must be greater than start_step. Found start_step=%d and end_step=%d.", *in.Start, *in.End).WithField("end_step", "expected a step after start_step")
	case in.Max != nil && (*in.Max < 1 || *in.Max > maxInterval):
		return nil, errs.Invalidf("mlflow.history", "max_results must be between 1 and %d.", maxInterval).WithField("max_results", "expected 1 to %d", maxInterval)
	}
	q := tracking.ChartQuery{Runs: in.RunIDs, Keys: []string{in.Key}, Most: maxInterval}
	if in.Max != nil {
		q.Most = int(*in.Max)
	}
	if in.Start != nil {
		from, to := int64(*in.Start), int64(*in.End)
		q.From, q.To = &from, &to
	}
	series, err := e.d.Tracking.Charts(ctx, q)
	return series, err
}
