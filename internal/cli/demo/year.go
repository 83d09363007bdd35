package demo

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"
	"time"
)

// hour is one row of the data.
type hour struct {
	at       time.Time
	line     string             // as in the file
	features map[string]float64 // what the model sees
	riders   float64            // what came true
}

var april = time.Date(2011, 4, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant, were there constant times

const header = "time,hour,weekday,workingday,holiday,temperature,feels_like,humidity,windspeed,riders"

func readYear() ([]hour, error) {
	rows, err := csv.NewReader(bytes.NewReader(file("bikes.csv"))).ReadAll()
	if err != nil {
		return nil, err
	}
	heads := rows[0]
	year := make([]hour, 0, len(rows)-1)
	for _, r := range rows[1:] {
		h := hour{line: strings.Join(r, ","), features: map[string]float64{}}
		if h.at, err = time.Parse(time.RFC3339, r[0]); err != nil {
			return nil, err
		}
		for i, cell := range r[1:] {
			v, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				return nil, err
			}
			if heads[i+1] == "riders" {
				h.riders = v
			} else {
				h.features[heads[i+1]] = v
			}
		}
		year = append(year, h)
	}
	return year, nil
}

// csvUntil is the file's part before a time.
func csvUntil(year []hour, end time.Time) string {
	var b strings.Builder
	b.WriteString(header + "\n")
	for _, h := range year {
		if h.at.Before(end) {
			b.WriteString(h.line + "\n")
		}
	}
	return b.String()
}
