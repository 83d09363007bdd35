package mlflow

import (
	"context"
	"regexp"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/trace"
)

// pick reads an enum that protobuf takes by name and by number, from 1.
func (n enumName) pick(names ...string) string {
	if len(n) == 1 && n[0] >= '1' && int(n[0]-'1') < len(names) {
		return names[n[0]-'1']
	}
	return string(n)
}

type metricAggregation struct {
	Type enumName `json:"aggregation_type"`
	At   *double  `json:"percentile_value"`
}

type metricPoint struct {
	Metric     string            `json:"metric_name"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
	Values     map[string]double `json:"values,omitempty"`
}

var wholeNumber = regexp.MustCompile(`^[0-9]{1,19}$`)

// queryTraceMetrics answers charts of traces. Like MLflow's own server it takes a page token and gives none: an answer has all groups up
// to max_results.
func (e *Edge) queryTraceMetrics(ctx context.Context, in *struct {
	Experiments  *[]string            `json:"experiment_ids"`
	View         enumName             `json:"view_type"`
	Metric       *string              `json:"metric_name"`
	Aggregations *[]metricAggregation `json:"aggregations"`
	Dimensions   []string             `json:"dimensions"`
	Filters      []string             `json:"filters"`
	Interval     integer              `json:"time_interval_seconds"`
	From         *integer             `json:"start_time_ms"`
	To           *integer             `json:"end_time_ms"`
	Max          *integer             `json:"max_results"`
	PageToken    string               `json:"page_token"`
}) (any, error) {
	switch {
	case in.Experiments == nil:
		return nil, missing("experiment_ids")
	case in.View == "":
		return nil, missing("view_type")
	case in.Metric == nil:
		return nil, missing("metric_name")
	case in.Aggregations == nil:
		return nil, missing("aggregations")
	}
	q := trace.MetricQuery{ExperimentIDs: *in.Experiments, View: trace.MetricView(in.View.pick("TRACES", "SPANS", "ASSESSMENTS")), Metric: *in.Metric,
		Dimensions: in.Dimensions, Filters: in.Filters, Interval: int64(in.Interval), From: (*int64)(in.From), To: (*int64)(in.To), Limit: trace.DefaultMetricPoints}
	for _, id := range q.ExperimentIDs {
		if !wholeNumber.MatchString(id) {
			return nil, errs.Invalidf("mlflow.trace_metrics", "Invalid experiment ID '%.100s'. Experiment ID must be a valid integer.", id).WithField("experiment_ids", "expected ids of experiments")
		}
	}
	if in.Max != nil {
		q.Limit = int(*in.Max)
	}
	for _, a := range *in.Aggregations {
		kind := a.Type.pick("COUNT", "SUM", "AVG", "PERCENTILE", "MIN", "MAX")
		if kind == "" {
			kind = "COUNT" // protobuf's default
		}
		q.Aggregations = append(q.Aggregations, trace.Aggregation{Kind: trace.AggregationKind(kind), At: (*float64)(a.At)})
	}
	points, err := e.d.Traces.Metrics(ctx, q)
	out := struct {
		Points []metricPoint `json:"data_points,omitempty"`
	}{}
	for _, p := range points {
		values := make(map[string]double, len(p.Values))
		for k, v := range p.Values {
			values[k] = double(v)
		}
		out.Points = append(out.Points, metricPoint{q.Metric, p.Dimensions, values})
	}
	return out, err
}
