package predlog

import (
	"context"
	"io"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/table"
)

// columnType is how a column is kept in Parquet; lists, JSON and binary become text.
func columnType(k Kind) table.Type {
	switch k {
	case Float64:
		return table.Float
	case Int64:
		return table.Int
	case Bool:
		return table.Bool
	case Datetime:
		return table.Time
	default:
		return table.String
	}
}

// parquetRows writes predictions to a Parquet file. Inputs and outputs are columns input.<name> and output.<name>; the label is a number
// in label (booleans are 1 and 0) or a text in label_text.
type parquetRows struct {
	w         *table.ParquetWriter
	ins, outs []Field
	row       []any
}

func newParquetRows(w io.Writer, ins, outs []Field) (*parquetRows, error) {
	specs := []table.ColumnSpec{}
	for _, name := range exportHead {
		t := table.String
		switch name {
		case "time", "event_time":
			t = table.Time
		case "latency_ms":
			t = table.Float
		}
		specs = append(specs, table.ColumnSpec{Name: name, Type: t})
	}
	for _, f := range ins {
		specs = append(specs, table.ColumnSpec{Name: "input." + f.Name, Type: columnType(f.Kind)})
	}
	for _, f := range outs {
		specs = append(specs, table.ColumnSpec{Name: "output." + f.Name, Type: columnType(f.Kind)})
	}
	specs = append(specs, table.ColumnSpec{Name: "label", Type: table.Float}, table.ColumnSpec{Name: "label_text", Type: table.String},
		table.ColumnSpec{Name: "label_time", Type: table.Time}, table.ColumnSpec{Name: "label_event_time", Type: table.Time})
	pw, err := table.NewParquetWriter(w, specs)
	return &parquetRows{w: pw, ins: ins, outs: outs}, err
}

func (p *parquetRows) add(e exported) error {
	r := e.record
	p.row = append(p.row[:0], r.ID, r.RequestID, r.Schema.Endpoint, r.Schema.Model, r.Schema.Version, string(r.Role), r.Time, r.EventTime, r.Key, string(r.Status), r.Error,
		float64(r.Latency.Microseconds())/1000)
	for _, f := range p.ins {
		p.row = append(p.row, storable(f.Kind, r.Input(f.Name)))
	}
	for _, f := range p.outs {
		p.row = append(p.row, storable(f.Kind, r.Output(f.Name)))
	}
	var number, text, at, event any
	if e.label != nil {
		if f, ok := Float(e.label.value); ok {
			number = f
		} else {
			text = cellText(e.label.value)
		}
		at, event = clock.FromMicros(e.label.time), clock.FromMicros(e.label.eventTime)
	}
	p.row = append(p.row, number, text, at, event)
	return p.w.WriteRow(p.row...)
}

// storable is a value as its column takes it; what another version gave of another type is left out rather than bent.
func storable(k Kind, v any) any {
	if v == nil {
		return nil
	}
	switch columnType(k) {
	case table.Float:
		if f, ok := Float(v); ok {
			return f
		}
	case table.Int:
		if n, ok := v.(int64); ok {
			return n
		}
	case table.Bool:
		if b, ok := v.(bool); ok {
			return b
		}
	case table.Time:
		if t, ok := v.(time.Time); ok {
			return t
		}
	default:
		return cellText(v)
	}
	return nil
}

// ExportParquet writes predictions with their labels as Parquet, oldest first. Memory holds one row group.
func (s *Service) ExportParquet(ctx context.Context, f Filter, w io.Writer) error {
	ins, outs, err := s.layout(ctx, f)
	if err != nil {
		return err
	}
	rows, err := newParquetRows(w, mergeKinds(ins), mergeKinds(outs))
	if err != nil {
		return err
	}
	if err := s.each(ctx, f, rows.add); err != nil {
		return err
	}
	return rows.w.Close()
}

// mergeKinds makes lists text: a column whose rows hold several values has no scalar type.
func mergeKinds(fields []Field) []Field {
	out := make([]Field, len(fields))
	for i, f := range fields {
		if f.Wide {
			f.Kind = JSON
		}
		out[i] = f
	}
	return out
}
