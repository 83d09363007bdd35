package tracking

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
)

// world makes random changes and searches of a few experiments.
type world struct {
	s    *Service
	exps []string
	mu   sync.Mutex
	runs []string
}

func (w *world) run(r *rand.Rand) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.runs) == 0 {
		return "none"
	}
	return w.runs[r.IntN(len(w.runs))]
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func someNumber(r *rand.Rand) float64 {
	return pick(r, math.NaN(), math.Inf(1), math.Inf(-1), 0, -1, 1, .5, .25, 2, 1e300)
}

func someText(r *rand.Rand) string { return pick(r, "", "a", "b", "abc", "Ab", "ä", "c_%") }

// change does one random thing. What the rules of tracking refuse is no failure.
func (w *world) change(t *testing.T, r *rand.Rand) {
	ctx, id := t.Context(), w.run(r)
	var err error
	switch r.IntN(12) {
	case 0, 1:
		var made Run
		made, err = w.s.CreateRun(ctx, NewRun{ExperimentID: pick(r, w.exps...), Name: "n" + someText(r), User: someText(r), StartTime: time.UnixMilli(1 + r.Int64N(50)),
			Tags: []Tag{{"t1", someText(r)}}})
		if err == nil {
			w.mu.Lock()
			w.runs = append(w.runs, made.ID)
			w.mu.Unlock()
		}
	case 2:
		err = w.s.DeleteTag(ctx, id, pick(r, "t1", "t2"))
	case 3:
		st, end := pick(r, StatusFinished, StatusFailed, StatusRunning), time.UnixMilli(r.Int64N(100)+1)
		name := "n" + someText(r)
		_, err = w.s.UpdateRun(ctx, id, RunChange{Status: &st, EndTime: &end, Name: &name})
	case 4:
		if r.IntN(4) == 0 {
			err = w.s.DeleteRun(ctx, id)
		} else {
			err = w.s.RestoreRun(ctx, id)
		}
	case 5:
		err = w.s.LogInputs(ctx, id, []DatasetInput{{Name: pick(r, "d1", "d2"), Digest: pick(r, "x", "y"), SourceType: "http", Tags: []Tag{{tagContext, someText(r)}}}}, nil)
	case 6:
		if e := pick(r, w.exps...); r.IntN(6) == 0 {
			err = w.s.DeleteExperiment(ctx, e)
		} else {
			err = w.s.RestoreExperiment(ctx, e)
		}
	default:
		var b Batch
		for range r.IntN(4) {
			b.Metrics = append(b.Metrics, Metric{Key: pick(r, "acc", "loss"), Point: Point{Step: r.Int64N(3), Time: r.Int64N(3), Value: someNumber(r)}})
		}
		for range r.IntN(2) {
			b.Params = append(b.Params, Param{pick(r, "p1", "p2"), someText(r)})
		}
		for range r.IntN(3) {
			b.Tags = append(b.Tags, Tag{pick(r, "t1", "t2", TagRunName), someText(r)})
		}
		err = w.s.LogBatch(ctx, id, b)
	}
	if k := errs.KindOf(err); err != nil && k != errs.Invalid && k != errs.NotFound {
		t.Errorf("%v", err)
	}
}

func someFilter(r *rand.Rand, depth int) string {
	if depth > 0 && r.IntN(2) == 0 {
		a, b := someFilter(r, depth-1), someFilter(r, depth-1)
		return pick(r, "("+a+" AND "+b+")", "("+a+" OR "+b+")", "NOT "+a, "("+a+" AND NOT "+b+")")
	}
	text := func(key string) string {
		return key + pick(r, " = 'a'", " != 'a'", " LIKE 'a%'", " LIKE '_b%'", " ILIKE 'AB%'", " IN ('a', 'ä')", " NOT IN ('a', '')", " IS NULL", " IS NOT NULL", " = 'never'")
	}
	number := func(key, v string) string {
		return key + pick(r, " = ", " != ", " < ", " <= ", " > ", " >= ") + v
	}
	return pick(r, text("params.p1"), text("tags.t1"), text("tags.t2"), text("run_name"), text("user_id"), text("datasets.name"), text("datasets.context"),
		number("metrics.acc", pick(r, "0.5", "0", "1e300", "-1")), number(pick(r, "min(metrics.acc)", "max(metrics.loss)", "best(metrics.loss)", "best(metrics.acc)"), "0.5"),
		"metrics.loss IS NULL", "metrics.acc NOT IN (1, 0.5)", number("start_time", "25"), number("end_time", "50"), number("duration_s", "0.02"), "status = 'FINISHED'", text("metrics.acc IS NULL OR params.p2"),
		"run_id LIKE '%0'", "datasets.digest != 'x'")
}

