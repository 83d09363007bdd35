package tracking

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
)

// prepared is a batch made ready outside the transaction: one encoded chunk per metric key.
type prepared struct {
	series []series
	models []Metric // the latest per logged model, key and dataset
	params []Param
	tags   []Tag
}

type series struct {
	key    string
	latest Point
	n      int
	data   []byte

	low, high float64 // NaN when every point is
}

func newSeries(key string, points []Point) series {
	latest := points[0]
	for _, x := range points[1:] {
		if x.newer(latest) {
			latest = x
		}
	}
	low, high := extremes(points)
	return series{key: key, latest: latest, n: len(points), data: encodeChunk(points), low: low, high: high}
}

func prepare(b Batch) (prepared, error) {
	p := prepared{tags: lastOfEach(b.Tags)}
	seen := map[string]string{}
	for _, x := range b.Params {
		have, ok := seen[x.Key]
		switch {
		case !ok:
			seen[x.Key] = x.Value
			p.params = append(p.params, x)
		case have != x.Value:
			return p, errs.Invalidf("tracking.log", "Duplicate parameter keys have been submitted: %s. Please ensure the request contains only one param value per param key.", clip(x.Key)).
				WithField("params", "expected one value for %q", clip(x.Key))
		}
	}
	slices.SortFunc(p.params, func(a, b Param) int { return cmp.Compare(a.Key, b.Key) })
	for key, pts := range byKey(b.Metrics) {
		p.series = append(p.series, newSeries(key, pts))
	}
	for _, m := range b.Metrics {
		if m.ModelID != "" {
			p.models = append(p.models, m)
		}
	}
	slices.SortFunc(p.series, func(a, b series) int { return cmp.Compare(a.key, b.key) }) // one lock order for all writers
	return p, nil
}

// byKey sorts the points of a batch by key into one array.
func byKey(metrics []Metric) map[string][]Point {
	counts := map[string]int{}
	for i := range metrics {
		counts[metrics[i].Key]++
	}
	out, free := make(map[string][]Point, len(counts)), make([]Point, len(metrics))
	for key, n := range counts {
		out[key], free = free[:0:n], free[n:]
	}
	for i := range metrics {
		out[metrics[i].Key] = append(out[metrics[i].Key], metrics[i].Point)
	}
	return out
}

func (st *store) logBatch(tx *db.Tx, r runRow, p prepared) error {
	if err := st.insertParams(tx, r, p.params); err != nil {
		return err
	}
	if err := st.logSeries(tx, r, p.series); err != nil {
		return err
	}
	for _, m := range p.models {
		if err := st.setModelMetric(tx, r.id, m); err != nil {
			return err
		}
	}
	return st.setTags(tx, r, p.tags...)
}

func (st *store) logSeries(tx *db.Tx, r runRow, all []series) error {
	if tx.Engine() == db.Postgres && len(all) > 1 {
		return st.appendAll(tx, r, all)
	}
	for _, s := range all {
		if err := st.appendSeries(tx, r, s); err != nil {
			return err
		}
	}
	return nil
}

// insertParams writes parameters of different keys; one that is there must have the same value.
func (st *store) insertParams(tx *db.Tx, r runRow, params []Param) error {
	for some := range slices.Chunk(params, keyedAtOnce) {
		args := make([]any, 0, 4*len(some))
		for _, p := range some {
			args = append(args, r.exp, r.num, p.Key, p.Value)
		}
		n, err := tx.Exec("INSERT INTO run_param (exp, run, key, value) VALUES "+keyedRows(len(some))+" ON CONFLICT (exp, run, key) DO NOTHING", args...)
		if err != nil {
			return err
		}
		for _, p := range some {
			if n < int64(len(some)) {
				if err := st.sameParam(tx, r, p); err != nil {
					return err
				}
			}
			r.note(cell{ref: filter.Ref{Entity: filter.Param, Key: p.Key}, text: p.Value})
		}
	}
	return nil
}

func (st *store) sameParam(tx *db.Tx, r runRow, p Param) error {
	var have string
	if err := tx.QueryRow("SELECT value FROM run_param WHERE exp = ? AND run = ? AND key = ?", r.exp, r.num, p.Key).Scan(&have); err != nil {
		return err
	}
	if have != p.Value {
		return errs.Invalidf("tracking.log", "Changing param values is not allowed. Param with key='%s' was already logged with value='%s' for run ID='%s'. Attempted logging new value '%s'.",
			clip(p.Key), clip(have), r.id, clip(p.Value))
	}
	return nil
}

// keyedAtOnce bounds how many tags or parameters one statement writes, and so the number of its texts.
const keyedAtOnce = 16

