package predlog

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
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
	var out []Record
	for _, a := range files {
		if err := s.readSealed(ctx, a, []ID{id}, nil, func(rs []Record) bool {
			out = together(id.String(), rs)
			return len(out) == 0 // what scored one row stands close together: the first row group has all but the odd one
		}); err != nil || len(out) > 0 {
			return out, err
		}
	}
	return nil, nil
}

// together are those of some records that scored a row, the answer first; none without the answer.
func together(id string, rs []Record) []Record {
	var out []Record
	for _, r := range rs {
		switch {
		case r.ID == id:
			out = append([]Record{r}, out...)
		case r.RequestID == id:
			out = append(out, r)
		}
	}
	if len(out) == 0 || out[0].ID != id {
		return nil
	}
	out[0].Mirrors = len(out) - 1
	return out
}

// readSealed reads the predictions with some ids, and the other versions' scores of their rows, from a sealed file: found gets what one row
// group has, until it has enough. take are the columns that it needs, nil for all.
func (s *Service) readSealed(ctx context.Context, a Archive, ids []ID, take []string, found func([]Record) (more bool)) error {
	f, err := s.d.Files.Store().Open(ctx, a.Digest)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	q := table.Lookup{Columns: sealedColumns[:], Values: make(map[string]bool, len(ids)), Take: take, Most: maxScored * len(ids)}
	for _, id := range ids {
		q.Values[id.String()] = true
	}
	return table.FindParquet(ctx, &readerAt{r: f}, a.Bytes, q, table.Limits{}, func(frame *table.Frame, notes map[string]string) (bool, error) {
		var schemas []*Schema
		_ = json.Unmarshal([]byte(notes[schemasNote]), &schemas) // files from before have none
		out := make([]Record, frame.Rows())
		for row := range out {
			out[row] = sealedRecord(frame, row, schemas)
		}
		return found(out), nil
	})
}

// sealedBudget bounds the bytes of the sealed files that one search of many ids reads.
const sealedBudget = 2 << 30

// sealedHead are the columns that tell when a prediction was made, and of which endpoint it is.
var sealedHead = []string{"prediction_id", "request_id", "endpoint", "model", "version", "time", "event_time"} //nolint:gochecknoglobals // a constant

// manySealed looks for predictions of an endpoint in the hours whose raw log was removed, each file once: found gets each id with what scored
// its row, the answer first. take are the columns that are needed, nil for all. unread are the ids that may be in files which were not read, with the
// reason: there were too many files, or one is damaged.
func (s *Service) manySealed(ctx context.Context, endpoint string, ids []ID, take []string, found func(ID, []Record)) (unread map[ID]error, err error) {
	if s.d.Files == nil || len(ids) == 0 {
		return nil, nil
	}
	hours := map[int64][]ID{} // an id may stand in the hour after its own
	for _, id := range ids {
		made := id.Time().UnixMicro()
		hours[made/hourMicros] = append(hours[made/hourMicros], id)
		if next := (made + findSpan.Microseconds()) / hourMicros; next != made/hourMicros {
			hours[next] = append(hours[next], id)
		}
	}
	files, err := s.removedHours(ctx, endpoint, slices.Min(slices.Collect(maps.Keys(hours)))*hourMicros, slices.Max(slices.Collect(maps.Keys(hours)))*hourMicros)
	if err != nil {
		return nil, err
	}
	unread, done := map[ID]error{}, map[ID]bool{}
	budget := int64(sealedBudget)
	for _, a := range files {
		want := slices.DeleteFunc(slices.Clone(hours[a.Hour.UnixMicro()/hourMicros]), func(id ID) bool { return done[id] })
		if len(want) == 0 {
			continue
		}
		err := errTooMuch
		if budget -= a.Bytes; budget >= 0 || budget+a.Bytes == sealedBudget { // one file is always read
			var rs []Record
			err = s.readSealed(ctx, a, want, take, func(more []Record) bool { rs = append(rs, more...); return true })
			of := map[string][]Record{}
			for _, r := range rs {
				of[r.ID] = append(of[r.ID], r)
				if r.RequestID != r.ID {
					of[r.RequestID] = append(of[r.RequestID], r)
				}
			}
			for _, id := range want {
				if got := together(id.String(), of[id.String()]); len(got) > 0 {
					done[id] = true
					found(id, got)
				}
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			for _, id := range want {
				unread[id] = err
			}
		}
	}
	maps.DeleteFunc(unread, func(id ID, _ error) bool { return done[id] })
	return unread, nil
}

var errTooMuch = errors.New("the predictions are spread over too many sealed hours for one request") //nolint:gochecknoglobals // a constant

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

// removedHours lists the sealed hours of an endpoint, in order, that begin in a span, both ends included, and whose raw log may be gone.
func (s *Service) removedHours(ctx context.Context, endpoint string, from, to int64) ([]Archive, error) {
	if oldest := s.oldest(); !oldest.IsZero() {
		to = min(to, oldest.UnixMicro()/hourMicros*hourMicros) // of the oldest hour a part may be gone
	}
	rows, err := s.d.DB.Query(ctx, "SELECT hour, digest, size_bytes FROM predlog_archive WHERE endpoint = ? AND hour >= ? AND hour <= ? ORDER BY hour, part", endpoint, from, to)
	return db.All(rows, err, func(row db.Scanner) (a Archive, err error) {
		var digest string
		var hour int64
		err = row.Scan(&hour, &digest, &a.Bytes)
		a.Hour, a.Digest = clock.FromMicros(hour), blob.Digest(digest)
		return a, err
	})
}