func someOrder(r *rand.Rand) []string {
	var out []string
	for range r.IntN(3) {
		out = append(out, pick(r, "metrics.acc", "min(metrics.loss)", "best(metrics.acc)", "params.p1", "tags.t1", "run_name", "start_time", "end_time", "duration_s", "status")+pick(r, " ASC", " DESC", ""))
	}
	return out
}

// naive is a search by reading everything, as the reference for the index.
type naive struct {
	runs   []Run
	points map[string][]Point // by run and key
}

func (w *world) naive(t *testing.T) naive {
	t.Helper()
	var ids []string
	rows := must(w.s.d.DB.Query(t.Context(), "SELECT id FROM run"))(t)
	for rows.Next() {
		var id string
		ok(t, rows.Scan(&id))
		ids = append(ids, id)
	}
	ok(t, rows.Close())
	n := naive{points: map[string][]Point{}}
	n.runs = must(w.s.st.runsByID(t.Context(), ids))(t)
	for _, r := range n.runs {
		for _, m := range r.Metrics {
			n.points[r.ID+m.Key] = must(w.s.History(t.Context(), r.ID, m.Key))(t)
		}
	}
	return n
}

// value gives what a run has: numbers or texts, nothing when it is not there.
func (n naive) value(r Run, ref filter.Ref) (nums []float64, texts []string) {
	if ref.Of == filter.Best {
		ref.Of = filter.Max
		if ref.Key == "loss" {
			ref.Of = filter.Min
		}
	}
	switch ref.Entity {
	case filter.Metric:
		for _, m := range r.Metrics {
			switch {
			case m.Key != ref.Key:
			case ref.Of == filter.Last:
				nums = append(nums, m.Value)
			default:
				best := math.NaN()
				for _, p := range n.points[r.ID+m.Key] {
					if math.IsNaN(best) || (ref.Of == filter.Min && p.Value < best) || (ref.Of == filter.Max && p.Value > best) {
						best = p.Value
					}
				}
				nums = append(nums, best)
			}
		}
	case filter.Param:
		for _, p := range r.Params {
			if p.Key == ref.Key {
				texts = append(texts, p.Value)
			}
		}
	case filter.Tag:
		for _, p := range r.Tags {
			if p.Key == ref.Key {
				texts = append(texts, p.Value)
			}
		}
	case filter.Dataset:
		for _, d := range r.Inputs {
			texts = append(texts, map[string]string{"name": d.Name, "digest": d.Digest, "context": d.Context}[ref.Key])
		}
	default:
		switch ref.Key {
		case "start_time":
			nums = append(nums, float64(r.StartTime.UnixMilli()))
		case "end_time":
			if !r.EndTime.IsZero() {
				nums = append(nums, float64(r.EndTime.UnixMilli()))
			}
		case "duration_s":
			if !r.EndTime.IsZero() {
				nums = append(nums, r.EndTime.Sub(r.StartTime).Seconds())
			}
		default:
			texts = append(texts, map[string]string{"run_id": r.ID, "run_name": r.Name, "user_id": r.User, "status": string(r.Status)}[ref.Key])
		}
	}
	return nums, texts
}

func (n naive) passes(r Run, node filter.Node) bool {
	switch x := node.(type) {
	case *filter.And:
		return !slices.ContainsFunc(x.Parts, func(p filter.Node) bool { return !n.passes(r, p) })
	case *filter.Or:
		return slices.ContainsFunc(x.Parts, func(p filter.Node) bool { return n.passes(r, p) })
	case *filter.Not:
		return !n.passes(r, x.Part)
	case *filter.Compare:
		nums, texts := n.value(r, x.Ref)
		switch x.Op {
		case filter.IsNull:
			return len(nums)+len(texts) == 0
		case filter.NotNull:
			return len(nums)+len(texts) > 0
		}
		return slices.ContainsFunc(texts, x.Texts()) || slices.ContainsFunc(nums, func(v float64) bool {
			switch x.Op {
			case filter.Eq:
				return v == x.Number
			case filter.Ne:
				return v != x.Number
			case filter.Lt:
				return v < x.Number
			case filter.Le:
				return v <= x.Number
			case filter.Gt:
				return v > x.Number
			case filter.Ge:
				return v >= x.Number
			case filter.In:
				return slices.Contains(x.Numbered, v)
			}
			return !slices.Contains(x.Numbered, v)
		})
	}
	return true
}

