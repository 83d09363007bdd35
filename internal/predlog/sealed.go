package predlog

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/table"
)

// schemasNote is the note in a sealed file that holds the schemas of its hour, so that predictions are read back as they were logged.
const schemasNote = "modelyard.schemas"

// sealedColumns are where the id of a prediction stands in a sealed file.
var sealedColumns = [...]string{"prediction_id", "request_id"}

// maxScored bounds how many versions' scores of one row are read from a sealed file.
const maxScored = 64

// findSealed looks for a prediction in the hours that are sealed to Parquet: what find gives once the raw log of the hour was removed.
func (s *Service) findSealed(ctx context.Context, id ID) ([]Record, error) {
	if s.d.Files == nil {
		return nil, nil
	}
	made := id.Time().UnixMicro()
	first, last := made/hourMicros, (made+findSpan.Microseconds())/hourMicros
	files, err := s.archivesBetween(ctx, first*hourMicros, last*hourMicros)
	if err != nil {
		return nil, err
	}
	for _, a := range files {
		out, err := s.findIn(ctx, a, id.String())
		if err != nil || len(out) > 0 {
			return out, err
		}
	}
	return nil, nil
}

func (s *Service) findIn(ctx context.Context, a Archive, id string) ([]Record, error) {
	f, err := s.d.Files.Store().Open(ctx, a.Digest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	found, err := table.FindParquet(ctx, &readerAt{r: f}, a.Bytes, sealedColumns[:], id, maxScored, table.Limits{})
	if err != nil || found.Frame == nil {
		return nil, err
	}
	var schemas []*Schema
	_ = json.Unmarshal([]byte(found.Notes[schemasNote]), &schemas) // files from before have none
	out := make([]Record, 0, found.Frame.Rows())
	for row := range found.Frame.Rows() {
		r := sealedRecord(found.Frame, row, schemas)
		if r.ID == id { // the answer first
			out = append([]Record{r}, out...)
		} else {
			out = append(out, r)
		}
	}
	if out[0].ID != id {
		return nil, nil
	}
	out[0].Mirrors = len(out) - 1
	return out, nil
}

// sealedRecord is a row of a sealed file as a record.
func sealedRecord(f *table.Frame, row int, schemas []*Schema) Record {
	text := func(name string) string {
		s, _ := valueAt(f, name, row).(string)
		return s
	}
	at := func(name string) time.Time {
		t, _ := valueAt(f, name, row).(time.Time)
		return t
	}
	latency, _ := valueAt(f, "latency_ms", row).(float64)
	r := Record{ID: text("prediction_id"), RequestID: text("request_id"), Role: Role(text("role")), Time: at("time"), EventTime: at("event_time"), Key: text("key"),
		Status: Status(text("status")), Error: text("error"), Latency: time.Duration(latency * float64(time.Millisecond))}
	r.EventTimeSet = !r.EventTime.Equal(r.Time)
	r.Inputs, r.Outputs = []any{}, []any{}
	r.Schema = sealedSchema(f, row, schemas, Schema{Endpoint: text("endpoint"), Model: text("model"), Version: text("version")})
	for _, c := range r.Schema.Inputs {
		r.Inputs = append(r.Inputs, sealedValue(c, valueAt(f, "input."+c.Name, row)))
	}
	if r.Status == Failed {
		return r
	}
	for _, c := range r.Schema.Outputs {
		r.Outputs = append(r.Outputs, sealedValue(c, valueAt(f, "output."+c.Name, row)))
	}
	return r
}

// sealedSchema is that of the version that scored the row. Files without schemas tell the columns that the row has.
func sealedSchema(f *table.Frame, row int, schemas []*Schema, of Schema) *Schema {
	for _, s := range schemas {
		if s != nil && s.Endpoint == of.Endpoint && s.Model == of.Model && s.Version == of.Version {
			return s
		}
	}
	for _, c := range f.Columns() {
		kind := map[table.Type]Kind{table.Float: Float64, table.Int: Int64, table.Bool: Bool, table.Time: Datetime, table.String: String}[c.Type()]
		if name, ok := strings.CutPrefix(c.Name(), "input."); ok {
			of.Inputs = append(of.Inputs, Field{Name: name, Kind: kind})
		} else if name, ok := strings.CutPrefix(c.Name(), "output."); ok && c.Valid(row) {
			of.Outputs = append(of.Outputs, Field{Name: name, Kind: kind})
		}
	}
	return &of
}

// sealedValue undoes storable: lists and JSON were kept as their text.
func sealedValue(c Field, v any) any {
	text, ok := v.(string)
	if !ok || !c.Wide && c.Kind != JSON && c.Kind != Binary {
		return v
	}
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return text
}

func valueAt(f *table.Frame, name string, row int) any {
	if c, ok := f.Column(name); ok {
		return c.Value(row)
	}
	return nil
}

// readerAt reads at offsets of what can only seek.
type readerAt struct {
	mu sync.Mutex
	r  io.ReadSeeker
}

func (r *readerAt) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.r.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(r.r, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// archivesBetween lists the sealed hours of all endpoints that begin in a span, both ends included.
func (s *Service) archivesBetween(ctx context.Context, from, to int64) ([]Archive, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT digest, size_bytes FROM predlog_archive WHERE hour >= ? AND hour <= ? ORDER BY hour, endpoint, part", from, to)
	return db.All(rows, err, func(row db.Scanner) (a Archive, err error) {
		var digest string
		err = row.Scan(&digest, &a.Bytes)
		a.Digest = blob.Digest(digest)
		return a, err
	})
}
