package predlog

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// exported is a prediction on its way out, with the label it has now.
type exported struct {
	record *Record
	label  *storedLabel
}

// exportChunk is how many predictions are joined with their labels at a time.
const exportChunk = 500

// each tells fn of the predictions that a filter chooses, oldest first, with their labels. Memory does not grow with their number.
func (s *Service) each(ctx context.Context, f Filter, fn func(exported) error) error {
	var chunk []Record
	emit := func() error {
		ids := make([]string, len(chunk))
		for i := range chunk {
			ids[i] = chunk[i].RequestID
		}
		labels, err := s.labelsOf(ctx, ids)
		if err != nil {
			return err
		}
		for i := range chunk {
			e := exported{record: &chunk[i]}
			if l, ok := labels[ids[i]]; ok {
				e.label = &l
			}
			if f.Labelled != nil && *f.Labelled != (e.label != nil) {
				continue
			}
			if err := fn(e); err != nil {
				return err
			}
		}
		chunk = chunk[:0]
		return nil
	}
	to := f.To
	if to.IsZero() {
		to = s.d.Clock.Now().Add(time.Second)
	}
	start, err := s.seek(f.From.UnixMicro())
	if err != nil {
		return err
	}
	r := &reader{s: s}
	defer r.close()
	_, err = r.walk(ctx, f.Endpoint, start, func(_ *segment, _ int64, frame []byte, sc *Schema) (bool, error) {
		if frameTime(frame) >= to.Add(time.Minute).UnixMicro() {
			return true, nil
		}
		if frame[typeAt] != predictionFrame {
			return false, nil
		}
		rs, err := decodeBatch(frame, sc)
		if err != nil {
			return true, err
		}
		for i := range rs {
			if f.fits(&rs[i]) {
				chunk = append(chunk, rs[i])
			}
		}
		if len(chunk) < exportChunk {
			return false, nil
		}
		return false, emit()
	})
	if err != nil {
		return err
	}
	return emit()
}

// layout finds the columns of an export: those of the newest version that fits, and of the others what it lacks.
func (s *Service) layout(ctx context.Context, f Filter) (inputs, outputs []Field, err error) {
	seen := map[string]bool{}
	add := func(to *[]Field, prefix string, fields []Field) {
		for _, c := range fields {
			if !seen[prefix+c.Name] && len(seen) < maxExportColumns {
				seen[prefix+c.Name] = true
				*to = append(*to, c)
			}
		}
	}
	for _, g := range s.w.list() {
		if !f.To.IsZero() && g.start >= f.To.UnixMicro() {
			break
		}
		v, err := s.look(g, f.Endpoint)
		if errors.Is(err, fs.ErrNotExist) {
			continue // retention removed it
		}
		if err != nil {
			return nil, nil, err
		}
		for _, sc := range v.streams {
			if sc.Endpoint == f.Endpoint && (f.Version == "" || sc.Version == f.Version) {
				add(&inputs, "i:", sc.Inputs)
				add(&outputs, "o:", sc.Outputs)
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
	}
	return inputs, outputs, nil
}

const maxExportColumns = 4096

// exportHead are the columns in front of the inputs; exportTail those behind the outputs.
var (
	exportHead = [...]string{"prediction_id", "request_id", "endpoint", "model", "version", "role", "time", "event_time", "key", "status", "error", "latency_ms"}
	exportTail = [...]string{"label", "label_time", "label_event_time"}
)

// ExportCSV writes predictions with their labels as CSV, oldest first: input.<name> and output.<name> columns hold the values.
func (s *Service) ExportCSV(ctx context.Context, f Filter, w io.Writer) error {
	ins, outs, err := s.layout(ctx, f)
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	head := append([]string{}, exportHead[:]...)
	for _, c := range ins {
		head = append(head, "input."+c.Name)
	}
	for _, c := range outs {
		head = append(head, "output."+c.Name)
	}
	if err := out.Write(append(head, exportTail[:]...)); err != nil {
		return err
	}
	row := make([]string, 0, len(head)+len(exportTail))
	err = s.each(ctx, f, func(e exported) error {
		r := e.record
		row = append(row[:0], r.ID, r.RequestID, r.Schema.Endpoint, r.Schema.Model, r.Schema.Version, string(r.Role), r.Time.Format(time.RFC3339Nano), r.EventTime.Format(time.RFC3339Nano),
			r.Key, string(r.Status), r.Error, strconv.FormatFloat(float64(r.Latency.Microseconds())/1000, 'f', -1, 64))
		for _, c := range ins {
			row = append(row, cellText(r.Input(c.Name)))
		}
		for _, c := range outs {
			row = append(row, cellText(r.Output(c.Name)))
		}
		if e.label == nil {
			row = append(row, "", "", "")
		} else {
			row = append(row, cellText(e.label.value), time.UnixMicro(e.label.time).UTC().Format(time.RFC3339Nano), time.UnixMicro(e.label.eventTime).UTC().Format(time.RFC3339Nano))
		}
		return out.Write(row)
	})
	out.Flush()
	if err == nil {
		err = out.Error()
	}
	return err
}

func cellText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	b, err := json.Marshal(plain(v))
	if err != nil {
		return ""
	}
	return string(b)
}

// serveExport streams an export; an error after the first byte cuts the connection, so that a broken file is not taken for a whole one.
func (s *Service) serveExport(w http.ResponseWriter, req *http.Request) error {
	q := req.URL.Query()
	in := listInput{Name: req.PathValue("name"), From: q.Get("from"), To: q.Get("to"), Version: q.Get("version"), Role: q.Get("role"), Status: q.Get("status"), Key: q.Get("key"), Labelled: q.Get("labelled")}
	f, err := in.filter()
	if err != nil {
		return err
	}
	format := q.Get("format")
	write, contentType := s.ExportCSV, "text/csv; charset=utf-8"
	switch format {
	case "csv":
	case "parquet", "":
		format, write, contentType = "parquet", s.ExportParquet, "application/vnd.apache.parquet"
	default:
		return errs.Invalidf("predlog.export", "the format is not known").WithField("format", "expected parquet or csv")
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // as long as the client reads
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", `attachment; filename="predictions.`+format+`"`)
	if err := write(req.Context(), f, w); err != nil {
		s.d.Log.Warn("an export of predictions broke off", "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}
