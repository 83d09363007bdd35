package table

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits bound what a reader takes in. A zero field means its default.
type Limits struct {
	Rows     int // default 20,000,000
	Columns  int // default 10,000
	RowBytes int // of text formats: bytes of one row; default 1 MiB
	Bytes    int // of the values of the whole table in memory; default 4 GiB
}

func (l Limits) withDefaults() Limits {
	fill := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	fill(&l.Rows, 20_000_000)
	fill(&l.Columns, 10_000)
	fill(&l.RowBytes, 1<<20)
	fill(&l.Bytes, 4<<30)
	return l
}

// ReadError says what is wrong with a file, and where.
type ReadError struct {
	Line     int    // 1-based line of a text file, or row of Parquet; 0 when it is about the file
	Column   string // name of the column, or "" when it is about the whole row
	Expected string
	Found    string
	Err      error // the cause, if there is one
}

func (e *ReadError) Error() string {
	var b strings.Builder
	b.WriteString("table: ")
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d", e.Line)
	}
	if e.Column != "" {
		if e.Line > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "column %q", shorten(e.Column))
	}
	if e.Line > 0 || e.Column != "" {
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "expected %s, found %s", e.Expected, e.Found)
	return b.String()
}

// Unwrap gives the cause.
func (e *ReadError) Unwrap() error { return e.Err }

// errRowTooLong stops a reader in the middle of a row that never ends.
var errRowTooLong = errors.New("table: row too long")

// rowLimiter fails once more than limit bytes have been read since the last mark, so that one endless row cannot fill memory.
type rowLimiter struct {
	r     io.Reader
	total int64
	mark  int64
	limit int64
}

func (l *rowLimiter) Read(p []byte) (int, error) {
	// A parser reads ahead a buffer, so what was read since the mark can be that much more than the row.
	if l.total-l.mark > l.limit+int64(readAhead) {
		return 0, errRowTooLong
	}
	n, err := l.r.Read(p[:min(len(p), readAhead)])
	l.total += int64(n)
	return n, err
}

const readAhead = 64 << 10
