package serving

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/predlog"
)

const hexDigits = "0123456789abcdef"

// appendString appends a JSON text.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[start:i]...), `\ufffd`...)
				start = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

// appendFloat appends a number as encoding/json writes it; NaN and infinities, which JSON lacks, are null.
func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64)
}

// appendOne appends value i of a column.
func appendOne(b []byte, c *infer.Column, i int) []byte {
	if c.Missing(i) {
		return append(b, "null"...)
	}
	switch c.Kind {
	case infer.Float64:
		return appendFloat(b, c.Floats[i])
	case infer.Int64:
		return strconv.AppendInt(b, c.Ints[i], 10)
	case infer.Bool:
		return strconv.AppendBool(b, c.Bools[i])
	case infer.Datetime:
		b = append(b, '"')
		b = time.UnixMicro(c.Ints[i]).UTC().AppendFormat(b, "2006-01-02T15:04:05.999999")
		return append(b, '"')
	case infer.Binary:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, []byte(c.Strings[i]))
		return append(b, '"')
	case infer.JSON:
		return append(b, c.Strings[i]...)
	default:
		return appendString(b, c.Strings[i])
	}
}

// appendRow appends a row's value of a column: a scalar, or nested lists of its shape.
func appendRow(b []byte, c *infer.Column, row int) []byte {
	if len(c.Shape) == 0 {
		return appendOne(b, c, row)
	}
	w := c.Width()
	return appendNested(b, c, c.Shape, row*w, w)
}

func appendNested(b []byte, c *infer.Column, shape []int, at, n int) []byte {
	if len(shape) == 0 {
		return appendOne(b, c, at)
	}
	b = append(b, '[')
	for i := range shape[0] {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNested(b, c, shape[1:], at+i*(n/shape[0]), n/shape[0])
	}
	return append(b, ']')
}

// appendRecord appends a row of several columns as an object.
func appendRecord(b []byte, cols []infer.Column, row int) []byte {
	b = append(b, '{')
	for i := range cols {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, cols[i].Name)
		b = append(b, ':')
		b = appendRow(b, &cols[i], row)
	}
	return append(b, '}')
}

// appendPrediction appends what predict says of a row: a value where it answers one column, else an object.
func appendPrediction(b []byte, o *infer.Output, row int) []byte {
	if len(o.Columns) == 1 {
		return appendRow(b, &o.Columns[0], row)
	}
	return appendRecord(b, o.Columns, row)
}

func appendID(b []byte, id predlog.ID) []byte {
	b = append(b, '"')
	b = id.AppendText(b)
	return append(b, '"')
}

func appendIDs(b []byte, ids []predlog.ID) []byte {
	b = append(b, '[')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendID(b, id)
	}
	return append(b, ']')
}

// appendTail appends what every answer carries: model, version, whether it was logged, warnings.
func appendTail(b []byte, a *answer) []byte {
	b = appendString(append(b, `,"model":`...), a.model)
	b = appendString(append(b, `,"version":`...), a.version)
	b = strconv.AppendBool(append(b, `,"logged":`...), a.logged)
	if len(a.warnings) > 0 {
		b = append(b, `,"warnings":[`...)
		for i, w := range a.warnings {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, w)
		}
		b = append(b, ']')
	}
	return b
}

// appendPredict is the answer of /predict: for one record its prediction, for a list of records a list.
func appendPredict(b []byte, a *answer, single bool) []byte {
	outputs := func(row int) {
		b = append(b, '{')
		for i := range a.out.Columns {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendRow(append(appendString(b, a.out.Columns[i].Name), ':'), &a.out.Columns[i], row)
		}
		for i := range a.out.Extra {
			b = appendRow(append(appendString(append(b, ','), a.out.Extra[i].Name), ':'), &a.out.Extra[i], row)
		}
		b = append(b, '}')
	}
	if single {
		b = appendPrediction(append(b, `{"prediction":`...), a.out, 0)
		b = appendID(append(b, `,"prediction_id":`...), a.ids[0])
		b = appendTail(b, a)
		b = append(b, `,"outputs":`...)
		outputs(0)
		return append(b, '}')
	}
	b = appendPredictions(append(b, '{'), a)
	b = appendIDs(append(b, `,"prediction_ids":`...), a.ids)
	b = appendTail(b, a)
	b = append(b, `,"outputs":[`...)
	for row := range a.out.Rows {
		if row > 0 {
			b = append(b, ',')
		}
		outputs(row)
	}
	return append(b, ']', '}')
}

func appendPredictions(b []byte, a *answer) []byte {
	b = append(b, `"predictions":[`...)
	for row := range a.out.Rows {
		if row > 0 {
			b = append(b, ',')
		}
		b = appendPrediction(b, a.out, row)
	}
	return append(b, ']')
}

// appendInvocations is the answer of MLflow's scoring server, with our ids behind it: values where predict returns an array, else records.
func appendInvocations(b []byte, a *answer) []byte {
	b = append(b, '{')
	if a.out.Array || len(a.out.Columns) == 0 {
		b = appendPredictions(b, a)
	} else {
		b = append(b, `"predictions":[`...)
		for row := range a.out.Rows {
			if row > 0 {
				b = append(b, ',')
			}
			b = appendRecord(b, a.out.Columns, row)
		}
		b = append(b, ']')
	}
	b = appendIDs(append(b, `,"prediction_ids":`...), a.ids)
	return append(appendTail(b, a), '}')
}
