package xgboost

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// A document is read into map[string]any, []any, []float64 (an array of numbers only), string, float64, bool and nil.
// maxNesting bounds depth; the size of what is built is bounded by the size of the file.
const maxNesting = 64

var errTruncated = errors.New("the file ends too early")

// decode reads a JSON or a UBJSON document: UBJSON's second byte is never one that JSON could have.
func decode(data []byte) (map[string]any, error) {
	var v any
	var err error
	if looksLikeJSON(data) {
		d := &jsonDecoder{data: data}
		if v, err = d.value(0); err == nil {
			if d.space(); d.at != len(data) {
				err = fmt.Errorf("text after the end of the document")
			}
		}
		if err != nil {
			err = fmt.Errorf("JSON at byte %d: %w", d.at, err)
		}
	} else {
		d := &ubjDecoder{data: data}
		if v, err = d.value(0); err != nil {
			err = fmt.Errorf("UBJSON at byte %d: %w", d.at, err)
		}
	}
	if err != nil {
		return nil, err
	}
	root, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("the document is not an object")
	}
	return root, nil
}

func looksLikeJSON(data []byte) bool {
	if len(data) < 2 || data[0] != '{' {
		return true // an error message about JSON is the helpful one
	}
	switch data[1] {
	case '"', ' ', '\n', '\r', '\t', '}':
		return true
	}
	return false
}

type jsonDecoder struct {
	data []byte
	at   int
}

func (d *jsonDecoder) space() {
	for d.at < len(d.data) {
		switch d.data[d.at] {
		case ' ', '\n', '\r', '\t':
			d.at++
		default:
			return
		}
	}
}

func (d *jsonDecoder) peek() byte {
	d.space()
	if d.at < len(d.data) {
		return d.data[d.at]
	}
	return 0
}

func (d *jsonDecoder) value(depth int) (any, error) {
	if depth > maxNesting {
		return nil, errors.New("nested too deeply")
	}
	switch d.peek() {
	case '{':
		return d.object(depth)
	case '[':
		return d.array(depth)
	case '"':
		return d.text()
	case 0:
		return nil, errTruncated
	default:
		return d.literal()
	}
}

func (d *jsonDecoder) object(depth int) (any, error) {
	d.at++
	out := map[string]any{}
	if d.peek() == '}' {
		d.at++
		return out, nil
	}
	for {
		if d.peek() != '"' {
			return nil, errors.New("a key was expected")
		}
		key, err := d.text()
		if err != nil {
			return nil, err
		}
		if d.peek() != ':' {
			return nil, errors.New("a colon was expected")
		}
		d.at++
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out[key] = v
		switch d.peek() {
		case ',':
			d.at++
		case '}':
			d.at++
			return out, nil
		default:
			return nil, errors.New("a comma or the end of the object was expected")
		}
	}
}

func (d *jsonDecoder) array(depth int) (any, error) {
	d.at++
	numbers := []float64{}
	var mixed []any
	if d.peek() == ']' {
		d.at++
		return numbers, nil
	}
	for {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		numbers, mixed = push(numbers, mixed, v)
		switch d.peek() {
		case ',':
			d.at++
		case ']':
			d.at++
			if mixed != nil {
				return mixed, nil
			}
			return numbers, nil
		default:
			return nil, errors.New("a comma or the end of the array was expected")
		}
	}
}

// push keeps an array of numbers (booleans count as 0 and 1) compact until something else turns up.
func push(numbers []float64, mixed []any, v any) ([]float64, []any) {
	if mixed == nil {
		switch x := v.(type) {
		case float64:
			return append(numbers, x), nil
		case bool:
			if x {
				return append(numbers, 1), nil
			}
			return append(numbers, 0), nil
		}
		for _, n := range numbers {
			mixed = append(mixed, n)
		}
	}
	return nil, append(mixed, v)
}

func (d *jsonDecoder) text() (string, error) {
	start := d.at
	for i := start + 1; i < len(d.data); i++ {
		switch d.data[i] {
		case '\\':
			i++
		case '"':
			d.at = i + 1
			var s string
			err := json.Unmarshal(d.data[start:d.at], &s)
			return s, err
		}
	}
	return "", errTruncated
}

// literal reads a number or a word; XGBoost writes NaN and Infinity as bare words.
func (d *jsonDecoder) literal() (any, error) {
	start := d.at
	for d.at < len(d.data) {
		switch d.data[d.at] {
		case ',', ']', '}', ' ', '\n', '\r', '\t', ':', '"', '[', '{':
		default:
			d.at++
			continue
		}
		break
	}
	word := string(d.data[start:min(d.at, start+64)])
	switch word {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "null":
		return nil, nil
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	f, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return nil, fmt.Errorf("%.20q is no value", word)
	}
	return f, nil
}

type ubjDecoder struct {
	data []byte
	at   int
}