func (n naive) search(t *testing.T, q RunQuery) []string {
	t.Helper()
	tree := must(filter.Parse(q.Filter, runDialect()))(t)
	orders := append(must(filter.ParseOrder(q.OrderBy, runDialect()))(t), filter.Order{Ref: attribute("start_time"), Desc: true})
	var hits []Run
	for _, r := range n.runs {
		if slices.Contains(q.ExperimentIDs, r.ExperimentID) && q.View.shows(r.Lifecycle) && n.passes(r, tree) {
			hits = append(hits, r)
		}
	}
	slices.SortFunc(hits, func(a, b Run) int {
		for _, o := range orders {
			an, at := n.value(a, o.Ref)
			bn, bt := n.value(b, o.Ref)
			rank := func(nums []float64, texts []string) int {
				switch {
				case len(nums)+len(texts) == 0:
					return 2
				case len(nums) > 0 && math.IsNaN(nums[0]):
					return 1
				}
				return 0
			}
			d := cmp.Compare(rank(an, at), rank(bn, bt))
			if d == 0 && rank(an, at) == 0 {
				d = cmp.Or(slices.Compare(an, bn), slices.Compare(at, bt))
				if o.Desc {
					d = -d
				}
			}
			if d != 0 {
				return d
			}
		}
		return strings.Compare(a.ID, b.ID)
	})
	out := make([]string, len(hits))
	for i, h := range hits {
		out[i] = h.ID
	}
	return out
}

