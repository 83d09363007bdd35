package table

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// Lookup says which rows of a Parquet file are wanted.
type Lookup struct {
	Columns []string        // text columns that are looked at
	Values  map[string]bool // a row is wanted when one of them holds one of these
	Take    []string        // columns of what is found; nil for all of them
	Most    int             // rows of one row group
}

// FindParquet gives the rows of a Parquet file that are wanted, with what the writer noted in the footer: once for each row group that has
// some, until found says that it has enough. It reads the file once, however many values there are, and decodes the columns that are looked at,
// and of the others what stands beside the rows that it found: memory holds a part of a row group.
func FindParquet(ctx context.Context, r io.ReaderAt, size int64, q Lookup, limits Limits, found func(f *Frame, notes map[string]string) (more bool, err error)) (err error) {
	limits = limits.withDefaults()
	defer func() { // as in ReadParquet
		if p := recover(); p != nil {
			err = &ReadError{Expected: "a Parquet file", Found: fmt.Sprintf("a damaged one (%v)", p)}
		}
	}()
	allocator := &boundedAllocator{limit: int64(limits.Bytes) + allocatorFloor}
	reader, err := file.NewParquetReader(io.NewSectionReader(r, 0, size), file.WithReadProps(parquet.NewReaderProperties(allocator)))
	if err != nil {
		return &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	defer func() { _ = reader.Close() }()
	notes, pairs := map[string]string{}, reader.MetaData().KeyValueMetadata()
	for i, key := range pairs.Keys() {
		notes[key] = pairs.Values()[i]
	}
	reader.MetaData().FileMetaData.KeyValueMetadata = nil // as in ReadParquet
	if err := checkParquet(reader, limits); err != nil {
		return err
	}
	numbers := func(names []string) (out []int) {
		for _, name := range names {
			if i := reader.MetaData().Schema.ColumnIndexByName(name); i >= 0 {
				out = append(out, i)
			}
		}
		return out
	}
	arrowReader, err := pqarrow.NewFileReader(reader, pqarrow.ArrowReadProperties{BatchSize: 4096}, allocator)
	if err != nil {
		return &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	f := finder{reader: arrowReader, columns: numbers(q.Columns), values: q.Values, take: numbers(q.Take)}
	for g := range reader.NumRowGroups() {
		rows, err := f.rows(ctx, g, q.Most)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			continue
		}
		frame, err := f.frame(ctx, g, rows, limits)
		if err != nil {
			return err
		}
		if more, err := found(frame, notes); err != nil || !more {
			return err
		}
	}
	return nil
}

type finder struct {
	reader  *pqarrow.FileReader
	columns []int
	values  map[string]bool
	take    []int // nil for all
}

// rows are the numbers of the rows of a row group that hold the value.
func (f finder) rows(ctx context.Context, group, most int) (rows []int, err error) {
	if len(f.columns) == 0 {
		return nil, nil
	}
	records, err := f.reader.GetRecordReader(ctx, f.columns, []int{group})
	if err != nil {
		return nil, &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	defer records.Release()
	for base := 0; records.Next(); base += int(records.RecordBatch().NumRows()) {
		for i := range int(records.RecordBatch().NumRows()) {
			if len(rows) < most && f.holds(records.RecordBatch(), i) {
				rows = append(rows, base+i)
			}
		}
	}
	if err := records.Err(); err != nil && !errors.Is(err, io.EOF) {
		return nil, &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	return rows, nil
}

func (f finder) holds(record arrow.RecordBatch, row int) bool {
	return slices.ContainsFunc(record.Columns(), func(c arrow.Array) bool {
		s, ok := c.(*array.String)
		return ok && s.IsValid(row) && f.values[s.Value(row)]
	})
}

func (f finder) frame(ctx context.Context, group int, rows []int, limits Limits) (*Frame, error) {
	records, err := f.reader.GetRecordReader(ctx, f.take, []int{group})
	if err != nil {
		return nil, &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	defer records.Release()
	return fromArrow(&chosenRows{RecordReader: records, rows: rows}, limits)
}

// chosenRows gives some rows of a stream of records, one at a time.
type chosenRows struct {
	pqarrow.RecordReader
	rows []int // numbers in the stream, ascending
	base int   // number of the first row of the present batch
	have bool  // there is a present batch
	one  arrow.RecordBatch
}

// Next moves to the next row that is wanted.
func (c *chosenRows) Next() bool {
	if c.one != nil {
		c.one.Release()
		c.one = nil
	}
	for len(c.rows) > 0 {
		if !c.have {
			if !c.RecordReader.Next() {
				return false
			}
			c.have = true
		}
		batch := c.RecordReader.RecordBatch()
		if n := int(batch.NumRows()); c.rows[0] >= c.base+n {
			c.base, c.have = c.base+n, false
			continue
		}
		at := int64(c.rows[0] - c.base)
		c.one, c.rows = batch.NewSlice(at, at+1), c.rows[1:]
		return true
	}
	return false
}

// RecordBatch is the present row.
func (c *chosenRows) RecordBatch() arrow.RecordBatch { return c.one }
