package tracking

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/filter"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/page"
)

func (s *Service) searchRoutes(r *httpx.Router) {
	httpx.Post(r, "/api/v1/runs/search", "run:read", "Search runs with the MLflow filter language", s.searchRunsHTTP)
	httpx.Post(r, "/api/v1/runs/groups", "run:read", "Count runs and sum up their metrics by parameter, tag or attribute", s.groupRunsHTTP)
	httpx.Get(r, "/api/v1/experiments/{id}/keys", "experiment:read", "The keys of the metrics, parameters and tags of an experiment's runs", s.keysHTTP)
	httpx.Post(r, "/api/v1/metric-histories", "run:read", "The points of several metrics of several runs, thinned for a chart", s.historiesHTTP)
}

type searchRunsIn struct {
	Body struct {
		ExperimentIDs []string `json:"experiment_ids,omitempty" doc:"empty: all experiments"`
		Filter        string   `json:"filter,omitempty" doc:"for example metrics.mae < 60 and (tags.kind = 'nightly' or min(metrics.loss) < 1)"`
		OrderBy       []string `json:"order_by,omitempty" doc:"for example metrics.mae ASC, best(metrics.acc) DESC"`
		View          View     `json:"view,omitempty" enum:"active,deleted,all"`
		Columns       []string `json:"columns,omitempty" maxItems:"500" doc:"metrics.x, params.x, tags.x, and aggregates such as min(metrics.x); empty: every metric, param and tag"`
		Offset        int      `json:"offset,omitempty" minimum:"0" maximum:"1000000" doc:"runs to leave out before the page; not with page_token"`
		CountTotal    bool     `json:"count_total,omitempty" doc:"answer total"`
		PageSize      int      `json:"page_size,omitempty" minimum:"0" maximum:"1000"`
		PageToken     string   `json:"page_token,omitempty"`
	}
}

// FoundRun is a run with the aggregates that a search asked for.
type FoundRun struct {
	RunView
	Aggregates map[string]Number `json:"aggregates,omitempty" doc:"such as min(metrics.loss), of those in columns and order_by; none where the run has no value"`
}

type runList struct {
	Items      []FoundRun `json:"items"`
	Next       string     `json:"next_page_token,omitempty"`
	Total      *int       `json:"total,omitempty" doc:"all runs that pass the filter, when count_total asks for it"`
	MetricKeys []string   `json:"metric_keys" doc:"of the runs of this page"`
	ParamKeys  []string   `json:"param_keys" doc:"of the runs of this page"`
}

// orAll gives all experiments when none is named.
func (s *Service) orAll(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) > 0 {
		return ids, nil
	}
	es, err := s.st.experiments(ctx)
	for _, e := range es {
		ids = append(ids, e.ID)
	}
	return ids, err
}

func (s *Service) searchRunsHTTP(ctx context.Context, in *searchRunsIn) (*runList, error) {
	b := in.Body
	exps, err := s.orAll(ctx, b.ExperimentIDs)
	if err != nil {
		return nil, err
	}
	cols, err := readColumns(b.Columns)
	if err != nil {
		return nil, err
	}
	q := RunQuery{ExperimentIDs: exps, Filter: b.Filter, OrderBy: b.OrderBy, View: b.View, Limit: page.Limit(b.PageSize, 100, 1000), PageToken: b.PageToken,
		Offset: b.Offset, Aggregates: cols.aggregates}
	for _, o := range b.OrderBy {
		if head, _, ok := strings.Cut(o, ")"); ok && strings.Contains(head, "(") {
			q.Aggregates = append(q.Aggregates, head+")")
		}
	}
	p, err := s.SearchRuns(ctx, q)
	if err != nil {
		return nil, err
	}
	views, err := s.viewRuns(ctx, p.Runs)
	if err != nil {
		return nil, err
	}
	out := &runList{Items: make([]FoundRun, len(views)), Next: p.Next}
	if b.CountTotal {
		out.Total = &p.Total
	}
	metrics, params := map[string]bool{}, map[string]bool{}
	for i, v := range views {
		cols.prune(&v)
		out.Items[i] = FoundRun{RunView: v}
		for name, value := range p.Aggregates[v.ID] {
			if out.Items[i].Aggregates == nil {
				out.Items[i].Aggregates = map[string]Number{}
			}
			out.Items[i].Aggregates[name] = Number(value)
		}
		for k := range v.Metrics {
			metrics[k] = true
		}
		for k := range v.Params {
			params[k] = true
		}
	}
	out.MetricKeys, out.ParamKeys = sortedKeys(metrics), sortedKeys(params)
	return out, nil
}

// columns are the keys that a search wants of each run; nil wants all.
type columns struct {
	wanted     map[filter.Ref]bool
	aggregates []string
}

func readColumns(in []string) (columns, error) {
	var c columns
	for _, text := range in {
		ref, err := filter.ParseRef(text, runDialect())
		if err != nil {
			return c, err
		}
		if c.wanted == nil {
			c.wanted = map[filter.Ref]bool{}
		}
		if strings.Contains(text, "(") && ref.Entity == filter.Metric {
			c.aggregates = append(c.aggregates, text)
		} else {
			c.wanted[ref] = true
		}
	}
	return c, nil
}

func (c columns) prune(v *RunView) {
	if c.wanted == nil {
		return
	}
	maps.DeleteFunc(v.Metrics, func(k string, _ Number) bool { return !c.wanted[filter.Ref{Entity: filter.Metric, Key: k}] })
	maps.DeleteFunc(v.Params, func(k, _ string) bool { return !c.wanted[filter.Ref{Entity: filter.Param, Key: k}] })
	maps.DeleteFunc(v.Tags, func(k, _ string) bool { return !c.wanted[filter.Ref{Entity: filter.Tag, Key: k}] })
}

