package table

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"path"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// PreviewKind is what a preview shows of a file.
type PreviewKind string

// The kinds of preview.
const (
	PreviewTable  PreviewKind = "table"
	PreviewText   PreviewKind = "text"
	PreviewBinary PreviewKind = "binary" // nothing but the size, and a note why
)

// FilePreview is the beginning of a file, bounded whatever the file's size.
type FilePreview struct {
	Kind      PreviewKind     `json:"kind" enum:"table,text,binary"`
	Path      string          `json:"path"`
	Size      int64           `json:"size" doc:"bytes of the file"`
	Truncated bool            `json:"truncated" doc:"the file goes on"`
	Text      string          `json:"text,omitempty"`
	Columns   []PreviewColumn `json:"columns,omitempty"`
	Rows      [][]any         `json:"rows,omitempty" doc:"values in the order of the columns; null where there is none"`
	TotalRows int64           `json:"total_rows,omitempty" doc:"0 where counting would need the whole file"`
	Skipped   []string        `json:"skipped,omitempty" doc:"columns that are not shown: nested ones, and those past the first 200"`
	Note      string          `json:"note,omitempty" doc:"why there is nothing to show"`
}

// PreviewColumn is a column of a table.
type PreviewColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// MostPreviewRows bounds the rows of a preview.
const MostPreviewRows = 1000

// Bounds of a preview.
const (
	previewText    = 256 << 10 // bytes of text
	previewCSV     = 1 << 20   // bytes that rows of CSV are read from
	previewColumns = 200
	previewCell    = 2000      // bytes of one cell
	previewMemory  = 256 << 20 // bytes that a part of a Parquet file may take
)

// Preview shows the beginning of a file as at most rows rows, as text, or not at all. p is the file's name, whose ending says what it holds, and
// size its bytes. What cannot be read is no error: the note says why there is nothing to show.
func Preview(ctx context.Context, f io.ReadSeeker, p string, size int64, rows int) (*FilePreview, error) {
	rows = max(1, min(rows, MostPreviewRows))
	out := &FilePreview{Path: p, Size: size}
	switch strings.ToLower(path.Ext(p)) {
	case ".parquet", ".pq":
		out.parquet(ctx, &seekReaderAt{r: f}, rows)
		return out, nil
	case ".csv":
		return out, out.delimited(f, ',', rows)
	case ".tsv":
		return out, out.delimited(f, '\t', rows)
	}
	return out, out.text(f)
}

func (v *FilePreview) text(r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(r, previewText+1))
	if err != nil {
		return err
	}
	if v.Truncated = len(b) > previewText; v.Truncated {
		b = b[:previewText]
		for range utf8.UTFMax - 1 { // not in the middle of a character
			if r, n := utf8.DecodeLastRune(b); r != utf8.RuneError || n != 1 {
				break
			}
			b = b[:len(b)-1]
		}
	}
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		v.Kind, v.Truncated, v.Note = PreviewBinary, false, "This is no text."
		return nil
	}
	v.Kind, v.Text = PreviewText, string(b)
	return nil
}

// delimited shows rows as they are written: a preview must not take 007 for 7.
func (v *FilePreview) delimited(r io.Reader, comma rune, rows int) error {
	b, err := io.ReadAll(io.LimitReader(r, previewCSV+1))
	if err != nil {
		return err
	}
	cut := len(b) > previewCSV
	if cut {
		b = b[:max(0, bytes.LastIndexByte(b[:previewCSV], '\n'))]
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		v.Kind, v.Note = PreviewBinary, "This is no text in UTF-8."
		return nil
	}
	in := csv.NewReader(bytes.NewReader(b))
	in.Comma, in.LazyQuotes, in.FieldsPerRecord = comma, true, -1
	v.Kind, v.Rows = PreviewTable, [][]any{}
	for n := 0; ; n++ {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			v.Kind, v.Columns, v.Rows, v.Note = PreviewBinary, nil, nil, "The rows can't be told apart: "+err.Error()
			return nil
		}
		if n == 0 {
			v.head(record)
			continue
		}
		if n > rows {
			v.Truncated = true
			if cut {
				return nil
			}
			v.TotalRows++
			continue
		}
		row := make([]any, 0, len(v.Columns))
		for _, cell := range record[:min(len(record), previewColumns)] {
			row = append(row, clipCell(cell))
		}
		v.Rows = append(v.Rows, row)
	}
	if v.Truncated = v.Truncated || cut; !cut {
		v.TotalRows += int64(len(v.Rows))
	}
	return nil
}

func (v *FilePreview) head(names []string) {
	for i, name := range names {
		if i >= previewColumns {
			v.Skipped = append(v.Skipped, clipCell(name))
			continue
		}
		v.Columns = append(v.Columns, PreviewColumn{Name: clipCell(name), Type: "string"})
	}
}

func (v *FilePreview) parquet(ctx context.Context, r io.ReaderAt, rows int) {
	head, err := HeadParquet(ctx, r, v.Size, rows, Limits{Columns: previewColumns, Bytes: previewMemory})
	if err != nil {
		v.Kind, v.Note = PreviewBinary, "The file can't be read: "+strings.TrimPrefix(err.Error(), "table: ")
		return
	}
	v.Kind, v.Rows, v.TotalRows, v.Skipped = PreviewTable, [][]any{}, head.Rows, head.Skipped
	for _, c := range head.Frame.Columns() {
		v.Columns = append(v.Columns, PreviewColumn{Name: clipCell(c.Name()), Type: string(c.Type())})
	}
	for i := range head.Frame.Rows() {
		row := make([]any, 0, len(v.Columns))
		for _, c := range head.Frame.Columns() {
			row = append(row, jsonValue(c.Value(i)))
		}
		v.Rows = append(v.Rows, row)
	}
	v.Truncated = head.Rows > int64(len(v.Rows))
}

// jsonValue is a value as JSON can hold it.
func jsonValue(v any) any {
	switch v := v.(type) {
	case string:
		return clipCell(v)
	case float64:
		switch {
		case math.IsNaN(v):
			return "NaN"
		case math.IsInf(v, 1):
			return "Infinity"
		case math.IsInf(v, -1):
			return "-Infinity"
		}
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return v
}

func clipCell(s string) string {
	if len(s) <= previewCell {
		return s
	}
	return strings.ToValidUTF8(s[:previewCell], "") + "…"
}

// seekReaderAt reads at offsets of what can only seek.
type seekReaderAt struct {
	mu sync.Mutex
	r  io.ReadSeeker
}

func (s *seekReaderAt) ReadAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.r.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(s.r, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}
