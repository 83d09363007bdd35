package evaluation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/num/stats"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/table"
)

const (
	scoreBatch  = 4096 // rows a call
	latencyRows = 200  // single rows that are timed
	latencyWarm = 10   // single rows before that
	maxListed   = 20   // schema problems that are named
	probability = "probability"
)

// schemaProblems lists what keeps a table from being the model's input, in words.
func schemaProblems(specs []infer.Spec, f *table.Frame) []string {
	var out []string
	for _, s := range specs {
		if s.Batch != 0 {
			continue // a tensor takes all columns
		}
		col, ok := f.Column(s.Name)
		switch {
		case !ok && s.Required:
			out = append(out, fmt.Sprintf("column %q (%s) is missing", s.Name, s.Type))
		case ok && !fits(s.Kind, col):
			out = append(out, fmt.Sprintf("column %q is %s, the model expects %s", s.Name, col.Type(), s.Type))
		case ok && s.Kind == infer.Int64 && col.Missing() > 0 && s.Required:
			out = append(out, fmt.Sprintf("column %q has %d missing values, the model expects %s", s.Name, col.Missing(), s.Type))
		}
	}
	return out
}

// fits reports whether a column can be handed to an input of that kind without loss.
func fits(k infer.Kind, c *table.Column) bool {
	switch k {
	case infer.Float64:
		return c.Type().Numeric() || c.Type() == table.Bool || c.Missing() == c.Len()
	case infer.Int64:
		return c.Type() == table.Int || c.Type() == table.Bool || c.Type() == table.Float && whole(c)
	case infer.Bool:
		return c.Type() == table.Bool || c.Type() == table.Int && zeroOne(c)
	case infer.Datetime:
		return c.Type() == table.Time
	case infer.String:
		return true // any value has a text
	}
	return false
}

func whole(c *table.Column) bool {
	for _, x := range c.Floats() {
		if !math.IsNaN(x) && (x != math.Trunc(x) || math.Abs(x) > 1<<53) {
			return false
		}
	}
	return true
}

func zeroOne(c *table.Column) bool {
	for i, x := range c.Ints() {
		if c.Valid(i) && x != 0 && x != 1 {
			return false
		}
	}
	return true
}

// inputFrame makes the model's input of a table whose schema was checked. Models without a signature get every column but those left out.
func inputFrame(specs []infer.Spec, f *table.Frame, leaveOut ...string) (*infer.Frame, error) {
	out := &infer.Frame{Rows: f.Rows()}
	if len(specs) == 0 {
		for _, c := range f.Columns() {
			if !slices.Contains(leaveOut, c.Name()) {
				out.Columns = append(out.Columns, column(c, kindOf(c.Type())))
			}
		}
		return out, nil
	}
	if len(specs) == 1 && specs[0].Batch != 0 {
		return tensor(specs[0], f, leaveOut)
	}
	for _, s := range specs {
		if s.Batch != 0 {
			return nil, errs.Invalidf("evaluation.score", "the model takes tensors: a table cannot be its input")
		}
		if c, ok := f.Column(s.Name); ok {
			out.Columns = append(out.Columns, column(c, s.Kind))
		}
	}
	return out, nil
}

// tensor puts the numeric columns side by side as the one array that the model takes.
func tensor(s infer.Spec, f *table.Frame, leaveOut []string) (*infer.Frame, error) {
	var cols [][]float64
	for _, c := range f.Columns() {
		if slices.Contains(leaveOut, c.Name()) {
			continue
		}
		if c.Type() == table.String {
			return nil, errs.Invalidf("evaluation.score", "the model takes an array of numbers, column %q holds text", c.Name())
		}
		cols = append(cols, c.Floats())
	}
	if len(s.Shape) != 1 || s.Shape[0] >= 0 && s.Shape[0] != len(cols) {
		return nil, errs.Invalidf("evaluation.score", "the model takes an array of shape %v a row, the dataset has %d columns beside the target", s.Shape, len(cols))
	}
	values := make([]float64, 0, f.Rows()*len(cols))
	for i := range f.Rows() {
		for _, c := range cols {
			values = append(values, c[i])
		}
	}
	col := infer.Column{Name: s.Name, Kind: infer.Float64, Floats: values, Shape: []int{len(cols)}}
	return &infer.Frame{Rows: f.Rows(), Columns: []infer.Column{col}}, nil
}

func kindOf(t table.Type) infer.Kind {
	switch t {
	case table.Int:
		return infer.Int64
	case table.Bool:
		return infer.Bool
	case table.Time:
		return infer.Datetime
	case table.String:
		return infer.String
	}
	return infer.Float64
}

