package serving

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// csvToSplit turns a CSV text with a header into MLflow's dataframe_split. A cell becomes a number or a boolean where the signature says
// so, or, without a signature, where all it could be is a number; an empty cell is missing.
func csvToSplit(body []byte, specs []infer.Spec) ([]byte, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return nil, errs.E(errs.Invalid, "serving.csv", "the body is not CSV with a header line", err)
	}
	kinds := make([]infer.Kind, len(head))
	out := []byte(`{"dataframe_split":{"columns":[`)
	for i, name := range head {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendString(out, name)
		for _, s := range specs {
			if s.Name == name {
				kinds[i] = s.Kind
			}
		}
	}
	out = append(out, `],"data":[`...)
	for row := 0; ; row++ {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errs.E(errs.Invalid, "serving.csv", "the CSV cannot be read", err)
		}
		if row > 0 {
			out = append(out, ',')
		}
		out = append(out, '[')
		for i, cell := range cells {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendCell(out, cell, kinds[i])
		}
		out = append(out, ']')
	}
	return append(out, `]}}`...), nil
}

func appendCell(b []byte, cell string, kind infer.Kind) []byte {
	plain := strings.TrimSpace(cell)
	if plain == "" {
		return append(b, "null"...)
	}
	switch kind {
	case infer.Bool:
		switch strings.ToLower(plain) {
		case "true", "false":
			return append(b, strings.ToLower(plain)...)
		}
	case infer.Float64, infer.Int64, "":
		f, err := strconv.ParseFloat(plain, 64)
		switch {
		case err != nil:
		case kind == infer.Int64 && strings.Trim(plain, "0123456789-+") == "":
			if n, err := strconv.ParseInt(plain, 10, 64); err == nil {
				return strconv.AppendInt(b, n, 10)
			}
		case math.IsNaN(f):
			return append(b, "null"...)
		default:
			return appendFloat(b, f)
		}
	}
	return appendString(b, cell)
}
