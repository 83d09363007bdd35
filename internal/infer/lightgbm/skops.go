package lightgbm

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Estimator is an LGBMRegressor, LGBMClassifier or LGBMRanker.
type Estimator struct {
	Class string
	*Model
	// Labels of a classifier in the order of its probabilities: []int64, []float64, []bool or []string; nil otherwise.
	Labels any
}

// maxLabels bounds the class labels that are read.
const maxLabels = 1 << 16

// ParseSkops reads the skops archive of a scikit-learn wrapper. The archive is a zip of JSON and NumPy arrays; nothing
// in it is executed and no Python type is built: only the booster's text, the best iteration and the labels are read.
// limit bounds the size of the unpacked JSON in bytes.
func ParseSkops(data []byte, limit int64) (*Estimator, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("not a skops archive: %w", err)
	}
	schema, err := member(z, "schema.json", limit)
	if err != nil {
		return nil, err
	}
	var root skopsNode
	if err := json.Unmarshal(schema, &root); err != nil {
		return nil, fmt.Errorf("schema.json: %w", err)
	}
	e := &Estimator{Class: root.Class}
	switch e.Class {
	case "LGBMRegressor", "LGBMClassifier", "LGBMRanker":
	default:
		return nil, fmt.Errorf("class %.60q: %w", root.Class, ErrUnsupported)
	}
	fields, err := root.state()
	if err != nil {
		return nil, err
	}
	if err := checkPredictParams(fields); err != nil {
		return nil, err
	}
	booster := fields["_Booster"]
	state, err := booster.state()
	if err != nil {
		return nil, fmt.Errorf("_Booster: %w", err)
	}
	handle, ok := state["_handle"]
	if !ok {
		handle = state["handle"]
	}
	var text string
	if err := handle.scalar(&text); err != nil {
		return nil, fmt.Errorf("_Booster._handle: %w", err)
	}
	best := 0
	if n, ok := state["best_iteration"]; ok {
		if err := n.scalar(&best); err != nil {
			return nil, fmt.Errorf("_Booster.best_iteration: %w", err)
		}
	}
	if e.Model, err = Parse([]byte(text), max(0, best)); err != nil {
		return nil, err
	}
	if e.Class == "LGBMClassifier" {
		e.Labels, err = readLabels(z, fields, e.Model)
	}
	return e, err
}

// checkPredictParams refuses settings that change what predict answers.
func checkPredictParams(fields map[string]skopsNode) error {
	if fields["_objective"].Loader != "JsonNode" {
		return fmt.Errorf("a custom objective: %w", ErrUnsupported)
	}
	other := fields["_other_params"]
	params, err := other.entries()
	if err != nil {
		return fmt.Errorf("_other_params: %w", err)
	}
	for key := range params {
		if strings.Contains(key, "pred") || strings.Contains(key, "raw_score") || strings.Contains(key, "contrib") {
			return fmt.Errorf("the setting %.40q: %w", key, ErrUnsupported)
		}
	}
	return nil
}

func readLabels(z *zip.Reader, fields map[string]skopsNode, m *Model) (any, error) {
	encoder := fields["_le"]
	state, err := encoder.state()
	if err != nil {
		return nil, fmt.Errorf("_le: %w", err)
	}
	classes := state["classes_"]
	var labels any
	var n int
	if classes.File != "" {
		raw, err := member(z, classes.File, 1<<24)
		if err != nil {
			return nil, err
		}
		if labels, n, err = parseNPY(raw); err != nil {
			return nil, fmt.Errorf("class labels: %w", err)
		}
	} else {
		var list []skopsNode
		if err := json.Unmarshal(classes.Content, &list); err != nil || len(list) > maxLabels {
			return nil, fmt.Errorf("class labels: %w", ErrUnsupported)
		}
		texts := make([]string, len(list))
		for i := range list {
			if err := list[i].scalar(&texts[i]); err != nil {
				return nil, fmt.Errorf("class labels that are no texts: %w", ErrUnsupported)
			}
		}
		labels, n = texts, len(texts)
	}
	if n != max(2, m.Classes) {
		return nil, fmt.Errorf("%d class labels for %d outputs: %w", n, m.Classes, ErrUnsupported)
	}
	return labels, nil
}

// skopsNode is one object of schema.json.
type skopsNode struct {
	Class   string          `json:"__class__"`
	Loader  string          `json:"__loader__"`
	Content json.RawMessage `json:"content"`
	File    string          `json:"file"`
}

// entries reads the content of a dictionary node.
func (n skopsNode) entries() (map[string]skopsNode, error) {
	if n.Loader != "DictNode" {
		return nil, fmt.Errorf("a dictionary was expected, got %.30q", n.Loader)
	}
	var out map[string]skopsNode
	err := json.Unmarshal(n.Content, &out)
	return out, err
}

