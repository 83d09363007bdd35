package table

import (
	"context"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// Head is the beginning of a Parquet file.
type Head struct {
	Frame   *Frame
	Rows    int64    // of the whole file
	Skipped []string // columns that cannot be shown: nested ones, and those past Limits.Columns
}

// HeadParquet reads the first rows of a Parquet file, and of those only the flat columns. It decodes what it gives back and not the
// whole file, so that a preview of a large one costs little. Types become what ReadParquet makes of them.
func HeadParquet(ctx context.Context, r io.ReaderAt, size int64, rows int, limits Limits) (head *Head, err error) {
	limits = limits.withDefaults()
	defer func() { // as in ReadParquet
		if p := recover(); p != nil {
			head, err = nil, &ReadError{Expected: "a Parquet file", Found: fmt.Sprintf("a damaged one (%v)", p)}
		}
	}()
	allocator := &boundedAllocator{limit: int64(limits.Bytes) + allocatorFloor}
	reader, err := file.NewParquetReader(io.NewSectionReader(r, 0, size), file.WithReadProps(parquet.NewReaderProperties(allocator)))
	if err != nil {
		return nil, &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	reader.MetaData().FileMetaData.KeyValueMetadata = nil
	defer func() { _ = reader.Close() }()
	head = &Head{Rows: reader.NumRows()}
	schema := reader.MetaData().Schema
	var flat []int
	for i := range schema.NumColumns() {
		c := schema.Column(i)
		if c.MaxRepetitionLevel() > 0 || len(c.ColumnPath()) > 1 || len(flat) == limits.Columns {
			head.Skipped = append(head.Skipped, c.Path())
			continue
		}
		flat = append(flat, i)
	}
	if len(flat) == 0 || head.Rows == 0 {
		return head, emptyHead(head, reader, flat)
	}
	var groups []int
	var have int64
	for i := range reader.NumRowGroups() {
		groups = append(groups, i)
		if have += reader.MetaData().RowGroup(i).NumRows(); have >= int64(rows) {
			break
		}
	}
	arrowReader, err := pqarrow.NewFileReader(reader, pqarrow.ArrowReadProperties{BatchSize: int64(rows)}, allocator)
	if err != nil {
		return nil, &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	records, err := arrowReader.GetRecordReader(ctx, flat, groups)
	if err != nil {
		return nil, &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	defer records.Release()
	head.Frame, err = fromArrow(&firstRows{RecordReader: records, left: rows}, Limits{Rows: 2 * rows, Bytes: limits.Bytes})
	if err != nil {
		return nil, err
	}
	if head.Frame.Rows() > rows {
		head.Frame = head.Frame.Slice(0, rows)
	}
	return head, nil
}

// emptyHead names the columns of a file without rows.
func emptyHead(head *Head, reader *file.Reader, flat []int) error {
	columns := make([]*Column, len(flat))
	for i, at := range flat {
		columns[i] = NewStrings(reader.MetaData().Schema.Column(at).Name(), nil, nil)
	}
	frame, err := NewFrame(columns...)
	if err != nil {
		return &ReadError{Expected: "distinct column names", Found: err.Error(), Err: err}
	}
	head.Frame = frame
	return nil
}

// firstRows ends a stream of records once it gave enough rows.
type firstRows struct {
	pqarrow.RecordReader
	left int
}

// Next moves on while rows are wanted.
func (f *firstRows) Next() bool {
	if f.left <= 0 || !f.RecordReader.Next() {
		return false
	}
	f.left -= int(f.RecordBatch().NumRows())
	return true
}