// column converts a table's column; fits was asked before.
func column(c *table.Column, k infer.Kind) infer.Column {
	n := c.Len()
	out := infer.Column{Name: c.Name(), Kind: k}
	if k != infer.Float64 && c.Missing() > 0 {
		out.Valid = make([]bool, n)
		for i := range n {
			out.Valid[i] = c.Valid(i)
		}
	}
	switch k {
	case infer.Float64:
		if out.Floats = c.Floats(); out.Floats == nil { // a text column without any value
			out.Floats = make([]float64, n)
			for i := range out.Floats {
				out.Floats[i] = math.NaN()
			}
		}
	case infer.Int64:
		if out.Ints = c.Ints(); out.Ints == nil {
			out.Ints = make([]int64, n)
			for i, x := range c.Floats() {
				if !math.IsNaN(x) {
					out.Ints[i] = int64(x)
				}
			}
		}
	case infer.Bool:
		if out.Bools = c.Bools(); out.Bools == nil {
			out.Bools = make([]bool, n)
			for i, x := range c.Ints() {
				out.Bools[i] = x != 0
			}
		}
	case infer.Datetime:
		out.Ints = c.Micros()
	default:
		if out.Strings = c.Strings(); out.Strings == nil {
			out.Strings = make([]string, n)
			for i := range n {
				out.Strings[i] = c.Text(i)
			}
		}
	}
	return out
}

// part is rows from <= i < to of a frame, sharing its values.
func part(f *infer.Frame, from, to int) *infer.Frame {
	out := &infer.Frame{Rows: to - from, Columns: make([]infer.Column, len(f.Columns)), Params: f.Params}
	for i, c := range f.Columns {
		w := c.Width()
		a, b := from*w, to*w
		switch {
		case c.Floats != nil:
			c.Floats = c.Floats[a:b]
		case c.Ints != nil:
			c.Ints = c.Ints[a:b]
		case c.Bools != nil:
			c.Bools = c.Bools[a:b]
		case c.Strings != nil:
			c.Strings = c.Strings[a:b]
		}
		if c.Valid != nil {
			c.Valid = c.Valid[a:b]
		}
		out.Columns[i] = c
	}
	return out
}

// predictions are what a model answered, as numbers, labels and probabilities of the positive class, whichever there are.
type predictions struct {
	numbers []float64 // nil when the answers are no numbers
	labels  []string
	proba   []float64 // of the second of two classes; nil when the model gives none
	classes []string
}

// predict scores all rows.
func predict(ctx context.Context, m infer.Model, in *infer.Frame) (predictions, error) {
	var p predictions
	p.classes = m.Info().Classes
	for from := 0; from < in.Rows; from += scoreBatch {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		to := min(from+scoreBatch, in.Rows)
		out, err := answer(ctx, m, part(in, from, to))
		if err != nil {
			return p, err
		}
		if err := p.add(out, to-from); err != nil {
			return p, err
		}
	}
	return p, nil
}

// answer asks a model; its panic is its failure, not ours.
func answer(ctx context.Context, m infer.Model, in *infer.Frame) (out *infer.Output, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("the model broke: %v", p)
		}
	}()
	return m.Predict(ctx, in)
}

var errShape = errors.New("the model's answer is not one value a row")

func (p *predictions) add(out *infer.Output, rows int) error {
	if out.Rows != rows || len(out.Columns) == 0 {
		return fmt.Errorf("%w: %d rows were asked, %d answered", errShape, rows, out.Rows)
	}
	c := &out.Columns[0]
	width := c.Width()
	if c.Len() != rows*width || width == 0 {
		return errShape
	}
	if width > 1 { // probabilities a class: the likeliest is the label
		p.addProbabilities(c, rows, width, true)
		return nil
	}
	numeric := c.Kind == infer.Float64 || c.Kind == infer.Int64 || c.Kind == infer.Bool
	for i := range rows {
		p.labels = append(p.labels, label(c.Value(i)))
		if numeric {
			p.numbers = append(p.numbers, c.Float(i))
		}
	}
	if extra := out.Column(probability); extra != nil && extra.Width() == 2 {
		p.addProbabilities(extra, rows, 2, false)
	}
	return nil
}

func (p *predictions) addProbabilities(c *infer.Column, rows, width int, labels bool) {
	for i := range rows {
		best := 0
		for k := range width {
			if c.Float(i*width+k) > c.Float(i*width+best) {
				best = k
			}
		}
		if labels {
			p.labels = append(p.labels, p.className(best))
		}
		if width == 2 {
			p.proba = append(p.proba, c.Float(i*width+1))
		}
	}
}

func (p *predictions) className(i int) string {
	if i < len(p.classes) {
		return p.classes[i]
	}
	return strconv.Itoa(i)
}

// label is a value as the name of a class: whole numbers without a point, truth values as 1 and 0 so that they meet numbers.
func label(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		if v {
			return "1"
		}
		return "0"
	}
	return fmt.Sprint(v)
}

// latencyP95 times single rows, in milliseconds.
func latencyP95(ctx context.Context, m infer.Model, in *infer.Frame) (float64, int, error) {
	n := min(latencyRows, max(in.Rows, 1))
	times := make([]float64, 0, n)
	for i := range latencyWarm + n {
		row := i % in.Rows
		start := time.Now()
		if _, err := answer(ctx, m, part(in, row, row+1)); err != nil {
			return 0, 0, err
		}
		if i >= latencyWarm {
			times = append(times, time.Since(start).Seconds()*1000)
		}
	}
	slices.Sort(times)
	return stats.Quantile(times, 0.95), n, nil
}

// sentence lists problems for a note.
func sentence(problems []string) string {
	more := ""
	if len(problems) > maxListed {
		more = fmt.Sprintf("; and %d more", len(problems)-maxListed)
		problems = problems[:maxListed]
	}
	return strings.Join(problems, "; ") + more
}
