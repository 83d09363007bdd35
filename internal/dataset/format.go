package dataset

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"sync"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/table"
)

// Format is how a table is written.
type Format string

// The formats.
const (
	CSV     Format = "csv"
	Parquet Format = "parquet"
	JSONL   Format = "jsonl"
)

// Valid reports whether f is known.
func (f Format) Valid() bool { return f == CSV || f == Parquet || f == JSONL }

// ContentType is the media type of the format.
func (f Format) ContentType() string {
	switch f {
	case Parquet:
		return "application/vnd.apache.parquet"
	case JSONL:
		return "application/x-ndjson"
	}
	return "text/csv; charset=utf-8"
}

// sniff tells the format of an upload from its first bytes.
func sniff(r *bufio.Reader) Format {
	head, _ := r.Peek(64)
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("PAR1")):
		return Parquet
	case bytes.HasPrefix(head, []byte("{")):
		return JSONL
	}
	return CSV
}

// dataURL is where a version's data is served.
func dataURL(name, version string) string {
	return "/api/v1/datasets/" + url.PathEscape(name) + "/versions/" + version + "/data"
}

// parseDataURL is the inverse of dataURL, for whole URLs too; a bare name@version also goes. Version 0 means latest.
func parseDataURL(source string) (string, int64, bool) {
	_, rest, found := strings.Cut(source, "/api/v1/datasets/")
	if !found {
		name, v, at := strings.Cut(source, "@")
		if !at {
			return "", 0, false
		}
		n, err := parseVersion(v)
		name, nameErr := CheckName(name)
		return name, n, err == nil && nameErr == nil
	}
	rest, _, _ = strings.Cut(rest, "?")
	rest, _, _ = strings.Cut(rest, "#")
	parts := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	if len(parts) < 3 || parts[1] != "versions" || len(parts) > 4 || len(parts) == 4 && parts[3] != "data" {
		return "", 0, false
	}
	name, err := url.PathUnescape(parts[0])
	if err != nil {
		return "", 0, false
	}
	if name, err = CheckName(name); err != nil {
		return "", 0, false
	}
	n, err := parseVersion(parts[2])
	return name, n, err == nil
}

// limits bound a table in memory.
func limits() table.Limits {
	return table.Limits{Rows: 20_000_000, Columns: 5000, Bytes: 2 << 30}
}

// read reads stored contents as a table. What is wrong with them is Invalid and says where.
func (s *Service) read(ctx context.Context, d blob.Digest, size int64, f Format) (*table.Frame, error) {
	select { // tables are large: few are read at a time
	case s.readers <- struct{}{}:
		defer func() { <-s.readers }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r, err := s.d.Files.Store().Open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	var frame *table.Frame
	switch f {
	case CSV:
		frame, err = table.ReadCSV(r, table.CSVOptions{Limits: limits()})
	case JSONL:
		frame, err = table.ReadJSONLines(r, limits())
	default:
		frame, err = table.ReadParquet(ctx, &readerAt{r: r}, size, limits())
	}
	if err != nil {
		return nil, readFailed(err)
	}
	return frame, nil
}

func readFailed(err error) error {
	var re *table.ReadError
	if !errors.As(err, &re) {
		if errs.KindOf(err) != errs.Internal {
			return err
		}
		return errs.E(errs.Invalid, "dataset.read", "the data cannot be read as a table", err)
	}
	where := re.Column
	if where == "" {
		where = "data"
	}
	return errs.E(errs.Invalid, "dataset.read", "the data cannot be read as a table", re).WithField(where, "expected %s, found %s", re.Expected, re.Found)
}

// readerAt reads ranges of a stored blob.
type readerAt struct {
	mu sync.Mutex
	r  io.ReadSeeker
}

func (a *readerAt) ReadAt(p []byte, off int64) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.r.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(a.r, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}
