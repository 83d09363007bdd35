package tracking

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/page"
	"github.com/modelyard/modelyard/internal/tracking/filter"
)

func attribute(key string) filter.Ref { return filter.Ref{Entity: filter.Attribute, Key: key} }

func runSchema() filter.Schema {
	return filter.Schema{
		Attributes: map[string]filter.AttributeType{
			"run_id": filter.Listed, "run_name": filter.Text, "status": filter.Text, "user_id": filter.Text, "artifact_uri": filter.Text,
			"lifecycle_stage": filter.Text, "experiment_id": filter.Text, "start_time": filter.Number, "end_time": filter.Number,
		},
		Aliases:  map[string]string{"run name": "run_name", "Run name": "run_name", "Run Name": "run_name", "run_uuid": "run_id", "created": "start_time", "Created": "start_time"},
		Entities: []filter.Entity{filter.Metric, filter.Param, filter.Tag, filter.Dataset},
	}
}

// RunQuery is a search of runs. Filter and OrderBy are in the MLflow search language (package filter).
type RunQuery struct {
	ExperimentIDs []string
	Filter        string
	OrderBy       []string
	View          View
	Limit         int // 1 to MaxRunsPerPage; 0: DefaultRunsPerPage
	PageToken     string
}

// maxExperiments bounds the experiments of one search, and with them the length of its statements.
const maxExperiments = 10_000

// RunPage is a page of runs with their values.
type RunPage struct {
	Runs []Run
	Next string // token of the next page; empty at the end
}

// SearchRuns finds runs, by default the newest first. Kinds: Invalid for a filter, sort key or token that cannot be read.
func (s *Service) SearchRuns(ctx context.Context, q RunQuery) (RunPage, error) {
	start := time.Now()
	defer func() { s.metrics.seconds.Observe(time.Since(start).Seconds()) }()
	if q.View == "" {
		q.View = ViewActive
	}
	tree, orders, from, err := read(q.Filter, q.OrderBy, runSchema(), q.PageToken, q)
	if err != nil {
		return RunPage{}, err
	}
	if !slices.ContainsFunc(orders, func(o filter.Order) bool { return o.Ref == attribute("start_time") }) {
		orders = append(orders, filter.Order{Ref: attribute("start_time"), Desc: true})
	}
	if len(q.ExperimentIDs) > maxExperiments {
		return RunPage{}, errs.Invalidf("tracking.search", "a search takes at most %d experiments, got %d", maxExperiments, len(q.ExperimentIDs)).WithField("experiment_ids", "expected fewer ids")
	}
	limit := page.Limit(q.Limit, DefaultRunsPerPage, MaxRunsPerPage)
	exps := make([]int64, 0, len(q.ExperimentIDs))
	for _, eid := range q.ExperimentIDs {
		if n, err := parseExperimentID(eid); err == nil && !slices.Contains(exps, n) { // an unknown one has no runs
			exps = append(exps, n)
		}
	}
	refs := filter.Refs(tree, orders)
	if limit > DefaultRunsPerPage { // a large page reads its runs at once, not one by one
		refs = append(refs, attribute("status"))
	}
	t, runs, err := s.st.runTable(ctx, exps, q.View, refs)
	if err != nil {
		return RunPage{}, err
	}
	rows, more := t.page(tree, orders, from, limit, func(i int) string { return runs[i].ID })
	out := RunPage{Runs: make([]Run, len(rows))}
	for i, r := range rows {
		out.Runs[i] = runs[r]
	}
	if more {
		last := rows[len(rows)-1]
		out.Next = page.Encode(cursor{fingerprint(q), t.keys(orders, last), runs[last].ID})
	}
	if err := s.st.reload(ctx, out.Runs); err != nil {
		return RunPage{}, err
	}
	return out, s.st.fill(ctx, out.Runs)
}