// keyedRows are the places of n rows of experiment, run, key and value.
func keyedRows(n int) string { return "(?, ?, ?, ?)" + strings.Repeat(", (?, ?, ?, ?)", n-1) }

// isNewer is Point.newer in SQL, of the row that is offered against the one that is there.
const isNewer = `(excluded.step, excluded.ts, COALESCE(excluded.value, -1.7976931348623157e308)) >= (metric_latest.step, metric_latest.ts, COALESCE(metric_latest.value, -1.7976931348623157e308))`

// laterPoint keeps the latest point and the extremes of a metric.
const laterPoint = `ON CONFLICT (exp, run, key) DO UPDATE SET seq = metric_latest.seq + 1, loose = metric_latest.loose + excluded.loose,
		step = CASE WHEN ` + isNewer + ` THEN excluded.step ELSE metric_latest.step END,
		ts = CASE WHEN ` + isNewer + ` THEN excluded.ts ELSE metric_latest.ts END,
		value = CASE WHEN ` + isNewer + ` THEN excluded.value ELSE metric_latest.value END,
		low = CASE WHEN excluded.low < metric_latest.low THEN excluded.low ELSE metric_latest.low END,
		high = CASE WHEN excluded.high > metric_latest.high THEN excluded.high ELSE metric_latest.high END`

// place is where the chunks of a metric stand after a write.
type place struct {
	seq, loose int64
	last       sql.NullFloat64
}

// appendSeries stores one small chunk per key and commit, keeps the latest point, and merges the loose chunks of a key when together
// they hold chunkTarget points.
func (st *store) appendSeries(tx *db.Tx, r runRow, s series) error {
	var at place
	err := tx.QueryRow("INSERT INTO metric_latest (exp, run, key, step, ts, value, seq, loose, low, high) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?) "+laterPoint+" RETURNING seq, loose, value",
		r.exp, r.num, s.key, s.latest.Step, s.latest.Time, nullNaN(s.latest.Value), looseOf(s.n), nullNaN(s.low), nullNaN(s.high)).Scan(&at.seq, &at.loose, &at.last)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT INTO metric_chunk (run, key, seq, n, data) VALUES (?, ?, ?, ?, ?)", r.num, s.key, at.seq, s.n, s.data); err != nil {
		return err
	}
	return st.appended(tx, r, s, at)
}

// appended notes a series that was stored and merges its chunks when it is time.
func (st *store) appended(tx *db.Tx, r runRow, s series, at place) error {
	r.changes.metrics = append(r.changes.metrics, metricCell{s.key, orNaN(at.last), s.low, s.high})
	if at.loose < chunkTarget {
		return nil
	}
	return st.mergeChunks(tx, r, s.key, at.seq)
}

// appendAll is appendSeries for many series on PostgreSQL, where each statement is a round trip: two for all of them.
func (st *store) appendAll(tx *db.Tx, r runRow, all []series) error {
	n := len(all)
	keys, data := make([]string, n), make([][]byte, n)
	steps, times, counts, loose := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	values, lows, highs := make([]*float64, n), make([]*float64, n), make([]*float64, n)
	number := func(v float64) *float64 {
		if math.IsNaN(v) {
			return nil
		}
		return &v
	}
	for i, s := range all {
		keys[i], data[i], steps[i], times[i], counts[i] = s.key, s.data, s.latest.Step, s.latest.Time, int64(s.n)
		loose[i] = int64(looseOf(s.n))
		values[i], lows[i], highs[i] = number(s.latest.Value), number(s.low), number(s.high)
	}
	rows, err := tx.Query(`INSERT INTO metric_latest (exp, run, key, step, ts, value, seq, loose, low, high)
		SELECT CAST(? AS BIGINT), CAST(? AS BIGINT), u.key, u.step, u.ts, u.value, 1, u.n, u.low, u.high
		FROM unnest(CAST(? AS TEXT[]), CAST(? AS BIGINT[]), CAST(? AS BIGINT[]), CAST(? AS FLOAT8[]), CAST(? AS BIGINT[]), CAST(? AS FLOAT8[]), CAST(? AS FLOAT8[])) AS u(key, step, ts, value, n, low, high)
		`+laterPoint+" RETURNING key, seq, loose, value", r.exp, r.num, keys, steps, times, values, loose, lows, highs)
	if err != nil {
		return err
	}
	at, err := scanPlaces(rows)
	if err != nil {
		return err
	}
	seqs := make([]int64, n)
	for i, key := range keys {
		seqs[i] = at[key].seq
	}
	_, err = tx.Exec(`INSERT INTO metric_chunk (run, key, seq, n, data)
		SELECT CAST(? AS BIGINT), u.key, u.seq, u.n, u.data FROM unnest(CAST(? AS TEXT[]), CAST(? AS BIGINT[]), CAST(? AS BIGINT[]), CAST(? AS BYTEA[])) AS u(key, seq, n, data)`,
		r.num, keys, seqs, counts, data)
	for i := 0; i < n && err == nil; i++ {
		err = st.appended(tx, r, all[i], at[keys[i]])
	}
	return err
}

