package tree

import (
	"math"
	"sync"
)

// Ensemble is a sum of decision trees, ready to run. It is safe for concurrent use.
type Ensemble struct {
	features int
	groups   int
	float32s bool
	slots    []slot // slot 0 is always NaN
	nodes    []node
	sets     []set
	trees    []tree
	init     []float64
	scratch  sync.Pool // *[]float64
}

// Column is one feature of all rows: the value of row r is Data[r*Stride].
type Column struct {
	Data   []float64
	Stride int
}

// blockRows is how many rows are expanded at a time: their slots stay in the first-level cache.
const blockRows = 64

// Features is the number of columns that Predict wants.
func (e *Ensemble) Features() int { return e.features }

// Groups is the number of outputs of a row.
func (e *Ensemble) Groups() int { return e.groups }

// Trees is the number of trees.
func (e *Ensemble) Trees() int { return len(e.trees) }

// Bytes estimates the memory of the ensemble.
func (e *Ensemble) Bytes() int64 {
	n := int64(len(e.nodes))*16 + int64(len(e.trees))*16 + int64(len(e.slots))*8
	for _, s := range e.sets {
		n += int64(len(s.bits))*4 + 32
	}
	return n
}

// Predict writes the sums of every row to out (rows times Groups, row-major). columns has one entry for each feature.
func (e *Ensemble) Predict(out []float64, columns []Column, rows int) {
	width := len(e.slots)
	block := min(rows, blockRows)
	buffer := e.buffer(width * block)
	defer e.scratch.Put(buffer)
	values := (*buffer)[:width*block]
	for start := 0; start < rows; start += blockRows {
		n := min(blockRows, rows-start)
		e.expand(values, columns, start, n)
		sums := out[start*e.groups : (start+n)*e.groups]
		for r := range n {
			copy(sums[r*e.groups:], e.init)
		}
		if n < 4 {
			for r := range n {
				e.row(sums[r*e.groups:(r+1)*e.groups], values[r*width:(r+1)*width])
			}
			continue
		}
		e.block(sums, values, n)
	}
}

func (e *Ensemble) buffer(n int) *[]float64 {
	if b, ok := e.scratch.Get().(*[]float64); ok && cap(*b) >= n {
		return b
	}
	b := make([]float64, n)
	return &b
}

// expand fills values with the slots of rows start to start+n, row-major.
func (e *Ensemble) expand(values []float64, columns []Column, start, n int) {
	width := len(e.slots)
	for r := range n {
		values[r*width] = math.NaN()
	}
	for i := 1; i < width; i++ {
		s := e.slots[i]
		c := columns[s.feature]
		for r := range n {
			v := c.Data[(start+r)*c.Stride]
			if e.float32s {
				v = float64(float32(v))
			}
			switch s.op {
			case opNaNToZero:
				if math.IsNaN(v) {
					v = 0
				}
			case opZeroToNaN:
				if v >= -zeroThreshold && v <= zeroThreshold {
					v = math.NaN()
				}
			case opRaw:
			}
			if s.negate {
				v = -v
			}
			values[r*width+i] = v
		}
	}
}

// row sums all trees for one row, four trees at a time.
func (e *Ensemble) row(sums, values []float64) {
	nodes := e.nodes
	i := 0
	for ; i+4 <= len(e.trees); i += 4 {
		t := e.trees[i : i+4 : i+4]
		if t[0].hasSet || t[1].hasSet || t[2].hasSet || t[3].hasSet {
			for k := range t {
				e.add(sums, t[k].group, nodes[e.walk(&t[k], values)].threshold)
			}
			continue
		}
		a, b, c, d := t[0].root, t[1].root, t[2].root, t[3].root
		for left := max(t[0].depth, t[1].depth, t[2].depth, t[3].depth); left > 0; left -= checkEvery {
			a0, b0, c0, d0 := a, b, c, d
			for range checkEvery {
				a = step(nodes, values, a)
				b = step(nodes, values, b)
				c = step(nodes, values, c)
				d = step(nodes, values, d)
			}
			if a == a0 && b == b0 && c == c0 && d == d0 {
				break
			}
		}
		e.add(sums, t[0].group, nodes[a].threshold)
		e.add(sums, t[1].group, nodes[b].threshold)
		e.add(sums, t[2].group, nodes[c].threshold)
		e.add(sums, t[3].group, nodes[d].threshold)
	}
	for ; i < len(e.trees); i++ {
		e.add(sums, e.trees[i].group, nodes[e.walk(&e.trees[i], values)].threshold)
	}
}