// fingerprint ties a page token to what was searched; the page size may change between pages.
func fingerprint(query any) string {
	if q, ok := query.(RunQuery); ok {
		q.PageToken, q.Limit = "", 0
		query = q
	}
	b, _ := json.Marshal(query) // plain structs of strings
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// read parses what a search came with.
func read(text string, orderBy []string, schema filter.Schema, token string, query any) (filter.Node, []filter.Order, *cursor, error) {
	tree, err := filter.Parse(text, schema)
	if err != nil {
		return nil, nil, nil, err
	}
	orders, err := filter.ParseOrder(orderBy, schema)
	if err != nil || token == "" {
		return tree, orders, nil, err
	}
	var c cursor
	if err := page.Decode(token, &c); err != nil {
		return nil, nil, nil, err
	}
	if c.Query != fingerprint(query) {
		return nil, nil, nil, errs.Invalidf("tracking.search", "page_token belongs to another search").WithHint("start again without page_token")
	}
	return tree, orders, &c, nil
}

func experimentSchema() filter.Schema {
	return filter.Schema{
		Attributes: map[string]filter.AttributeType{"name": filter.Text, "experiment_id": filter.Listed, "creation_time": filter.Number, "last_update_time": filter.Number},
		Entities:   []filter.Entity{filter.Tag},
	}
}

// Query is a search of experiments or logged models.
type Query struct {
	ExperimentIDs []string // of models
	Filter        string
	OrderBy       []string
	View          View
	Limit         int
	PageToken     string
	Datasets      []DatasetRef // of models: metrics count only when measured on one of them
}

// DatasetRef names a dataset by name and, if given, digest.
type DatasetRef struct{ Name, Digest string }

func (q Query) mark() Query {
	q.PageToken, q.Limit = "", 0
	return q
}

// SearchExperiments finds experiments, by default the newest first.
func (s *Service) SearchExperiments(ctx context.Context, q Query) ([]Experiment, string, error) {
	if q.View == "" {
		q.View = ViewActive
	}
	tree, orders, from, err := read(q.Filter, q.OrderBy, experimentSchema(), q.PageToken, q.mark())
	if err != nil {
		return nil, "", err
	}
	if len(orders) == 0 {
		orders = []filter.Order{{Ref: attribute("creation_time"), Desc: true}}
	}
	if !slices.ContainsFunc(orders, func(o filter.Order) bool { return o.Ref == attribute("experiment_id") }) {
		orders = append(orders, filter.Order{Ref: attribute("num"), Desc: true})
	}
	all, err := s.st.experiments(ctx)
	if err != nil {
		return nil, "", err
	}
	all = slices.DeleteFunc(all, func(e Experiment) bool { return !q.View.shows(e.Lifecycle) })
	t := newTable(len(all))
	t.text(attribute("name"), func(i int) string { return all[i].Name })
	t.text(attribute("experiment_id"), func(i int) string { return all[i].ID })
	t.number(attribute("num"), func(i int) float64 { return float64(all[i].num) })
	t.number(attribute("creation_time"), func(i int) float64 { return float64(all[i].CreatedAt.UnixMilli()) })
	t.number(attribute("last_update_time"), func(i int) float64 { return float64(all[i].UpdatedAt.UnixMilli()) })
	for _, ref := range filter.Refs(tree, orders) {
		if ref.Entity == filter.Tag {
			t.tags(ref, func(i int) []Tag { return all[i].Tags })
		}
	}
	rows, more := t.page(tree, orders, from, page.Limit(q.Limit, DefaultRunsPerPage, MaxRunsPerPage), func(i int) string { return all[i].ID })
	out := make([]Experiment, len(rows))
	for i, r := range rows {
		out[i] = all[r]
	}
	if !more {
		return out, "", nil
	}
	last := rows[len(rows)-1]
	return out, page.Encode(cursor{fingerprint(q.mark()), t.keys(orders, last), all[last].ID}), nil
}

func (t *table) tags(ref filter.Ref, of func(i int) []Tag) {
	c := t.sparse(ref)
	for i := range t.n {
		for _, tag := range of(i) {
			if tag.Key == ref.Key {
				c.texts[i], c.has[i] = tag.Value, true
			}
		}
	}
}

func modelSchema() filter.Schema {
	return filter.Schema{
		Attributes: map[string]filter.AttributeType{
			"name": filter.Listed, "model_id": filter.Listed, "model_type": filter.Listed, "status": filter.Listed, "source_run_id": filter.Listed,
			"experiment_id": filter.Listed, "creation_timestamp": filter.Number, "last_updated_timestamp": filter.Number,
		},
		Aliases: map[string]string{"creation_time": "creation_timestamp", "creation_timestamp_ms": "creation_timestamp",
			"last_updated_timestamp_ms": "last_updated_timestamp"},
		Entities: []filter.Entity{filter.Metric, filter.Param, filter.Tag},
	}
}

// SearchModels finds logged models that are not deleted, by default the newest first.
func (s *Service) SearchModels(ctx context.Context, q Query) ([]LoggedModel, string, error) {
	tree, orders, from, err := read(q.Filter, q.OrderBy, modelSchema(), q.PageToken, q.mark())
	if err != nil {
		return nil, "", err
	}
	if !slices.ContainsFunc(orders, func(o filter.Order) bool { return o.Ref == attribute("creation_timestamp") }) {
		orders = append(orders, filter.Order{Ref: attribute("creation_timestamp"), Desc: true})
	}
	var all []LoggedModel
	for _, eid := range q.ExperimentIDs {
		num, err := parseExperimentID(eid)
		if err != nil {
			continue // an unknown one has no models
		}
		some, err := s.st.models(ctx, "m.exp = ? AND m.deleted_at = 0", num)
		if err != nil {
			return nil, "", err
		}
		all = append(all, some...)
	}
	t := newTable(len(all))
	t.text(attribute("name"), func(i int) string { return all[i].Name })
	t.text(attribute("model_id"), func(i int) string { return all[i].ID })
	t.text(attribute("model_type"), func(i int) string { return all[i].Type })
	t.text(attribute("status"), func(i int) string { return string(all[i].Status) })
	t.text(attribute("source_run_id"), func(i int) string { return all[i].RunID })
	t.text(attribute("experiment_id"), func(i int) string { return all[i].ExperimentID })
	t.number(attribute("creation_timestamp"), func(i int) float64 { return float64(all[i].CreatedAt.UnixMilli()) })
	t.number(attribute("last_updated_timestamp"), func(i int) float64 { return float64(all[i].UpdatedAt.UnixMilli()) })
	for _, ref := range filter.Refs(tree, orders) {
		t.modelColumn(ref, all, q.Datasets)
	}
	rows, more := t.page(tree, orders, from, page.Limit(q.Limit, 100, DefaultRunsPerPage), func(i int) string { return all[i].ID })
	out := make([]LoggedModel, len(rows))
	for i, r := range rows {
		out[i] = all[r]
	}
	if !more {
		return out, "", nil
	}
	last := rows[len(rows)-1]
	return out, page.Encode(cursor{fingerprint(q.mark()), t.keys(orders, last), all[last].ID}), nil
}

func (t *table) modelColumn(ref filter.Ref, all []LoggedModel, datasets []DatasetRef) {
	switch ref.Entity {
	case filter.Tag:
		t.tags(ref, func(i int) []Tag { return all[i].Tags })
	case filter.Param:
		c := t.sparse(ref)
		for i := range all {
			for _, p := range all[i].Params {
				if p.Key == ref.Key {
					c.texts[i], c.has[i] = p.Value, true
				}
			}
		}
	case filter.Metric:
		c := t.sparse(ref)
		for i := range all {
			for _, m := range all[i].Metrics { // ordered by time: the last one counts
				on := len(datasets) == 0 || slices.ContainsFunc(datasets, func(d DatasetRef) bool {
					return d.Name == m.DatasetName && (d.Digest == "" || d.Digest == m.DatasetDigest)
				})
				if m.Key == ref.Key && on {
					c.nums[i], c.has[i] = m.Value, true
				}
			}
		}
	}
}
