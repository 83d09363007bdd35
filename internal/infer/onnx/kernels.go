package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// inputs of an operation: how many it must have.
func inputs(n *Node, k int) error {
	if len(n.Inputs) != k || len(n.Outputs) == 0 {
		return fmt.Errorf("%d inputs: %w", len(n.Inputs), ErrUnsupported)
	}
	return nil
}

// kernelFor makes the kernel of a node. Semantics: the ONNX operator reference (Operators.md and Operators-ml.md).
func kernelFor(n *Node, m *Model) (kernel, error) {
	if n.Domain != "" && n.Domain != "ai.onnx" && n.Domain != "ai.onnx.ml" {
		return nil, fmt.Errorf("domain %.60q: %w", n.Domain, ErrUnsupported)
	}
	if n.Op == "Concat" {
		return concat(n)
	}
	if n.Op == "Reshape" {
		return reshape(n, m)
	}
	switch n.Op {
	case "Add", "Sub", "Mul", "Div":
		return arithmetic(n)
	case "Gather", "ArrayFeatureExtractor":
		return pickColumns(n, m)
	}
	if err := inputs(n, 1); err != nil {
		return nil, err
	}
	switch n.Op {
	case "Identity":
		return func(in []Tensor) ([]Tensor, error) { return in, nil }, nil
	case "Cast":
		return cast(Elem(n.Attributes["to"].Int))
	case "Scaler":
		return scaler(n), nil
	case "Normalizer":
		return normalizer(n.Attributes["norm"].Text)
	case "OneHotEncoder":
		return oneHot(n)
	case "LinearRegressor":
		return linearRegressor(n)
	case "LinearClassifier":
		return linearClassifier(n)
	case "TreeEnsembleRegressor":
		return treeRegressor(n)
	case "TreeEnsembleClassifier":
		return treeClassifier(n)
	case "ZipMap":
		return zipMap(n)
	}
	return nil, ErrUnsupported
}

// table reads a tensor as rows and columns; a vector is one column.
func table(t *Tensor) (rows, width int, err error) {
	switch len(t.Shape) {
	case 1:
		return t.Shape[0], 1, nil
	case 2:
		return t.Shape[0], t.Shape[1], nil
	}
	return 0, 0, fmt.Errorf("shape %v, rows and columns were expected", t.Shape)
}

