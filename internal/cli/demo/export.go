package demo

import (
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
)

// readExport reads predictions by id, and labels by the caller's key, from an export in CSV.
func readExport(r io.Reader) (outputs, labels map[string]float64, err error) {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	heads, err := rows.Read()
	if err != nil {
		return nil, nil, err
	}
	heads = slices.Clone(heads)
	id, output, label, key := slices.Index(heads, "prediction_id"), slices.Index(heads, "output.prediction"), slices.Index(heads, "label"), slices.Index(heads, "key")
	if id < 0 || output < 0 || label < 0 || key < 0 {
		return nil, nil, failed("the export lacks columns: it has %v", heads)
	}
	outputs, labels = map[string]float64{}, map[string]float64{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return outputs, labels, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if v, err := strconv.ParseFloat(row[output], 64); err == nil {
			outputs[row[id]] = v
		}
		if v, err := strconv.ParseFloat(row[label], 64); err == nil {
			labels[row[key]] = v
		}
	}
}