// state reads the attributes of an object node.
func (n skopsNode) state() (map[string]skopsNode, error) {
	if n.Loader != "ObjectNode" {
		return nil, fmt.Errorf("an object was expected, got %.30q", n.Loader)
	}
	var content skopsNode
	if err := json.Unmarshal(n.Content, &content); err != nil {
		return nil, err
	}
	return content.entries()
}

// scalar reads a plain value, which skops keeps as a JSON text within the JSON.
func (n skopsNode) scalar(into any) error {
	if n.Loader != "JsonNode" {
		return fmt.Errorf("a plain value was expected, got %.30q", n.Loader)
	}
	var text string
	if err := json.Unmarshal(n.Content, &text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), into)
}

func member(z *zip.Reader, name string, limit int64) ([]byte, error) {
	if name != path.Base(name) {
		return nil, fmt.Errorf("member %.60q of the archive", name)
	}
	f, err := z.Open(name)
	if err != nil {
		return nil, fmt.Errorf("the archive has no %.60q", name)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return data, nil
}

// parseNPY reads a one-dimensional NumPy array of little-endian numbers, booleans or texts (NPY format, NumPy NEP 1).
func parseNPY(raw []byte) (values any, n int, err error) {
	if len(raw) < 10 || string(raw[:6]) != "\x93NUMPY" {
		return nil, 0, errors.New("not a NumPy array")
	}
	size, start := int(binary.LittleEndian.Uint16(raw[8:])), 10
	if raw[6] > 1 {
		if len(raw) < 12 {
			return nil, 0, errors.New("not a NumPy array")
		}
		size, start = int(binary.LittleEndian.Uint32(raw[8:])), 12
	}
	if size > len(raw)-start {
		return nil, 0, errors.New("the array ends too early")
	}
	// The three fields stand in the fixed order in which NumPy writes them.
	header := regexp.MustCompile(`^\{'descr': '([<|=>]?[a-zA-Z][0-9]*)', 'fortran_order': (?:False|True), 'shape': \(([0-9]+),\)`)
	found := header.FindSubmatch(raw[start : start+size])
	if found == nil {
		return nil, 0, fmt.Errorf("an array of this kind: %w", ErrUnsupported)
	}
	n, err = strconv.Atoi(string(found[2]))
	if err != nil || n > maxLabels {
		return nil, 0, fmt.Errorf("%.20s labels", found[2])
	}
	kind, body := strings.TrimLeft(string(found[1]), "<|="), raw[start+size:]
	width := 0
	if len(kind) > 1 {
		width, _ = strconv.Atoi(kind[1:])
	}
	if kind[0] == 'U' {
		width *= 4
	}
	if width < 0 || width > 1<<16 || len(body) < n*width || width == 0 {
		return nil, 0, errors.New("the array ends too early")
	}
	values, err = npyValues(kind, body, n, width)
	return values, n, err
}

func npyValues(kind string, body []byte, n, width int) (any, error) {
	switch {
	case kind == "b1":
		out := make([]bool, n)
		for i := range out {
			out[i] = body[i] != 0
		}
		return out, nil
	case kind == "f8" || kind == "f4":
		out := make([]float64, n)
		for i := range out {
			if width == 8 {
				out[i] = math.Float64frombits(binary.LittleEndian.Uint64(body[i*8:]))
			} else {
				out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(body[i*4:])))
			}
		}
		return out, nil
	case kind[0] == 'U':
		out := make([]string, n)
		for i := range out {
			out[i] = utf32(body[i*width : (i+1)*width])
		}
		return out, nil
	case kind[0] == 'i' || kind[0] == 'u':
		out := make([]int64, n)
		for i := range out {
			v, err := integer(kind, body[i*width:(i+1)*width])
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	}
	return nil, fmt.Errorf("labels of type %q: %w", kind, ErrUnsupported)
}

func utf32(b []byte) string {
	var s strings.Builder
	for ; len(b) >= 4; b = b[4:] {
		if r := rune(binary.LittleEndian.Uint32(b)); r != 0 { // NumPy pads with zeros
			s.WriteRune(r)
		}
	}
	return s.String()
}

func integer(kind string, b []byte) (int64, error) {
	switch kind {
	case "i1":
		return int64(int8(b[0])), nil
	case "u1":
		return int64(b[0]), nil
	case "i2":
		return int64(int16(binary.LittleEndian.Uint16(b))), nil
	case "u2":
		return int64(binary.LittleEndian.Uint16(b)), nil
	case "i4":
		return int64(int32(binary.LittleEndian.Uint32(b))), nil
	case "u4":
		return int64(binary.LittleEndian.Uint32(b)), nil
	case "i8":
		return int64(binary.LittleEndian.Uint64(b)), nil
	}
	return 0, fmt.Errorf("labels of type %q: %w", kind, ErrUnsupported)
}
