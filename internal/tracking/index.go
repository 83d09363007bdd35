package tracking

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/modelyard/modelyard/internal/platform/filter"
)

// index keeps the runs of experiments in columns, so that a search is a scan of memory. Nothing is loaded before a search asks: then
// the runs of the experiment and the columns that the search names. Writes tell of their changes after their commit and before they
// answer (publish); the next search of the experiment takes them in. Changes are absolute values, so that one which the load saw
// already does no harm. What does not go through the functions of store_run.go and store_metric.go calls forget after its commit.
type index struct {
	st    *store
	limit int // bytes of all experiments together; the least recently used ones go

	mu    sync.Mutex
	exps  map[int64]*shard
	uses  int64
	total int // bytes, as estimated
}

func newIndex(st *store, limit int) *index {
	return &index{st: st, limit: limit, exps: map[int64]*shard{}}
}

// shard is the index of one experiment.
type shard struct {
	exp  int64
	turn chan struct{} // whoever put the token in may use the fields below "turn holder"

	used, bytes int // under index.mu

	mu      sync.Mutex // pending, cells and gone
	pending []*update
	cells   int
	gone    bool

	// turn holder
	loaded bool
	table  *table
	at     map[int64]int // run number -> row
	ids    []string
	keys   map[filter.Entity]map[string]bool // nil until somebody asks for the keys
}

// update is what one transaction changed of one run.
type update struct {
	exp, run int64
	id       string
	created  *Run // set when the transaction made the run
	cells    []cell
	metrics  []metricCell
}

// cell is a value of a run; gone means that it has none any more.
type cell struct {
	ref  filter.Ref
	num  float64
	text string
	list []string
	gone bool
}

// metricCell is the last value of a metric now, and the smallest and largest of the points that were added; NaN when those have none.
type metricCell struct {
	key             string
	last, low, high float64
}

func (u *update) size() int { return 1 + len(u.cells) + 3*len(u.metrics) }

// The pending changes of an experiment: from drainCells on the writer takes them in itself if nobody uses the index just then; at
// maxCells, about 40 MB, the experiment is forgotten.
const (
	drainCells = 1 << 13
	maxCells   = 1 << 18
)

// publish notes a committed change. It never waits for a search.
func (x *index) publish(u *update) {
	x.mu.Lock()
	sh := x.exps[u.exp]
	x.mu.Unlock()
	if sh == nil {
		return
	}
	sh.mu.Lock()
	if !sh.gone {
		sh.pending = append(sh.pending, u)
		sh.cells += u.size()
	}
	n := sh.cells
	sh.mu.Unlock()
	if n < drainCells {
		return
	}
	select {
	case sh.turn <- struct{}{}:
		sh.drain()
		<-sh.turn
	default:
		if n >= maxCells {
			x.forget(u.exp)
		}
	}
}

// forget drops experiments from the index; the next search loads them again. Call it after the commit of changes that were not
// published. A search that runs meanwhile ends on what it had.
func (x *index) forget(exps ...int64) {
	for _, exp := range exps {
		x.mu.Lock()
		sh := x.exps[exp]
		if sh != nil {
			delete(x.exps, exp)
			x.total -= sh.bytes
		}
		x.mu.Unlock()
		if sh != nil {
			sh.mu.Lock()
			sh.gone, sh.pending, sh.cells = true, nil, 0
			sh.mu.Unlock()
		}
	}
}

// open gives the index of an experiment with some columns, up to date with all writes that have answered. The caller alone may use it
// until it calls close.
func (x *index) open(ctx context.Context, exp int64, refs []filter.Ref) (*shard, error) {
	for {
		x.mu.Lock()
		sh := x.exps[exp]
		if sh == nil {
			sh = &shard{exp: exp, turn: make(chan struct{}, 1)}
			x.exps[exp] = sh
		}
		x.uses++
		sh.used = int(x.uses)
		x.mu.Unlock()
		select {
		case sh.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if sh.isGone() {
			<-sh.turn
			continue
		}
		if err := x.load(ctx, sh, refs); err != nil {
			<-sh.turn
			return nil, err
		}
		return sh, nil
	}
}

func (sh *shard) isGone() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.gone
}

// load brings a shard up to date. Changes that were committed before a column was read are in it; later ones are pending and taken in
// after it.
func (x *index) load(ctx context.Context, sh *shard, refs []filter.Ref) error {
	if !sh.loaded {
		if err := x.st.loadRuns(ctx, sh); err != nil {
			return err
		}
		sh.loaded = true
	}
	sh.drain()
	read := false
	for _, ref := range refs {
		if sh.table.cols[ref] != nil {
			continue
		}
		if sh.table.n > 0 {
			c, err := x.st.loadColumn(ctx, sh, ref)
			if err != nil {
				return err
			}
			sh.table.cols[ref] = c
		} else {
			sh.table.cols[ref] = newColumn(ref, 0)
		}
		read = true
	}
	if read {
		sh.drain()
	}
	return nil
}

// close ends the use of a shard. One without runs is not kept: clients may ask for any number of experiments that are not there.
func (x *index) close(sh *shard) {
	size, empty := sh.size(), sh.table.n == 0
	<-sh.turn
	if empty {
		x.forget(sh.exp)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.exps[sh.exp] != sh {
		return
	}
	x.total += size - sh.bytes
	sh.bytes = size
	for x.total > x.limit && len(x.exps) > 1 {
		x.evict(sh)
	}
}

// size estimates the memory of all experiments in bytes.
// experiments are those in memory.
func (x *index) experiments() []int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Collect(maps.Keys(x.exps))
}