func (d *ubjDecoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.data)-d.at {
		return nil, errTruncated
	}
	out := d.data[d.at : d.at+n]
	d.at += n
	return out, nil
}

func (d *ubjDecoder) marker() (byte, error) {
	for {
		b, err := d.take(1)
		if err != nil {
			return 0, err
		}
		if b[0] != 'N' { // no-op
			return b[0], nil
		}
	}
}

func (d *ubjDecoder) value(depth int) (any, error) {
	m, err := d.marker()
	if err != nil {
		return nil, err
	}
	return d.typed(m, depth)
}

func (d *ubjDecoder) typed(m byte, depth int) (any, error) {
	if depth > maxNesting {
		return nil, errors.New("nested too deeply")
	}
	switch m {
	case 'Z':
		return nil, nil
	case 'T':
		return true, nil
	case 'F':
		return false, nil
	case 'S', 'H':
		return d.text()
	case 'C':
		b, err := d.take(1)
		return string(b), err
	case '{':
		return d.object(depth)
	case '[':
		return d.array(depth)
	}
	return d.number(m)
}

// numberSize is the width of a number type, 0 for anything else.
func numberSize(m byte) int {
	switch m {
	case 'i', 'U':
		return 1
	case 'I':
		return 2
	case 'l', 'd':
		return 4
	case 'L', 'D':
		return 8
	}
	return 0
}

func (d *ubjDecoder) number(m byte) (any, error) {
	size := numberSize(m)
	if size == 0 {
		return nil, fmt.Errorf("unknown type 0x%02x", m)
	}
	b, err := d.take(size)
	if err != nil {
		return nil, err
	}
	return readNumber(m, b), nil
}

func readNumber(m byte, b []byte) float64 {
	switch m {
	case 'i':
		return float64(int8(b[0]))
	case 'U':
		return float64(b[0])
	case 'I':
		return float64(int16(binary.BigEndian.Uint16(b)))
	case 'l':
		return float64(int32(binary.BigEndian.Uint32(b)))
	case 'L':
		return float64(int64(binary.BigEndian.Uint64(b)))
	case 'd':
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	default:
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
}

func (d *ubjDecoder) length() (int, error) {
	m, err := d.marker()
	if err != nil {
		return 0, err
	}
	if m == 'd' || m == 'D' {
		return 0, errors.New("a length that is not whole")
	}
	v, err := d.number(m)
	if err != nil {
		return 0, err
	}
	n := v.(float64)
	if n < 0 || n > float64(len(d.data)) {
		return 0, errTruncated
	}
	return int(n), nil
}

func (d *ubjDecoder) text() (string, error) {
	n, err := d.length()
	if err != nil {
		return "", err
	}
	b, err := d.take(n)
	return string(b), err
}

// header reads the optional type ($) and count (#) of a container; count is -1 without.
func (d *ubjDecoder) header() (elem byte, count int, err error) {
	count = -1
	if d.at < len(d.data) && d.data[d.at] == '$' {
		b, err := d.take(2)
		if err != nil {
			return 0, 0, err
		}
		elem = b[1]
		switch elem {
		case 'Z', 'T', 'F', 'N': // values without bytes: a short file could claim any number of them
			return 0, 0, fmt.Errorf("a container of type 0x%02x", elem)
		}
		if d.at >= len(d.data) || d.data[d.at] != '#' {
			return 0, 0, errors.New("a typed container without a count")
		}
	}
	if d.at < len(d.data) && d.data[d.at] == '#' {
		d.at++
		count, err = d.length()
	}
	return elem, count, err
}

func (d *ubjDecoder) array(depth int) (any, error) {
	elem, count, err := d.header()
	if err != nil {
		return nil, err
	}
	if size := numberSize(elem); size > 0 {
		b, err := d.take(count * size)
		if err != nil {
			return nil, err
		}
		out := make([]float64, count)
		for i := range out {
			out[i] = readNumber(elem, b[i*size:])
		}
		return out, nil
	}
	numbers := []float64{}
	var mixed []any
	for i := 0; count < 0 || i < count; i++ {
		m := elem
		if m == 0 {
			if m, err = d.marker(); err != nil {
				return nil, err
			}
		}
		if count < 0 && m == ']' {
			break
		}
		v, err := d.typed(m, depth+1)
		if err != nil {
			return nil, err
		}
		numbers, mixed = push(numbers, mixed, v)
	}
	if mixed != nil {
		return mixed, nil
	}
	return numbers, nil
}

func (d *ubjDecoder) object(depth int) (any, error) {
	elem, count, err := d.header()
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for i := 0; count < 0 || i < count; i++ {
		if count < 0 && d.at < len(d.data) && d.data[d.at] == '}' {
			d.at++
			break
		}
		key, err := d.text()
		if err != nil {
			return nil, err
		}
		m := elem
		if m == 0 {
			if m, err = d.marker(); err != nil {
				return nil, err
			}
		}
		if out[key], err = d.typed(m, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}