// check compares searches, page by page, with the naive ones, and every column with the store.
func (w *world) check(t *testing.T, r *rand.Rand) {
	t.Helper()
	reference := w.naive(t)
	for range 25 {
		q := RunQuery{ExperimentIDs: w.exps[:1+r.IntN(len(w.exps))], Filter: someFilter(r, 3), OrderBy: someOrder(r), View: pick(r, ViewActive, ViewAll, ViewDeleted), Limit: pick(r, 3, 7, 1000)}
		want := reference.search(t, q)
		var got []string
		for {
			p := must(w.s.SearchRuns(t.Context(), q))(t)
			for _, run := range p.Runs {
				got = append(got, run.ID)
			}
			if q.PageToken = p.Next; p.Next == "" || len(got) > len(want) {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q by %v in %v, %s:\n got %v\nwant %v", q.Filter, q.OrderBy, q.ExperimentIDs, q.View, got, want)
		}
	}
	w.s.st.index.mu.Lock()
	var shards []*shard
	for _, sh := range w.s.st.index.exps {
		shards = append(shards, sh)
	}
	w.s.st.index.mu.Unlock()
	for _, sh := range shards {
		w.compareShard(t, sh)
	}
}

func (w *world) compareShard(t *testing.T, sh *shard) {
	t.Helper()
	var refs []filter.Ref
	for ref := range sh.table.cols {
		refs = append(refs, ref)
	}
	have := must(w.s.st.index.open(t.Context(), sh.exp, refs))(t)
	defer w.s.st.index.close(have)
	fresh := newIndex(w.s.st, 1<<20)
	read := must(fresh.open(t.Context(), sh.exp, refs))(t)
	defer fresh.close(read)
	if len(have.ids) != len(read.ids) || have.table.n != len(have.ids) {
		t.Fatalf("experiment %d: %d runs in the index, %d in the store", sh.exp, len(have.ids), len(read.ids))
	}
	for num, row := range read.at {
		mine, known := have.at[num]
		if !known || have.ids[mine] != read.ids[row] {
			t.Fatalf("run %d is not in the index", num)
		}
		for _, ref := range refs {
			a, b := have.table.cols[ref].show(mine), read.table.cols[ref].show(row)
			if a != b {
				t.Fatalf("%s of run %d: %s in the index, %s in the store", ref, num, a, b)
			}
		}
	}
}

func (c *column) show(row int) string {
	switch {
	case c.nums != nil && isAbsent(c.nums[row]):
		return "absent"
	case c.nums != nil:
		return fmt.Sprint(c.nums[row])
	case c.text != nil:
		return c.text(row)
	case c.multi != nil:
		var out []string
		for _, code := range c.multi[row] {
			out = append(out, c.dict.values[code])
		}
		return fmt.Sprintf("%q", out)
	case c.codes[row] == 0:
		return "absent"
	}
	return fmt.Sprintf("%q", c.dict.values[c.codes[row]])
}

// TestStoreIndexFollowsWrites: however writes, searches and forgetting mix, searches give what a naive scan of the store gives, and the
// index holds what the store holds.
func TestStoreIndexFollowsWrites(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		w := &world{s: s}
		for i := range 3 {
			w.exps = append(w.exps, must(s.CreateExperiment(t.Context(), NewExperiment{Name: fmt.Sprint("e", i)}))(t))
		}
		seed := rand.Uint64() //nolint:gosec // printed, to repeat a failure
		t.Log("seed", seed)
		for round := range uint64(4) {
			var wg sync.WaitGroup
			for g := range uint64(4) {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(seed, round*10+g)) //nolint:gosec // no secret
					for range 60 {
						w.change(t, r)
						if r.IntN(3) == 0 {
							_, err := s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: w.exps, Filter: someFilter(r, 2), OrderBy: someOrder(r), Limit: 5})
							if err != nil {
								t.Error(err)
							}
						}
						if id := w.run(r); id != "none" {
							must(s.Run(t.Context(), id))(t)
						}
						if r.IntN(40) == 0 {
							s.st.forget(1)
						}
					}
				})
			}
			wg.Wait()
			r := rand.New(rand.NewPCG(seed, round)) //nolint:gosec // no secret
			for _, e := range w.exps {
				_ = s.RestoreExperiment(t.Context(), e) // Invalid when it is active
			}
			w.check(t, r)
			for _, id := range w.runs {
				cached, read := must(s.Run(t.Context(), id))(t), must(s.st.runsByID(t.Context(), []string{id}))(t)[0]
				if a, b := fmt.Sprintf("%+v", cached), fmt.Sprintf("%+v", read); a != b {
					t.Fatalf("the cache has\n%s\nthe store has\n%s", a, b)
				}
			}
		}
	})
}

// TestIndexIsBounded: experiments that were not used for longest go first, a flood of changes that nobody reads is dropped, and all of it
// is found again.
func TestIndexIsBounded(t *testing.T) {
	t.Parallel()
	s, _ := start(t, dbtest.SQLite(t))
	s.st.index.limit = 20_000
	for i := range 12 {
		eid := must(s.CreateExperiment(t.Context(), NewExperiment{Name: fmt.Sprint("e", i)}))(t)
		for range 30 {
			must(s.CreateRun(t.Context(), NewRun{ExperimentID: eid}))(t)
		}
	}
	for range 2 {
		for i := range 12 {
			p := must(s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: []string{fmt.Sprint(i + 1)}, Filter: "status = 'RUNNING'"}))(t)
			if len(p.Runs) != 30 {
				t.Fatalf("%d runs", len(p.Runs))
			}
		}
	}
	if x := s.st.index; len(x.exps) > 6 || x.total > x.limit {
		t.Fatalf("%d experiments, %d bytes are kept", len(x.exps), x.total)
	}
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprint(1000 + i)
	}
	before := len(s.st.index.exps)
	must(s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: many}))(t)
	if n := len(s.st.index.exps); n != before {
		t.Errorf("%d experiments that are not there are kept", n-before)
	}
	sh := must(s.st.index.open(t.Context(), 12, nil))(t) // as a search that takes long
	for range maxCells/1000 + 1 {
		u := &update{exp: 12, run: 1, cells: make([]cell, 1000)}
		s.st.index.publish(u)
	}
	if !sh.isGone() || sh.pending != nil {
		t.Error("changes pile up without bound")
	}
	s.st.index.close(sh)
	if p := must(s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: []string{"12"}}))(t); len(p.Runs) != 30 {
		t.Errorf("%d runs", len(p.Runs))
	}
}