type keysView struct {
	Metrics []string `json:"metrics"`
	Params  []string `json:"params"`
	Tags    []string `json:"tags"`
}

func (s *Service) keysHTTP(ctx context.Context, in *byID) (*keysView, error) {
	e, err := s.Experiment(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	keys, err := s.experimentKeys(ctx, e.num)
	if err != nil {
		return nil, err
	}
	return &keysView{sortedKeys(keys[filter.Metric]), sortedKeys(keys[filter.Param]), sortedKeys(keys[filter.Tag])}, nil
}

type groupRunsIn struct {
	Body struct {
		ExperimentIDs []string `json:"experiment_ids,omitempty" doc:"empty: all experiments"`
		Filter        string   `json:"filter,omitempty"`
		View          View     `json:"view,omitempty" enum:"active,deleted,all"`
		By            []string `json:"by" minItems:"1" maxItems:"4" doc:"params.x, tags.x or text attributes such as attributes.status"`
		Metrics       []string `json:"metrics,omitempty" maxItems:"32" doc:"keys of metrics"`
	}
}

// GroupView is the runs that share their values of some keys.
type GroupView struct {
	Keys    map[string]*string    `json:"keys" doc:"by the names asked for; null where the runs have no value"`
	Runs    int                   `json:"runs"`
	Metrics map[string]SpreadView `json:"metrics" doc:"by key; missing where no run of the group has a number"`
}

// SpreadView sums up the last values of one metric in a group.
type SpreadView struct {
	Count   int    `json:"count" doc:"runs with a finite number"`
	Min     Number `json:"min"`
	Max     Number `json:"max"`
	Mean    Number `json:"mean"`
	Best    Number `json:"best" doc:"the smallest or the largest, by the experiment's tag modelyard.best.<key> or the name of the metric"`
	BestRun string `json:"best_run_id"`
}

type groupList struct {
	Items []GroupView `json:"items" doc:"the largest first, at most 1000"`
	More  bool        `json:"more" doc:"there are more groups"`
}

func (s *Service) groupRunsHTTP(ctx context.Context, in *groupRunsIn) (*groupList, error) {
	b := in.Body
	exps, err := s.orAll(ctx, b.ExperimentIDs)
	if err != nil {
		return nil, err
	}
	groups, more, err := s.GroupRuns(ctx, GroupQuery{ExperimentIDs: exps, Filter: b.Filter, View: b.View, By: b.By, Metrics: b.Metrics})
	if err != nil {
		return nil, err
	}
	out := &groupList{Items: make([]GroupView, len(groups)), More: more}
	for i, g := range groups {
		out.Items[i] = GroupView{Keys: g.Keys, Runs: g.Runs, Metrics: make(map[string]SpreadView, len(g.Metrics))}
		for k, m := range g.Metrics {
			out.Items[i].Metrics[k] = SpreadView{m.Count, Number(m.Min), Number(m.Max), Number(m.Mean), Number(m.Best), m.BestRun}
		}
	}
	return out, nil
}

type historiesIn struct {
	Body struct {
		Runs      []string `json:"runs" minItems:"1" maxItems:"200" doc:"ids"`
		Keys      []string `json:"keys" minItems:"1" maxItems:"50"`
		MaxPoints int      `json:"max_points,omitempty" minimum:"0" maximum:"10000" doc:"of each series; default 500"`
		StartStep *int64   `json:"start_step,omitempty"`
		EndStep   *int64   `json:"end_step,omitempty"`
	}
}

// SeriesView is the thinned history of one metric of one run.
type SeriesView struct {
	RunID  string `json:"run_id"`
	Key    string `json:"key"`
	Points Points `json:"points" doc:"by step; the smallest and largest of each stretch are kept"`
	Total  int    `json:"total" doc:"points before thinning"`
}

// Points is a list of points that is written to JSON fast.
type Points []PointView

// MarshalJSON writes what encoding/json would.
func (ps Points) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 2+len(ps)*72)
	b = append(b, '[')
	for i, p := range ps {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"step":`...)
		b = strconv.AppendInt(b, p.Step, 10)
		b = append(b, `,"time":"`...)
		b = p.Time.AppendFormat(b, time.RFC3339Nano)
		b = append(b, `","value":`...)
		v, err := p.Value.MarshalJSON()
		if err != nil {
			return nil, err
		}
		b = append(append(b, v...), '}')
	}
	return append(b, ']'), nil
}

type seriesList struct {
	Series []SeriesView `json:"series" doc:"those with points, by run and key as asked for"`
}

func (s *Service) historiesHTTP(ctx context.Context, in *historiesIn) (*seriesList, error) {
	b := in.Body
	q := ChartQuery{Runs: b.Runs, Keys: b.Keys, Most: page.Limit(b.MaxPoints, 500, 10_000), From: b.StartStep, To: b.EndStep}
	all, err := s.Charts(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &seriesList{Series: make([]SeriesView, 0, len(all))}
	for _, c := range all {
		v := SeriesView{RunID: c.RunID, Key: c.Key, Total: c.Total, Points: make(Points, len(c.Points))}
		for i, p := range c.Points {
			v.Points[i] = PointView{p.Step, time.UnixMilli(p.Time).UTC(), Number(p.Value)}
		}
		out.Series = append(out.Series, v)
	}
	return out, nil
}