func scanPlaces(rows *sql.Rows) (map[string]place, error) {
	defer func() { _ = rows.Close() }()
	out := map[string]place{}
	for rows.Next() {
		var key string
		var p place
		if err := rows.Scan(&key, &p.seq, &p.loose, &p.last); err != nil {
			return nil, err
		}
		out[key] = p
	}
	return out, rows.Err()
}

// looseOf is how many points of a new chunk wait to be merged: a large one, of an import, stays as it is.
func looseOf(n int) int {
	if n >= chunkTarget {
		return 0
	}
	return n
}

// mergeChunks writes the chunks of a key behind the last one of chunkTarget points or more as one. Only those are read, however long the
// history is.
func (st *store) mergeChunks(tx *db.Tx, r runRow, key string, seq int64) error {
	var whole int64 // the last chunk that stays
	err := tx.QueryRow("SELECT seq FROM metric_chunk WHERE run = ? AND key = ? AND n >= ? ORDER BY seq DESC LIMIT 1", r.num, key, chunkTarget).Scan(&whole)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	rows, err := tx.Query("SELECT data FROM metric_chunk WHERE run = ? AND key = ? AND seq > ? ORDER BY seq", r.num, key, whole)
	if err != nil {
		return err
	}
	points, err := decodeRows(rows)
	if err != nil {
		return err
	}
	if len(points) > 0 {
		if _, err := tx.Exec("DELETE FROM metric_chunk WHERE run = ? AND key = ? AND seq > ?", r.num, key, whole); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO metric_chunk (run, key, seq, n, data) VALUES (?, ?, ?, ?, ?)", r.num, key, seq, len(points), encodeChunk(points)); err != nil {
			return err
		}
	}
	_, err = tx.Exec("UPDATE metric_latest SET loose = 0 WHERE exp = ? AND run = ? AND key = ?", r.exp, r.num, key)
	return err
}

func decodeRows(rows *sql.Rows) ([]Point, error) {
	defer func() { _ = rows.Close() }()
	var points []Point
	for rows.Next() {
		var data sql.RawBytes
		if err := rows.Scan(&data); err != nil {
			return nil, err
		}
		var err error
		if points, err = decodeChunk(data, points); err != nil {
			return nil, err
		}
	}
	return points, rows.Err()
}

// chunks reads the points of one metric of a run, in the order they were logged, behind those of out.
func (st *store) chunks(ctx context.Context, run int64, key string, out []Point) ([]Point, error) {
	err := st.scan(ctx, func(rows *sql.Rows) error {
		var data sql.RawBytes
		err := rows.Scan(&data)
		if err == nil {
			out, err = decodeChunk(data, out)
		}
		return err
	}, "SELECT data FROM metric_chunk WHERE run = ? AND key = ? ORDER BY seq", run, key)
	return out, err
}

// setModelMetric keeps the latest value that a run measured of a logged model; metrics of models that are not here are kept with the
// run alone.
func (st *store) setModelMetric(tx *db.Tx, runID string, m Metric) error {
	var have Point
	var v sql.NullFloat64
	err := tx.QueryRow("SELECT step, ts, value FROM logged_model_metric WHERE model_id = ? AND key = ? AND dataset_name = ? AND dataset_digest = ? AND run_id = ?",
		m.ModelID, m.Key, m.DatasetName, m.DatasetDigest, runID).Scan(&have.Step, &have.Time, &v)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		have = Point{Step: math.MinInt64, Time: math.MinInt64, Value: math.NaN()}
	case err != nil:
		return err
	default:
		have.Value = orNaN(v)
	}
	if !m.newer(have) {
		return nil
	}
	_, err = tx.Exec(`INSERT INTO logged_model_metric (model_id, key, dataset_name, dataset_digest, run_id, step, ts, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (model_id, key, dataset_name, dataset_digest, run_id) DO UPDATE SET step = excluded.step, ts = excluded.ts, value = excluded.value`,
		m.ModelID, m.Key, m.DatasetName, m.DatasetDigest, runID, m.Step, m.Time, nullNaN(m.Value))
	return err
}