// checkEvery is how many levels are walked before looking whether all four walks have reached a leaf: trees grown leaf
// by leaf are much deeper than their usual path.
const checkEvery = 3

// block sums all trees for n >= 4 rows, four rows at a time.
func (e *Ensemble) block(sums, values []float64, n int) {
	width, groups := len(e.slots), e.groups
	nodes := e.nodes
	for i := range e.trees {
		t := &e.trees[i]
		group := int(t.group)
		if t.hasSet {
			for r := range n {
				leaf := e.walk(t, values[r*width:(r+1)*width])
				e.add(sums[r*groups:], t.group, nodes[leaf].threshold)
			}
			continue
		}
		for r := 0; r < n; r += 4 {
			r = min(r, n-4) // the last rows may be walked twice; they are added once, below
			va, vb := values[r*width:(r+1)*width], values[(r+1)*width:(r+2)*width]
			vc, vd := values[(r+2)*width:(r+3)*width], values[(r+3)*width:(r+4)*width]
			a, b, c, d := t.root, t.root, t.root, t.root
			for left := t.depth; left > 0; left -= checkEvery {
				a0, b0, c0, d0 := a, b, c, d
				for range checkEvery {
					a = step(nodes, va, a)
					b = step(nodes, vb, b)
					c = step(nodes, vc, c)
					d = step(nodes, vd, d)
				}
				if a == a0 && b == b0 && c == c0 && d == d0 {
					break
				}
			}
			leaves := [4]int32{a, b, c, d}
			for k := (4 - n%4) % 4 * b2i(r == n-4 && n%4 != 0); k < 4; k++ {
				at := (r+k)*groups + group
				sums[at] = e.sum(sums[at], nodes[leaves[k]].threshold)
			}
		}
	}
}

// step goes one level down; at a leaf it stays.
func step(nodes []node, values []float64, at int32) int32 {
	n := &nodes[at]
	return n.left + int32(b2i(values[n.slot] <= n.threshold))
}

func b2i(b bool) int {
	// The compiler turns this into a SETcc, not a jump.
	var i int
	if b {
		i = 1
	}
	return i
}

// walk finds the leaf of one tree, categorical nodes included.
func (e *Ensemble) walk(t *tree, values []float64) int32 {
	nodes := e.nodes
	at := t.root
	for range t.depth {
		n := &nodes[at]
		if n.slot&categorical == 0 {
			at = n.left + int32(b2i(values[n.slot] <= n.threshold))
			continue
		}
		s := &e.sets[math.Float64bits(n.threshold)]
		at = n.left + int32(b2i(s.has(values[n.slot&^categorical])))
	}
	return at
}

func (s *set) has(v float64) bool {
	if math.IsNaN(v) {
		return s.nan
	}
	v = math.Trunc(v)
	if v < 0 || v >= float64(len(s.bits)*32) {
		return false
	}
	k := uint32(v)
	return s.bits[k/32]>>(k%32)&1 == 1
}

func (e *Ensemble) add(sums []float64, group int32, v float64) {
	sums[group] = e.sum(sums[group], v)
}

// sum adds in the precision of the ensemble; the float64 sum of two float32 values rounds to their float32 sum.
func (e *Ensemble) sum(a, b float64) float64 {
	if e.float32s {
		return float64(float32(a + b))
	}
	return a + b
}
