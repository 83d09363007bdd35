package tracking

import (
	"context"
	"database/sql"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
)

// scan reads rows with one function for each.
func (st *store) scan(ctx context.Context, each func(rows *sql.Rows) error, query string, args ...any) error {
	rows, err := st.db.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// loadRuns fills a shard with the runs of its experiment: their ids, starts and lifecycles, which every search needs.
func (st *store) loadRuns(ctx context.Context, sh *shard) error {
	var nums []int64
	var ids []string
	var starts []float64
	lifecycles := textColumn(0)
	err := st.scan(ctx, func(rows *sql.Rows) error {
		var num, start int64
		var id string
		var lifecycle sql.RawBytes
		if err := rows.Scan(&num, &id, &start, &lifecycle); err != nil {
			return err
		}
		code, ok := lifecycles.dict.codes[string(lifecycle)]
		if !ok {
			code = lifecycles.dict.code(string(lifecycle))
		}
		nums, ids, starts = append(nums, num), append(ids, id), append(starts, float64(clock.FromMicros(start).UnixMilli()))
		lifecycles.codes = append(lifecycles.codes, code)
		return nil
	}, "SELECT num, id, start_at, lifecycle FROM run WHERE exp = ? ORDER BY num", sh.exp)
	if err != nil {
		return err
	}
	sh.ids, sh.at = ids, make(map[int64]int, len(nums))
	for row, num := range nums {
		sh.at[num] = row
	}
	eid := strconv.FormatInt(sh.exp, 10)
	id := func(row int) string { return sh.ids[row] }
	t := newTable(len(nums), id)
	t.text(attribute("run_id"), id)
	t.text(attribute("experiment_id"), func(int) string { return eid })
	t.text(attribute("artifact_uri"), func(row int) string { return Run{ID: sh.ids[row], ExperimentID: eid}.ArtifactURI() })
	t.cols[attribute("start_time")] = &column{nums: starts[:len(starts):len(starts)]}
	if starts == nil {
		t.cols[attribute("start_time")] = numberColumn(0)
	}
	t.cols[attribute("lifecycle_stage")] = lifecycles
	sh.table = t
	return nil
}

// loadColumn reads one column of a shard.
func (st *store) loadColumn(ctx context.Context, sh *shard, ref filter.Ref) (*column, error) {
	c := newColumn(ref, sh.table.n)
	var err error
	switch ref.Entity {
	case filter.Metric:
		err = st.loadMetric(ctx, sh, ref, c)
	case filter.Param:
		err = st.loadTexts(ctx, sh, c, "SELECT run, value FROM run_param WHERE exp = ? AND key = ?", sh.exp, ref.Key)
	case filter.Tag:
		err = st.loadTexts(ctx, sh, c, "SELECT run, value FROM run_tag WHERE exp = ? AND key = ?", sh.exp, ref.Key)
	case filter.Dataset:
		err = st.loadTexts(ctx, sh, c, "SELECT run, "+strings.Map(onlyLetters, ref.Key)+" FROM run_input WHERE exp = ? ORDER BY run, name, digest", sh.exp) // one of three keys, see runDialect
	default:
		err = st.loadAttribute(ctx, sh, ref.Key, c)
	}
	return c, err
}

func (st *store) loadAttribute(ctx context.Context, sh *shard, key string, c *column) error {
	switch key {
	case "run_name":
		return st.loadTexts(ctx, sh, c, "SELECT num, name FROM run WHERE exp = ?", sh.exp)
	case "user_id":
		return st.loadTexts(ctx, sh, c, "SELECT num, user_name FROM run WHERE exp = ?", sh.exp)
	case "status":
		return st.loadTexts(ctx, sh, c, "SELECT num, status FROM run WHERE exp = ?", sh.exp)
	case "end_time":
		return st.scan(ctx, func(rows *sql.Rows) error {
			var num, end int64
			err := rows.Scan(&num, &end)
			if row, ok := sh.at[num]; ok && end != 0 {
				c.nums[row] = float64(clock.FromMicros(end).UnixMilli())
			}
			return err
		}, "SELECT num, end_at FROM run WHERE exp = ?", sh.exp)
	case tookKey:
		return st.scan(ctx, func(rows *sql.Rows) error {
			var num, start, end int64
			err := rows.Scan(&num, &start, &end)
			if row, ok := sh.at[num]; ok && end != 0 {
				c.nums[row] = float64(clock.FromMicros(end).UnixMilli()-clock.FromMicros(start).UnixMilli()) / 1000
			}
			return err
		}, "SELECT num, start_at, end_at FROM run WHERE exp = ?", sh.exp)
	}
	return errs.E(errs.Internal, "tracking.search", "no column for the attribute "+key, nil)
}

func (st *store) loadTexts(ctx context.Context, sh *shard, c *column, query string, args ...any) error {
	return st.scan(ctx, func(rows *sql.Rows) error {
		var num int64
		var text sql.RawBytes
		if err := rows.Scan(&num, &text); err != nil {
			return err
		}
		row, ok := sh.at[num]
		if !ok {
			return nil // started meanwhile: its update is pending
		}
		code, ok := c.dict.codes[string(text)]
		if !ok {
			code = c.dict.code(string(text))
		}
		if c.multi != nil {
			c.multi[row] = append(c.multi[row], code)
		} else {
			c.codes[row] = code
		}
		return nil
	}, query, args...)
}

func (st *store) loadMetric(ctx context.Context, sh *shard, ref filter.Ref, c *column) error {
	var unknown []unknownExtremes
	err := st.scan(ctx, func(rows *sql.Rows) error {
		var num, seq int64
		var last, low, high sql.NullFloat64
		if err := rows.Scan(&num, &last, &low, &high, &seq); err != nil {
			return err
		}
		row, ok := sh.at[num]
		switch {
		case !ok:
		case ref.Of == filter.Last:
			c.nums[row] = orNaN(last)
		case !low.Valid || !high.Valid:
			unknown = append(unknown, unknownExtremes{run: num, seq: seq})
		case low.Float64 > high.Float64: // nothing but NaN
			c.nums[row] = math.NaN()
		case ref.Of == filter.Min:
			c.nums[row] = low.Float64
		default:
			c.nums[row] = high.Float64
		}
		return nil
	}, "SELECT run, value, low, high, seq FROM metric_latest WHERE exp = ? AND key = ?", sh.exp, ref.Key)
	if err != nil || len(unknown) == 0 {
		return err
	}
	for i, u := range unknown {
		points, err := st.chunks(ctx, u.run, ref.Key, nil)
		if err != nil {
			return err
		}
		low, high := extremes(points)
		c.nums[sh.at[u.run]] = map[filter.Aggregate]float64{filter.Min: low, filter.Max: high}[ref.Of]
		unknown[i].low, unknown[i].high = low, high
	}
	// The next start need not look again. When it cannot be written (the disk is full), it does.
	_ = st.keepExtremes(ctx, sh.exp, ref.Key, unknown)
	return nil
}

// unknownExtremes are those of a metric that was logged before they were kept, or of one that is NaN alone; seq is where it stood when it
// was read.
type unknownExtremes struct {
	run, seq  int64
	low, high float64 // once they were read from the points
}

// keepExtremes stores what the points told, unless some were added meanwhile. Of NaN alone the smallest is above the largest, so that the
// first number is smaller and larger.
func (st *store) keepExtremes(ctx context.Context, exp int64, key string, found []unknownExtremes) error {
	for some := range slices.Chunk(found, 500) {
		err := st.db.Write(ctx, func(tx *db.Tx) error {
			for _, u := range some {
				low, high := u.low, u.high
				if math.IsNaN(low) {
					low, high = math.Inf(1), math.Inf(-1)
				}
				_, err := tx.Exec("UPDATE metric_latest SET low = ?, high = ? WHERE exp = ? AND run = ? AND key = ? AND seq = ? AND (low IS NULL OR high IS NULL)", low, high, exp, u.run, key, u.seq)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// extremes gives the smallest and the largest value, NaN when there is none but NaN.
func extremes(points []Point) (low, high float64) {
	low, high = math.NaN(), math.NaN()
	for _, p := range points {
		if !(p.Value >= low) && !math.IsNaN(p.Value) {
			low = p.Value
		}
		if !(p.Value <= high) && !math.IsNaN(p.Value) {
			high = p.Value
		}
	}
	return low, high
}

func onlyLetters(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r
	}
	return -1
}

// loadKeys reads the distinct keys of an experiment.
func (st *store) loadKeys(ctx context.Context, exp int64) (map[filter.Entity]map[string]bool, error) {
	out := map[filter.Entity]map[string]bool{}
	for e, table := range map[filter.Entity]string{filter.Metric: "metric_latest", filter.Param: "run_param", filter.Tag: "run_tag"} {
		keys := map[string]bool{}
		out[e] = keys
		err := st.scan(ctx, func(rows *sql.Rows) error {
			var key string
			err := rows.Scan(&key)
			keys[key] = true
			return err
		}, "SELECT DISTINCT key FROM "+table+" WHERE exp = ?", exp)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// recentExperiments lists the active experiments with runs whose newest runs are the newest.
func (st *store) recentExperiments(ctx context.Context, most int) ([]int64, error) {
	rows, err := st.db.Query(ctx, `SELECT e.id FROM experiment e JOIN (SELECT exp, MAX(start_at) AS last FROM run WHERE lifecycle = ? GROUP BY exp) r ON r.exp = e.id
		WHERE e.lifecycle = ? ORDER BY r.last DESC LIMIT ?`, string(Active), string(Active), most)
	return db.All(rows, err, db.Column[int64])
}

// fillBatch is how many runs one statement reads the values of.
const fillBatch = 1000

// runsByID reads runs with all that was logged to them, in the order of the ids and without those that are not there: six statements
// for each thousand.
func (st *store) runsByID(ctx context.Context, ids []string) ([]Run, error) {
	out := make([]Run, 0, len(ids))
	for some := range slices.Chunk(ids, fillBatch) {
		found := make(map[string]Run, len(some))
		err := st.scan(ctx, func(rows *sql.Rows) error {
			r, err := scanRun(rows)
			found[r.ID] = r
			return err
		}, "SELECT "+runColumns+" FROM "+st.listed("TEXT")+" w CROSS JOIN run r WHERE r.id = w.value", st.list(quoted(some)))
		if err != nil {
			return nil, err
		}
		start := len(out)
		for _, id := range some {
			if r, ok := found[id]; ok {
				out = append(out, r)
			}
		}
		if err := st.fill(ctx, out[start:]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// runNumbers finds the numbers of runs inside the store, by id.
func (st *store) runNumbers(ctx context.Context, ids []string) (map[string]int64, error) {
	out, in := make(map[string]int64, len(ids)), make(map[string]int64, len(ids))
	err := st.scan(ctx, func(rows *sql.Rows) error {
		var id string
		var num, exp int64
		err := rows.Scan(&id, &num, &exp)
		out[id], in[id] = num, exp
		return err
	}, "SELECT r.id, r.num, r.exp FROM "+st.listed("TEXT")+" w CROSS JOIN run r WHERE r.id = w.value", st.list(quoted(ids)))
	for id, exp := range in {
		if st.sees(ctx, exp, noRun(id)) != nil {
			delete(out, id)
		}
	}
	return out, err
}

// listed is a table expression over one parameter made by list, with one row for each of its values.
func (st *store) listed(typ string) string {
	if st.db.Engine() == db.Postgres {
		return "(SELECT value FROM unnest(CAST(? AS " + typ + "[])) AS u(value))"
	}
	return "json_each(?)"
}

func (st *store) list(values []string) string {
	if st.db.Engine() == db.Postgres {
		return "{" + strings.Join(values, ",") + "}"
	}
	return "[" + strings.Join(values, ",") + "]"
}

// quoted makes texts ready for list. Ids of runs come from the store; what could end the quotes finds nothing.
func quoted(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = `"` + strings.Map(func(r rune) rune {
			if r == '"' || r == '\\' || r < ' ' {
				return -1
			}
			return r
		}, id) + `"`
	}
	return out
}
