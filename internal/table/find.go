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

// Found are rows of a Parquet file.
type Found struct {
	Frame *Frame            // nil when there are none
	Notes map[string]string // what the writer noted in the footer
}

// FindParquet gives the rows of a Parquet file in which one of the text columns holds the value, at most so many. It decodes those columns,
// and of the others what stands beside the rows that it found: memory holds a part of a row group.
func FindParquet(ctx context.Context, r io.ReaderAt, size int64, columns []string, value string, most int, limits Limits) (found Found, err error) {
	limits = limits.withDefaults()
	defer func() { // as in ReadParquet
		if p := recover(); p != nil {
			found, err = Found{}, &ReadError{Expected: "a Parquet file", Found: fmt.Sprintf("a damaged one (%v)", p)}
		}
	}()
	allocator := &boundedAllocator{limit: int64(limits.Bytes) + allocatorFloor}
	reader, err := file.NewParquetReader(io.NewSectionReader(r, 0, size), file.WithReadProps(parquet.NewReaderProperties(allocator)))
	if err != nil {
		return Found{}, &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	defer func() { _ = reader.Close() }()
	found.Notes = map[string]string{}
	notes := reader.MetaData().KeyValueMetadata()
	for i, key := range notes.Keys() {
		found.Notes[key] = notes.Values()[i]
	}
	reader.MetaData().FileMetaData.KeyValueMetadata = nil // as in ReadParquet
	if err := checkParquet(reader, limits); err != nil {
		return Found{}, err
	}
	var look []int
	for _, name := range columns {
		if i := reader.MetaData().Schema.ColumnIndexByName(name); i >= 0 {
			look = append(look, i)
		}
	}
	arrowReader, err := pqarrow.NewFileReader(reader, pqarrow.ArrowReadProperties{BatchSize: 4096}, allocator)
	if err != nil {
		return Found{}, &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	f := finder{reader: arrowReader, columns: look, value: value}
	for g := range reader.NumRowGroups() {
		rows, err := f.rows(ctx, g, most)
		if err != nil || len(rows) == 0 {
			if err != nil {
				return Found{}, err
			}
			continue
		}
		found.Frame, err = f.take(ctx, g, rows, limits) // what is found stands close together: the group of the first has all but the odd one
		return found, err
	}
	return found, nil
}

type finder struct {
	reader  *pqarrow.FileReader
	columns []int
	value   string
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
		return ok && s.IsValid(row) && s.Value(row) == f.value
	})
}

func (f finder) take(ctx context.Context, group int, rows []int, limits Limits) (*Frame, error) {
	records, err := f.reader.GetRecordReader(ctx, nil, []int{group})
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
