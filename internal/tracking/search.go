package tracking

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
	"github.com/modelyard/modelyard/internal/platform/page"
	"github.com/modelyard/modelyard/internal/platform/space"
)

func attribute(key string) filter.Ref { return filter.Ref{Entity: filter.Attribute, Key: key} }

// attributes is the family of a noun's own fields, which need no name before them.
func attributes(keys map[string]filter.Type, aliases map[string]string) filter.Family {
	return filter.Family{Entity: filter.Attribute, Names: []string{"attributes", "attribute", "attr", "run", "model"}, Keys: keys, Aliases: aliases}
}

func metricFamily() filter.Family {
	return filter.Family{Entity: filter.Metric, Names: []string{"metrics", "metric"}, Type: filter.Number}
}

func paramFamily() filter.Family {
	return filter.Family{Entity: filter.Param, Names: []string{"params", "param", "parameters", "parameter"}}
}

func tagFamily() filter.Family {
	return filter.Family{Entity: filter.Tag, Names: []string{"tags", "tag"}}
}

func runDialect() filter.Dialect {
	m := metricFamily()
	m.Aggregates = true
	return filter.Dialect{
		attributes(map[string]filter.Type{"run_id": filter.Text, "run_name": filter.Text, "status": filter.Text, "user_id": filter.Text, "artifact_uri": filter.Text,
			"lifecycle_stage": filter.Text, "experiment_id": filter.Text, "start_time": filter.Number, "end_time": filter.Number, tookKey: filter.Number},
			map[string]string{"run name": "run_name", "Run name": "run_name", "Run Name": "run_name", "run_uuid": "run_id", "created": "start_time", "Created": "start_time"}),
		m, paramFamily(), tagFamily(),
		{Entity: filter.Dataset, Names: []string{"datasets", "dataset"}, Unordered: true, Keys: map[string]filter.Type{"name": filter.Text, "digest": filter.Text, "context": filter.Text}},
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

	Offset     int      // rows to leave out before the page, for tables that jump; not with PageToken
	Aggregates []string // such as min(metrics.loss): values wanted beside the runs
}

// maxOffset bounds Offset.
const maxOffset = 1_000_000

// maxExperiments bounds the experiments of one search, and with them the length of its statements.
const maxExperiments = 10_000

// RunPage is a page of runs with their values.
type RunPage struct {
	Runs       []Run
	Next       string                        // token of the next page; empty at the end
	Total      int                           // all that was found, on this page and elsewhere
	Aggregates map[string]map[string]float64 // by run id and name of the aggregate, where there is a value
}

// SearchRuns finds runs, by default the newest first. What the runs hold is shared with other callers: read it only. Kinds: Invalid for
// a filter, sort key or token that cannot be read.
func (s *Service) SearchRuns(ctx context.Context, q RunQuery) (RunPage, error) {
	start := time.Now()
	defer func() { s.metrics.seconds.Observe(time.Since(start).Seconds()) }()
	if q.View == "" {
		q.View = ViewActive
	}
	tree, orders, from, err := read(q.Filter, q.OrderBy, runDialect(), q.PageToken, q)
	if err != nil {
		return RunPage{}, err
	}
	if !slices.ContainsFunc(orders, func(o filter.Order) bool { return o.Ref == attribute("start_time") }) {
		orders = append(orders, filter.Order{Ref: attribute("start_time"), Desc: true})
	}
	exps, err := s.experimentNumbers(ctx, q.ExperimentIDs)
	if err != nil {
		return RunPage{}, err
	}
	aggregates, err := q.aggregates()
	if err != nil {
		return RunPage{}, err
	}
	if err := s.searching.enter(ctx); err != nil {
		return RunPage{}, err
	}
	defer s.searching.leave()
	limit := page.Limit(q.Limit, DefaultRunsPerPage, MaxRunsPerPage)
	find := search{tree: shown(tree, q.View), orders: orders, from: from, most: q.Offset + limit + 1, aggregates: aggregates}
	found, total, err := s.findRows(ctx, exps, find)
	if err != nil {
		return RunPage{}, err
	}
	out := RunPage{Total: total, Aggregates: map[string]map[string]float64{}}
	found = found[min(q.Offset, len(found)):]
	if len(found) > limit {
		found = found[:limit]
		last := found[limit-1]
		out.Next = page.Encode(cursor{fingerprint(q), last.keys, last.id})
	}
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].id
		if len(aggregates) > 0 {
			out.Aggregates[ids[i]] = found[i].named(aggregates)
		}
	}
	out.Runs, err = s.st.cachedRuns(ctx, ids)
	return out, err
}