func (x *index) size() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.total
}

// evict drops the least recently used experiment but one. Who holds it just now keeps it to the end of the search.
func (x *index) evict(except *shard) {
	var oldest *shard
	for _, sh := range x.exps {
		if sh != except && (oldest == nil || sh.used < oldest.used) {
			oldest = sh
		}
	}
	delete(x.exps, oldest.exp)
	x.total -= oldest.bytes
	oldest.mu.Lock()
	oldest.gone, oldest.pending, oldest.cells = true, nil, 0
	oldest.mu.Unlock()
}

// size estimates the memory of a shard in bytes.
func (sh *shard) size() int {
	n := 1024 + 120*len(sh.ids)
	if sh.table != nil {
		for _, c := range sh.table.cols {
			n += c.bytes()
		}
	}
	for _, keys := range sh.keys {
		n += 64 * len(keys)
	}
	return n
}

// drain takes the pending changes in.
func (sh *shard) drain() {
	sh.mu.Lock()
	pending := sh.pending
	sh.pending, sh.cells = nil, 0
	sh.mu.Unlock()
	if !sh.loaded {
		return // only a writer comes here before the first load, which will see what it wrote
	}
	for _, u := range pending {
		sh.apply(u)
	}
}

func (sh *shard) apply(u *update) {
	if u.created != nil {
		sh.add(*u.created)
	}
	row, ok := sh.at[u.run]
	if !ok {
		return
	}
	for _, c := range u.cells {
		sh.note(c.ref.Entity, c.ref.Key)
		sh.set(row, c)
	}
	for _, m := range u.metrics {
		sh.note(filter.Metric, m.key)
		if col := sh.table.cols[filter.Ref{Entity: filter.Metric, Key: m.key}]; col != nil {
			col.nums[row] = plain(m.last)
		}
		if col := sh.table.cols[filter.Ref{Entity: filter.Metric, Key: m.key, Of: filter.Min}]; col != nil {
			col.nums[row] = extreme(col.nums[row], m.low, -1)
		}
		if col := sh.table.cols[filter.Ref{Entity: filter.Metric, Key: m.key, Of: filter.Max}]; col != nil {
			col.nums[row] = extreme(col.nums[row], m.high, 1)
		}
	}
}

// extreme is the smaller (side -1) or larger (side 1) of what is known and what was added, where NaN is nothing.
func extreme(have, added float64, side float64) float64 {
	switch {
	case math.IsNaN(added) && isAbsent(have):
		return math.NaN()
	case math.IsNaN(added):
		return have
	case math.IsNaN(have) || (added-have)*side > 0:
		return added
	}
	return have
}

func (sh *shard) note(e filter.Entity, key string) {
	if sh.keys != nil && sh.keys[e] != nil {
		sh.keys[e][key] = true
	}
}

// tookKey is the attribute that says how long a run took, in seconds; a run that has no end has none. It is made of the two times.
const tookKey = "duration_s"

func (sh *shard) set(row int, c cell) {
	if took := sh.table.cols[attribute(tookKey)]; took != nil && c.ref == attribute("end_time") {
		took.nums[row] = absent()
		if !c.gone {
			took.nums[row] = (c.num - sh.table.cols[attribute("start_time")].nums[row]) / 1000
		}
	}
	col := sh.table.cols[c.ref]
	switch {
	case col == nil || col.text != nil:
	case col.nums != nil:
		col.nums[row] = absent()
		if !c.gone {
			col.nums[row] = plain(c.num)
		}
	case col.multi != nil:
		codes := make([]uint32, len(c.list))
		for i, s := range c.list {
			codes[i] = col.dict.code(s)
		}
		col.multi[row] = codes
	case c.gone:
		col.codes[row] = 0
	default:
		col.codes[row] = col.dict.code(c.text)
		if col.worn() {
			delete(sh.table.cols, c.ref) // read again when it is asked for
		}
	}
}

// add makes a row for a run that is new.
func (sh *shard) add(r Run) {
	row, ok := sh.at[r.num]
	if !ok {
		row = sh.table.n
		sh.at[r.num] = row
		sh.ids = append(sh.ids, r.ID)
		sh.table.n++
		for _, c := range sh.table.cols {
			c.grow()
		}
	}
	for _, c := range attributesOf(r) {
		sh.set(row, c)
	}
	for _, t := range r.Tags {
		sh.note(filter.Tag, t.Key)
		sh.set(row, tagCell(t))
	}
}

func tagCell(t Tag) cell {
	return cell{ref: filter.Ref{Entity: filter.Tag, Key: t.Key}, text: t.Value}
}

// attributesOf lists the attributes of a run that are kept in columns.
func attributesOf(r Run) []cell {
	return []cell{
		{ref: attribute("run_name"), text: r.Name}, {ref: attribute("user_id"), text: r.User}, {ref: attribute("status"), text: string(r.Status)},
		{ref: attribute("lifecycle_stage"), text: string(r.Lifecycle)}, {ref: attribute("start_time"), num: float64(r.StartTime.UnixMilli())},
		{ref: attribute("end_time"), num: float64(r.EndTime.UnixMilli()), gone: r.EndTime.IsZero()},
	}
}