// floats gives a numeric tensor as float32.
func floats(t *Tensor) ([]float32, error) {
	switch {
	case t.Elem == Float:
		return t.Floats, nil
	case t.Elem == Double:
		out := make([]float32, len(t.Doubles))
		for i, v := range t.Doubles {
			out[i] = float32(v)
		}
		return out, nil
	case t.Elem.Integer():
		out := make([]float32, len(t.Ints))
		for i, v := range t.Ints {
			out[i] = float32(v)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%v values, numbers were expected", t.Elem)
}

func floatTable(rows, width int, data []float32) []Tensor {
	return []Tensor{{Elem: Float, Shape: []int{rows, width}, Floats: data}}
}

func scaler(n *Node) kernel {
	offset, scale := n.Attributes["offset"].Floats, n.Attributes["scale"].Floats
	pick := func(v []float32, i int, missing float32) float32 {
		switch {
		case len(v) == 1:
			return v[0]
		case i < len(v):
			return v[i]
		}
		return missing
	}
	return func(in []Tensor) ([]Tensor, error) {
		rows, width, err := table(&in[0])
		if err != nil {
			return nil, err
		}
		x, err := floats(&in[0])
		if err != nil {
			return nil, err
		}
		if (len(offset) > 1 && len(offset) != width) || (len(scale) > 1 && len(scale) != width) {
			return nil, fmt.Errorf("%d columns for %d offsets and %d scales", width, len(offset), len(scale))
		}
		out := make([]float32, len(x))
		for i, v := range x {
			out[i] = (v - pick(offset, i%width, 0)) * pick(scale, i%width, 1)
		}
		return floatTable(rows, width, out), nil
	}
}

// pickColumns is Gather along the columns, and ArrayFeatureExtractor, with constant indices.
func pickColumns(n *Node, m *Model) (kernel, error) {
	if err := inputs(n, 2); err != nil {
		return nil, err
	}
	indices, constant := m.Initializers[n.Inputs[1]]
	axis := n.Attributes["axis"].Int
	if !constant || indices.Elem != Int64 || len(indices.Shape) == 0 || Size(indices.Shape) != len(indices.Ints) ||
		(n.Op == "Gather" && (axis != 1 && axis != -1 || len(indices.Shape) != 1)) {
		return nil, fmt.Errorf("other than constant columns: %w", ErrUnsupported)
	}
	return func(in []Tensor) ([]Tensor, error) {
		t := &in[0]
		if len(t.Shape) != 2 {
			return nil, fmt.Errorf("shape %v, rows and columns were expected", t.Shape)
		}
		rows, width := t.Shape[0], t.Shape[1]
		out := Tensor{Elem: t.Elem, Shape: []int{rows, len(indices.Ints)}}
		for r := range rows {
			for _, i := range indices.Ints {
				if i < 0 {
					i += int64(width)
				}
				if i < 0 || i >= int64(width) {
					return nil, fmt.Errorf("column %d of %d", i, width)
				}
				at := r*width + int(i)
				switch {
				case t.Elem == Float:
					out.Floats = append(out.Floats, t.Floats[at])
				case t.Elem == Double:
					out.Doubles = append(out.Doubles, t.Doubles[at])
				case t.Elem == String:
					out.Strings = append(out.Strings, t.Strings[at])
				case t.Elem == Bool:
					out.Bools = append(out.Bools, t.Bools[at])
				default:
					out.Ints = append(out.Ints, t.Ints[at])
				}
			}
		}
		return []Tensor{out}, nil
	}, nil
}

// arithmetic is Add, Sub, Mul and Div of two float tables, the second of which may be one row or one value.
func arithmetic(n *Node) (kernel, error) {
	if err := inputs(n, 2); err != nil {
		return nil, err
	}
	operation := map[string]func(a, b float32) float32{
		"Add": func(a, b float32) float32 { return a + b }, "Sub": func(a, b float32) float32 { return a - b },
		"Mul": func(a, b float32) float32 { return a * b }, "Div": func(a, b float32) float32 { return a / b },
	}[n.Op]
	return func(in []Tensor) ([]Tensor, error) {
		a, b := &in[0], &in[1]
		rows, width, err := table(a)
		if err != nil {
			return nil, err
		}
		same := slices.Equal(a.Shape, b.Shape)
		row := len(a.Shape) == 2 && len(b.Shape) > 0 && b.Shape[len(b.Shape)-1] == width && Size(b.Shape) == width
		if a.Elem != Float || b.Elem != Float || len(b.Floats) == 0 || !(same || row || (Size(b.Shape) == 1 && len(b.Shape) <= 2)) {
			return nil, fmt.Errorf("%v of shape %v and %v of shape %v", a.Elem, a.Shape, b.Elem, b.Shape)
		}
		out := make([]float32, rows*width)
		for i := range out {
			out[i] = operation(a.Floats[i], b.Floats[i%len(b.Floats)])
		}
		return []Tensor{{Elem: Float, Shape: a.Shape, Floats: out}}, nil
	}, nil
}

func normalizer(norm string) (kernel, error) {
	if norm != "L1" && norm != "L2" && norm != "MAX" && norm != "" {
		return nil, fmt.Errorf("norm %.20q: %w", norm, ErrUnsupported)
	}
	return func(in []Tensor) ([]Tensor, error) {
		rows, width, err := table(&in[0])
		if err != nil {
			return nil, err
		}
		x, err := floats(&in[0])
		if err != nil {
			return nil, err
		}
		out := slices.Clone(x)
		for r := range rows {
			row := out[r*width : (r+1)*width]
			var sum float64
			for _, v := range row {
				switch norm {
				case "L1":
					sum += math.Abs(float64(v))
				case "L2":
					sum += float64(v) * float64(v)
				default:
					sum = math.Max(sum, float64(v))
				}
			}
			if norm == "L2" {
				sum = math.Sqrt(sum)
			}
			for i := range row {
				if sum != 0 {
					row[i] = float32(float64(row[i]) / sum)
				}
			}
		}
		return floatTable(rows, width, out), nil
	}, nil
}

func oneHot(n *Node) (kernel, error) {
	ints, texts := n.Attributes["cats_int64s"].Ints, n.Attributes["cats_strings"].Strings
	width := len(ints) + len(texts)
	if width == 0 || (len(ints) > 0 && len(texts) > 0) {
		return nil, fmt.Errorf("categories of both kinds or none: %w", ErrUnsupported)
	}
	if zeros, given := n.Attributes["zeros"]; given && zeros.Int == 0 {
		return nil, fmt.Errorf("unknown categories as errors: %w", ErrUnsupported)
	}
	numbers, words := map[int64]int{}, map[string]int{}
	for i, v := range ints {
		numbers[v] = i
	}
	for i, v := range texts {
		words[v] = i
	}
	return func(in []Tensor) ([]Tensor, error) {
		t := &in[0]
		rows := t.Len()
		out := make([]float32, rows*width)
		for i := range rows {
			at, ok := 0, false
			switch {
			case t.Elem == String && len(texts) > 0:
				at, ok = words[t.Strings[i]]
			case t.Elem.Integer() && len(ints) > 0:
				at, ok = numbers[t.Ints[i]]
			case t.Elem == Float && len(ints) > 0:
				at, ok = numbers[int64(t.Floats[i])]
			case t.Elem == Double && len(ints) > 0:
				at, ok = numbers[int64(t.Doubles[i])]
			default:
				return nil, fmt.Errorf("%v values do not fit its categories", t.Elem)
			}
			if ok {
				out[i*width+at] = 1
			}
		}
		return []Tensor{{Elem: Float, Shape: append(slices.Clone(t.Shape), width), Floats: out}}, nil
	}, nil
}

func cast(to Elem) (kernel, error) {
	if !known(to) || to == Bool {
		return nil, fmt.Errorf("to %v: %w", to, ErrUnsupported)
	}
	return func(in []Tensor) ([]Tensor, error) {
		t := &in[0]
		if t.Elem == to {
			return in, nil
		}
		out := Tensor{Elem: to, Shape: t.Shape, Labels: t.Labels}
		for i := range t.Len() {
			var f float64
			whole, isInt := int64(0), false
			switch {
			case t.Elem == Float:
				f = float64(t.Floats[i])
			case t.Elem == Double:
				f = t.Doubles[i]
			case t.Elem == Bool:
				if t.Bools[i] {
					f = 1
				}
			case t.Elem == String:
				v, err := strconv.ParseFloat(t.Strings[i], 64)
				if err != nil {
					return nil, fmt.Errorf("the text %.60q is no number", t.Strings[i])
				}
				f = v
			default:
				whole, isInt = t.Ints[i], true
				f = float64(whole)
			}
			if !isInt {
				whole = int64(f)
			}
			switch to {
			case Float:
				out.Floats = append(out.Floats, float32(f))
			case Double:
				out.Doubles = append(out.Doubles, f)
			case Int64:
				out.Ints = append(out.Ints, whole)
			case Int32:
				out.Ints = append(out.Ints, int64(int32(whole)))
			case String:
				if !isInt {
					return nil, errors.New("numbers as texts") // their form is the library's own
				}
				out.Strings = append(out.Strings, strconv.FormatInt(whole, 10))
			}
		}
		return []Tensor{out}, nil
	}, nil
}

func concat(n *Node) (kernel, error) {
	if axis := n.Attributes["axis"].Int; (axis != 1 && axis != -1) || len(n.Inputs) == 0 {
		return nil, fmt.Errorf("axis %d: %w", axis, ErrUnsupported)
	}
	return func(in []Tensor) ([]Tensor, error) {
		rows, total := 0, 0
		widths := make([]int, len(in))
		for i := range in {
			if len(in[i].Shape) != 2 || in[i].Elem != in[0].Elem || in[i].Shape[0] != in[0].Shape[0] {
				return nil, fmt.Errorf("%v of shape %v beside %v of shape %v", in[i].Elem, in[i].Shape, in[0].Elem, in[0].Shape)
			}
			rows, widths[i] = in[i].Shape[0], in[i].Shape[1]
			total += widths[i]
		}
		out := Tensor{Elem: in[0].Elem, Shape: []int{rows, total}}
		for r := range rows {
			for i := range in {
				from, to := r*widths[i], (r+1)*widths[i]
				switch {
				case out.Elem == Float:
					out.Floats = append(out.Floats, in[i].Floats[from:to]...)
				case out.Elem == Double:
					out.Doubles = append(out.Doubles, in[i].Doubles[from:to]...)
				case out.Elem == String:
					out.Strings = append(out.Strings, in[i].Strings[from:to]...)
				case out.Elem == Bool:
					out.Bools = append(out.Bools, in[i].Bools[from:to]...)
				default:
					out.Ints = append(out.Ints, in[i].Ints[from:to]...)
				}
			}
		}
		return []Tensor{out}, nil
	}, nil
}

func reshape(n *Node, m *Model) (kernel, error) {
	if err := inputs(n, 2); err != nil {
		return nil, err
	}
	want, constant := m.Initializers[n.Inputs[1]]
	if !constant || want.Elem != Int64 || len(want.Ints) == 0 || len(want.Ints) > 2 || want.Ints[0] != -1 || n.Attributes["allowzero"].Int != 0 {
		return nil, fmt.Errorf("to a shape that is not constant rows and columns: %w", ErrUnsupported)
	}
	width := 1
	if len(want.Ints) == 2 {
		if want.Ints[1] < 1 || want.Ints[1] > 1<<20 {
			return nil, fmt.Errorf("to %d columns: %w", want.Ints[1], ErrUnsupported)
		}
		width = int(want.Ints[1])
	}
	return func(in []Tensor) ([]Tensor, error) {
		t := in[0]
		if t.Len()%width != 0 {
			return nil, fmt.Errorf("%d values for rows of %d", t.Len(), width)
		}
		t.Shape = []int{t.Len() / width}
		if len(want.Ints) == 2 {
			t.Shape = append(t.Shape, width)
		}
		return []Tensor{t}, nil
	}, nil
}

// zipMap keeps the table of probabilities and puts the keys beside it.
func zipMap(n *Node) (kernel, error) {
	var labels any = n.Attributes["classlabels_int64s"].Ints
	count := len(n.Attributes["classlabels_int64s"].Ints)
	if texts := n.Attributes["classlabels_strings"].Strings; len(texts) > 0 {
		labels, count = texts, len(texts)
	}
	return func(in []Tensor) ([]Tensor, error) {
		t := in[0]
		if t.Elem != Float || len(t.Shape) != 2 || t.Shape[1] != count {
			return nil, fmt.Errorf("%v of shape %v for %d keys", t.Elem, t.Shape, count)
		}
		t.Labels = labels
		return []Tensor{t}, nil
	}, nil
}

func linearRegressor(n *Node) (kernel, error) {
	coefficients, intercepts := n.Attributes["coefficients"].Floats, n.Attributes["intercepts"].Floats
	targets := 1
	if v, given := n.Attributes["targets"]; given {
		targets = int(v.Int)
	}
	if p := n.Attributes["post_transform"].Text; p != "" && p != "NONE" {
		return nil, fmt.Errorf("post_transform %.20q: %w", p, ErrUnsupported)
	}
	if targets < 1 || len(coefficients)%targets != 0 || (len(intercepts) != 0 && len(intercepts) != targets) {
		return nil, fmt.Errorf("%d coefficients for %d targets", len(coefficients), targets)
	}
	return func(in []Tensor) ([]Tensor, error) {
		rows, scores, err := linear(&in[0], coefficients, intercepts, targets)
		return floatTable(rows, targets, scores), err
	}, nil
}

// linear computes rows times outputs; sums are kept in float64 and rounded once.
func linear(t *Tensor, coefficients, intercepts []float32, outputs int) (rows int, scores []float32, err error) {
	rows, width, err := table(t)
	if err != nil {
		return 0, nil, err
	}
	x, err := floats(t)
	if err != nil {
		return 0, nil, err
	}
	if width*outputs != len(coefficients) {
		return 0, nil, fmt.Errorf("%d columns for %d coefficients", width, len(coefficients)/outputs)
	}
	scores = make([]float32, rows*outputs)
	for r := range rows {
		for k := range outputs {
			sum := 0.0
			if len(intercepts) > 0 {
				sum = float64(intercepts[k])
			}
			for i, c := range coefficients[k*width : (k+1)*width] {
				sum += float64(c) * float64(x[r*width+i])
			}
			scores[r*outputs+k] = float32(sum)
		}
	}
	return rows, scores, nil
}

func linearClassifier(n *Node) (kernel, error) {
	coefficients, intercepts := n.Attributes["coefficients"].Floats, n.Attributes["intercepts"].Floats
	labels, classes := classLabels(n)
	if classes < 2 || len(intercepts) != classes || len(coefficients)%classes != 0 {
		return nil, fmt.Errorf("%d labels for %d intercepts: %w", classes, len(intercepts), ErrUnsupported)
	}
	transform, err := postTransform(n)
	if err != nil {
		return nil, err
	}
	return func(in []Tensor) ([]Tensor, error) {
		rows, scores, err := linear(&in[0], coefficients, intercepts, classes)
		if err != nil {
			return nil, err
		}
		return classified(labels, rows, classes, scores, transform), nil
	}, nil
}

// classLabels reads the labels of a classifier: a tensor of texts or whole numbers.
func classLabels(n *Node) (labels Tensor, count int) {
	if texts := n.Attributes["classlabels_strings"].Strings; len(texts) > 0 {
		return Tensor{Elem: String, Strings: texts}, len(texts)
	}
	ints := n.Attributes["classlabels_int64s"].Ints
	if len(ints) == 0 {
		ints = n.Attributes["classlabels_ints"].Ints
	}
	return Tensor{Elem: Int64, Ints: ints}, len(ints)
}

// classified makes the two outputs of a classifier: the label of the highest score, and the scores transformed.
func classified(labels Tensor, rows, classes int, scores []float32, transform func([]float32)) []Tensor {
	label := Tensor{Elem: labels.Elem, Shape: []int{rows}}
	for r := range rows {
		row := scores[r*classes : (r+1)*classes]
		best := 0
		for i, v := range row {
			if v > row[best] {
				best = i
			}
		}
		label.add(&labels, best)
		transform(row)
	}
	return append([]Tensor{label}, floatTable(rows, classes, scores)...)
}

func (t *Tensor) add(labels *Tensor, i int) {
	if t.Elem == String {
		t.Strings = append(t.Strings, labels.Strings[i])
	} else {
		t.Ints = append(t.Ints, labels.Ints[i])
	}
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func postTransform(n *Node) (func([]float32), error) {
	switch p := n.Attributes["post_transform"].Text; p {
	case "", "NONE":
		return func([]float32) {}, nil
	case "LOGISTIC":
		return func(v []float32) {
			for i, x := range v {
				v[i] = float32(logistic(float64(x)))
			}
		}, nil
	case "SOFTMAX":
		return func(v []float32) {
			top, sum := slices.Max(v), 0.0
			for _, x := range v {
				sum += math.Exp(float64(x - top))
			}
			for i, x := range v {
				v[i] = float32(math.Exp(float64(x-top)) / sum)
			}
		}, nil
	default:
		return nil, fmt.Errorf("post_transform %.20q: %w", p, ErrUnsupported)
	}
}