// aggregates checks Offset too, which is no matter of its own.
func (q RunQuery) aggregates() ([]filter.Ref, error) {
	if q.Offset < 0 || q.Offset > maxOffset || (q.Offset > 0 && q.PageToken != "") {
		return nil, errs.Invalidf("tracking.search", "the offset cannot be used").WithField("offset", "expected 0 to %d, and no page_token beside it", maxOffset)
	}
	if len(q.Aggregates) > maxColumns {
		return nil, errs.Invalidf("tracking.search", "a search takes at most %d columns, got %d", maxColumns, len(q.Aggregates)).WithField("columns", "ask for fewer")
	}
	var out []filter.Ref
	for _, text := range q.Aggregates {
		ref, err := filter.ParseRef(text, runDialect())
		if err != nil {
			return nil, err
		}
		if ref.Entity == filter.Metric && !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	return out, nil
}

// maxColumns bounds the columns that a search may ask for.
const maxColumns = 500

// shown adds the view to a filter.
func shown(tree filter.Node, view View) filter.Node {
	if view == ViewAll {
		return tree
	}
	only := &filter.Compare{Ref: attribute("lifecycle_stage"), Op: filter.Eq, Text: string(view)}
	if tree == nil {
		return only
	}
	return &filter.And{Parts: []filter.Node{only, tree}}
}

// experimentNumbers reads the ids of a search, each once; one that is unknown, or that the request may not see, has no runs.
func (s *Service) experimentNumbers(ctx context.Context, ids []string) ([]int64, error) {
	if len(ids) > maxExperiments {
		return nil, errs.Invalidf("tracking.search", "a search takes at most %d experiments, got %d", maxExperiments, len(ids)).WithField("experiment_ids", "expected fewer ids")
	}
	exps := make([]int64, 0, len(ids))
	for _, eid := range ids {
		if n, err := s.st.experimentNumber(ctx, eid); err == nil {
			exps = append(exps, n)
		}
	}
	slices.Sort(exps)
	return slices.Compact(exps), nil
}

// search is what is looked for in each experiment.
type search struct {
	tree       filter.Node
	orders     []filter.Order
	from       *cursor
	most       int
	aggregates []filter.Ref
}

func (q search) refs() []filter.Ref {
	refs := filter.Refs(q.tree, q.orders)
	for _, r := range q.aggregates {
		if !slices.Contains(refs, r) {
			refs = append(refs, r)
		}
	}
	return refs
}

// row is a run that was found.
type row struct {
	id     string
	keys   []key     // nil where nobody compares: all but the last of the rows of one experiment
	values []float64 // of the aggregates
}

// named gives the aggregates of a row that have a value, as clients write them.
func (r row) named(refs []filter.Ref) map[string]float64 {
	out := map[string]float64{}
	for i, ref := range refs {
		if !isAbsent(r.values[i]) {
			out[aggregateName(ref)] = r.values[i]
		}
	}
	return out
}

func aggregateName(ref filter.Ref) string {
	of := string(ref.Of)
	if ref.Of == filter.Last {
		of = "last"
	}
	return of + "(metrics." + ref.Key + ")"
}

// findRows searches experiment by experiment, keeps the first rows of all, and counts what passes the filter.
func (s *Service) findRows(ctx context.Context, exps []int64, q search) (all []row, total int, err error) {
	s.searched.Store(time.Now().UnixNano())
	refs := q.refs()
	for _, exp := range exps {
		best, err := s.st.bestOf(ctx, exp, refs)
		if err != nil {
			return nil, 0, err
		}
		some, n, err := s.findIn(ctx, exp, best.refs(refs), best.search(q), len(exps) > 1)
		if err != nil {
			return nil, 0, err
		}
		total += n
		if len(all) == 0 {
			all = some
		} else if len(some) > 0 {
			all = mergeRows(all, some, q.orders, q.most)
		}
	}
	return all, total, nil
}

func (s *Service) findIn(ctx context.Context, exp int64, refs []filter.Ref, q search, keyed bool) ([]row, int, error) {
	sh, err := s.st.index.open(ctx, exp, refs)
	if err != nil {
		return nil, 0, err
	}
	defer s.st.index.close(sh)
	by := sh.table.order(q.orders)
	hits := sh.table.match(q.tree)
	rows := by.top(hits, q.from, q.most)
	out := make([]row, len(rows))
	for i, r := range rows {
		out[i].id = sh.ids[r]
		if keyed || i >= q.most-2 { // the last of the page makes its token
			out[i].keys = by.at(r)
		}
		for _, ref := range q.aggregates {
			out[i].values = append(out[i].values, sh.table.cols[ref].nums[r])
		}
	}
	return out, hits.count(), nil
}

func mergeRows(a, b []row, orders []filter.Order, most int) []row {
	out := make([]row, 0, min(len(a)+len(b), most))
	for len(out) < most && len(a)+len(b) > 0 {
		if len(b) == 0 || (len(a) > 0 && a[0].compare(b[0], orders) < 0) {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out
}

func (r row) compare(with row, orders []filter.Order) int {
	for k, o := range orders {
		if d := r.keys[k].compare(with.keys[k], o.Desc); d != 0 {
			return d
		}
	}
	return strings.Compare(r.id, with.id)
}

// gate bounds how many searches run at once, so that on few processors they leave room for those who write.
type gate chan struct{}

func newGate(n int) gate { return make(gate, n) }

func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() { <-g }

// fingerprint ties a page token to what was searched; the page size may change between pages.
func fingerprint(query any) string {
	if q, ok := query.(RunQuery); ok {
		q.PageToken, q.Limit, q.Offset, q.Aggregates = "", 0, 0, nil
		query = q
	}
	b, _ := json.Marshal(query) // plain structs of strings
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// read parses what a search came with.
func read(text string, orderBy []string, d filter.Dialect, token string, query any) (filter.Node, []filter.Order, *cursor, error) {
	tree, err := filter.Parse(text, d)
	if err != nil {
		return nil, nil, nil, err
	}
	orders, err := filter.ParseOrder(orderBy, d)
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

func experimentDialect() filter.Dialect {
	return filter.Dialect{
		attributes(map[string]filter.Type{"name": filter.Text, "experiment_id": filter.Text, "creation_time": filter.Number, "last_update_time": filter.Number}, nil),
		tagFamily(),
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
	Workspace     string       // of experiments: the only one to look in; "" for all that the request sees
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
	tree, orders, from, err := read(q.Filter, q.OrderBy, experimentDialect(), q.PageToken, q.mark())
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
	all = slices.DeleteFunc(all, func(e Experiment) bool {
		return !q.View.shows(e.Lifecycle) || !space.Sees(ctx, e.Workspace) || (q.Workspace != "" && q.Workspace != e.Workspace)
	})
	t := newTable(len(all), func(i int) string { return all[i].ID })
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
	rows, next := t.page(tree, orders, from, page.Limit(q.Limit, DefaultRunsPerPage, MaxRunsPerPage), fingerprint(q.mark()))
	out := make([]Experiment, len(rows))
	for i, r := range rows {
		out[i] = all[r]
	}
	return out, next, nil
}

func (t *table) tags(ref filter.Ref, of func(i int) []Tag) {
	c := t.sparse(ref)
	for i := range t.n {
		for _, tag := range of(i) {
			if tag.Key == ref.Key {
				c.codes[i] = c.dict.code(tag.Value)
			}
		}
	}
}

func modelDialect() filter.Dialect {
	m := metricFamily()
	m.Aggregates = true
	return filter.Dialect{
		attributes(map[string]filter.Type{"name": filter.Text, "model_id": filter.Text, "model_type": filter.Text, "status": filter.Text, "source_run_id": filter.Text,
			"experiment_id": filter.Text, "creation_timestamp": filter.Number, "last_updated_timestamp": filter.Number},
			map[string]string{"creation_time": "creation_timestamp", "creation_timestamp_ms": "creation_timestamp", "last_updated_timestamp_ms": "last_updated_timestamp"}),
		m, paramFamily(), tagFamily(),
	}
}

// SearchModels finds logged models that are not deleted, by default the newest first.
func (s *Service) SearchModels(ctx context.Context, q Query) ([]LoggedModel, string, error) {
	tree, orders, from, err := read(q.Filter, q.OrderBy, modelDialect(), q.PageToken, q.mark())
	if err != nil {
		return nil, "", err
	}
	if !slices.ContainsFunc(orders, func(o filter.Order) bool { return o.Ref == attribute("creation_timestamp") }) {
		orders = append(orders, filter.Order{Ref: attribute("creation_timestamp"), Desc: true})
	}
	var all []LoggedModel
	for _, eid := range q.ExperimentIDs {
		num, err := s.st.experimentNumber(ctx, eid)
		if err != nil {
			continue // one that is unknown, or not to be seen, has no models
		}
		some, err := s.st.models(ctx, "m.exp = ? AND m.deleted_at = 0", num)
		if err != nil {
			return nil, "", err
		}
		all = append(all, some...)
	}
	t := newTable(len(all), func(i int) string { return all[i].ID })
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
	rows, next := t.page(tree, orders, from, page.Limit(q.Limit, 100, DefaultRunsPerPage), fingerprint(q.mark()))
	out := make([]LoggedModel, len(rows))
	for i, r := range rows {
		out[i] = all[r]
	}
	return out, next, nil
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
					c.codes[i] = c.dict.code(p.Value)
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
				switch {
				case m.Key != ref.Key || !on:
				case ref.Of == filter.Min || (ref.Of == filter.Best && lowerIsBetter(m.Key)):
					c.nums[i] = extreme(c.nums[i], m.Value, -1)
				case ref.Of != filter.Last:
					c.nums[i] = extreme(c.nums[i], m.Value, 1)
				default:
					c.nums[i] = plain(m.Value)
				}
			}
		}
	}
}
