package mlflow

import (
	"context"
	"encoding/json"
	"math"
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
	RunIDs []string `json:"run_ids"`
	RunID  []string `json:"run_id"`
	Key    string   `json:"metric_key"`
	Start  *integer `json:"start_step"`
	End    *integer `json:"end_step"`
	Max    *integer `json:"max_results"`
}

type historyBulkOut struct {
	Metrics []metric `json:"metrics"`
}

// maxBulkRuns is MLflow's bound on the runs of one bulk history.
const maxBulkRuns = 100

// maxInterval is the most points of one run in a bulk history of an interval, maxBulk in one of everything; both are MLflow's.
const (
	maxInterval = 2500
	maxBulk     = 25_000
)

// historyInterval gives the histories of several runs between two steps, thinned to max_results points each.
func (e *Edge) historyInterval(ctx context.Context, in *historyBulkIn) (historyBulkOut, error) {
	const op = "mlflow.history"
	most := integer(maxInterval)
	if in.Max != nil {
		most = *in.Max
	}
	switch {
	case (in.Start == nil) != (in.End == nil):
		return historyBulkOut{}, errs.Invalidf(op, "If either start step or end step are specified, both must be specified.")
	case in.Start != nil && *in.Start > *in.End:
		return historyBulkOut{}, errs.Invalidf(op, "end_step must be greater than start_step. Found start_step=%d and end_step=%d.", *in.Start, *in.End)
	case most < 1 || most > maxInterval:
		return historyBulkOut{}, errs.Invalidf(op, "max_results must be between 1 and %d.", maxInterval).WithField("max_results", "expected 1 to %d", maxInterval)
	}
	return e.histories(ctx, in, int(most))
}

// historyBulk gives the histories of several runs for charts, thinned when they are longer than max_results points each.
func (e *Edge) historyBulk(ctx context.Context, in *historyBulkIn) (historyBulkOut, error) {
	most := maxBulk
	if in.Max != nil {
		most = int(max(1, min(*in.Max, maxBulk)))
	}
	return e.histories(ctx, in, most)
}

func (e *Edge) histories(ctx context.Context, in *historyBulkIn, most int) (historyBulkOut, error) {
	ids := append(slices.Clip(in.RunIDs), in.RunID...)
	switch {
	case len(ids) == 0:
		return historyBulkOut{}, missing("run_ids")
	case len(ids) > maxBulkRuns:
		return historyBulkOut{}, errs.Invalidf("mlflow.history", "expected at most %d runs, got %d", maxBulkRuns, len(ids)).WithField("run_ids", "ask for fewer runs")
	case in.Key == "":
		return historyBulkOut{}, missing("metric_key")
	}
	out := historyBulkOut{Metrics: []metric{}}
	for _, id := range ids {
		points, err := e.d.Tracking.Chart(ctx, id, in.Key, math.MaxInt32)
		if err != nil {
			return out, err
		}
		points = slices.DeleteFunc(points, func(p tracking.Point) bool {
			return (in.Start != nil && p.Step < int64(*in.Start)) || (in.End != nil && p.Step > int64(*in.End))
		})
		for _, p := range tracking.Downsample(points, most) {
			out.Metrics = append(out.Metrics, metric{Key: in.Key, Value: double(p.Value), Timestamp: integer(p.Time), Step: integer(p.Step), RunID: id})
		}
	}
	return out, nil
}
