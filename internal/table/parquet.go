package table

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// ReadParquet reads a whole Parquet file of flat columns. Whole numbers of any width become int64 (unsigned ones beyond its range are an
// error), floats and decimals float64, dates and timestamps time in UTC, dictionaries their values, binary columns that are UTF-8 string.
func ReadParquet(ctx context.Context, r io.ReaderAt, size int64, limits Limits) (frame *Frame, err error) {
	limits = limits.withDefaults()
	// The library panics on some broken files; what a user sends must not end the program.
	defer func() {
		if p := recover(); p != nil {
			frame, err = nil, &ReadError{Expected: "a Parquet file", Found: fmt.Sprintf("a damaged one (%v)", p)}
		}
	}()
	allocator := &boundedAllocator{limit: int64(limits.Bytes) + allocatorFloor}
	reader, err := file.NewParquetReader(io.NewSectionReader(r, 0, size), file.WithReadProps(parquet.NewReaderProperties(allocator)))
	if err != nil {
		return nil, &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	// The Arrow schema that some writers store beside Parquet's own adds nothing we use, and a damaged one of a few bytes makes the
	// library ask for more memory than there is, which ends the program.
	reader.MetaData().FileMetaData.KeyValueMetadata = nil
	defer func() { _ = reader.Close() }()
	if err := checkParquet(reader, limits); err != nil {
		return nil, err
	}
	arrowReader, err := pqarrow.NewFileReader(reader, pqarrow.ArrowReadProperties{BatchSize: 16_384}, allocator)
	if err != nil {
		return nil, &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	records, err := arrowReader.GetRecordReader(ctx, nil, nil)
	if err != nil {
		return nil, &ReadError{Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	defer records.Release()
	return fromArrow(records, limits)
}

// allocatorFloor is what reading the smallest table may take.
const allocatorFloor = 64 << 20

// boundedAllocator panics, which ReadParquet turns into an error, when a damaged or malicious file wants more memory at once than the limit.
type boundedAllocator struct {
	limit int64
	live  atomic.Int64
}

func (b *boundedAllocator) account(n int64) {
	if b.live.Add(n) > b.limit {
		panic(fmt.Sprintf("it needs more than %d bytes of memory", b.limit))
	}
}

func (b *boundedAllocator) Allocate(size int) []byte {
	b.account(int64(size))
	return memory.DefaultAllocator.Allocate(size)
}

func (b *boundedAllocator) Reallocate(size int, old []byte) []byte {
	b.account(int64(size - len(old)))
	return memory.DefaultAllocator.Reallocate(size, old)
}

func (b *boundedAllocator) Free(old []byte) {
	b.live.Add(-int64(len(old)))
	memory.DefaultAllocator.Free(old)
}

func checkParquet(reader *file.Reader, limits Limits) error {
	if n := reader.NumRows(); n > int64(limits.Rows) {
		return &ReadError{Expected: fmt.Sprintf("at most %d rows", limits.Rows), Found: fmt.Sprint(n)}
	}
	schema := reader.MetaData().Schema
	if n := schema.NumColumns(); n > limits.Columns {
		return &ReadError{Expected: fmt.Sprintf("at most %d columns", limits.Columns), Found: fmt.Sprint(n)}
	}
	for i := range schema.NumColumns() {
		if c := schema.Column(i); c.MaxRepetitionLevel() > 0 || len(c.ColumnPath()) > 1 {
			return &ReadError{Column: c.Path(), Expected: "a flat column", Found: "a nested one; leave it out or spread it over columns"}
		}
	}
	var bytes int64
	for i := range reader.NumRowGroups() {
		n := reader.MetaData().RowGroup(i).TotalByteSize()
		if bytes += n; n < 0 || bytes > int64(limits.Bytes) {
			return &ReadError{Expected: fmt.Sprintf("a table of at most %d bytes", limits.Bytes), Found: "a larger one"}
		}
	}
	return nil
}

func fromArrow(records pqarrow.RecordReader, limits Limits) (*Frame, error) {
	fields := records.Schema().Fields()
	builders := make([]builder, len(fields))
	for i, field := range fields {
		kind, ok := typeOf(field.Type)
		if !ok {
			return nil, &ReadError{Column: field.Name, Expected: "numbers, texts, truth values or times", Found: field.Type.String()}
		}
		builders[i].kind = kind
	}
	var rows, bytes int
	for records.Next() {
		record := records.RecordBatch()
		if rows += int(record.NumRows()); rows > limits.Rows {
			return nil, &ReadError{Expected: fmt.Sprintf("at most %d rows", limits.Rows), Found: "more"}
		}
		for i := range fields {
			n, err := appendArrow(&builders[i], record.Column(i))
			if err != nil {
				var e *ReadError
				if errors.As(err, &e) {
					e.Column = fields[i].Name
				}
				return nil, err
			}
			if bytes += n; bytes > limits.Bytes {
				return nil, &ReadError{Expected: fmt.Sprintf("a table of at most %d bytes", limits.Bytes), Found: "a larger one"}
			}
		}
	}
	if err := records.Err(); err != nil && !errors.Is(err, io.EOF) {
		return nil, &ReadError{Line: rows + 1, Expected: "a Parquet file", Found: err.Error(), Err: err}
	}
	columns := make([]*Column, len(fields))
	for i := range builders {
		columns[i] = builders[i].column(fields[i].Name)
	}
	frame, err := NewFrame(columns...)
	if err != nil {
		return nil, &ReadError{Expected: "distinct column names", Found: err.Error(), Err: err}
	}
	return frame, nil
}

func typeOf(t arrow.DataType) (Type, bool) {
	switch t.ID() {
	case arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64, arrow.UINT8, arrow.UINT16, arrow.UINT32, arrow.UINT64:
		return Int, true
	case arrow.FLOAT16, arrow.FLOAT32, arrow.FLOAT64, arrow.DECIMAL32, arrow.DECIMAL64, arrow.DECIMAL128, arrow.DECIMAL256, arrow.NULL:
		return Float, true
	case arrow.STRING, arrow.LARGE_STRING, arrow.STRING_VIEW, arrow.BINARY, arrow.LARGE_BINARY:
		return String, true
	case arrow.BOOL:
		return Bool, true
	case arrow.TIMESTAMP, arrow.DATE32, arrow.DATE64:
		return Time, true
	case arrow.DICTIONARY:
		return typeOf(t.(*arrow.DictionaryType).ValueType)
	}
	return "", false
}

// appendArrow adds an arrow array to a column of typeOf its type and gives the bytes that took.
func appendArrow(b *builder, values arrow.Array) (int, error) {
	at := func(i int) int { return i }
	source := values
	if d, ok := values.(*array.Dictionary); ok {
		source, at = d.Dictionary(), d.GetValueIndex
	}
	bytes := 8 * values.Len()
	for i := range values.Len() {
		if values.IsNull(i) || source.DataType().ID() == arrow.NULL {
			b.appendMissing()
			continue
		}
		n, err := appendArrowValue(b, source, at(i))
		if err != nil {
			return bytes, err
		}
		bytes += n
	}
	return bytes, nil
}

func appendArrowValue(b *builder, source arrow.Array, i int) (int, error) {
	switch a := source.(type) {
	case *array.Int8:
		b.appendInt(int64(a.Value(i)))
	case *array.Int16:
		b.appendInt(int64(a.Value(i)))
	case *array.Int32:
		b.appendInt(int64(a.Value(i)))
	case *array.Int64:
		b.appendInt(a.Value(i))
	case *array.Uint8:
		b.appendInt(int64(a.Value(i)))
	case *array.Uint16:
		b.appendInt(int64(a.Value(i)))
	case *array.Uint32:
		b.appendInt(int64(a.Value(i)))
	case *array.Uint64:
		if a.Value(i) > math.MaxInt64 {
			return 0, &ReadError{Line: b.rows + 1, Expected: "whole numbers up to 2^63-1", Found: fmt.Sprint(a.Value(i))}
		}
		b.appendInt(int64(a.Value(i)))
	case *array.Float16:
		b.appendFloat(float64(a.Value(i).Float32()))
	case *array.Float32:
		b.appendFloat(float64(a.Value(i)))
	case *array.Float64:
		b.appendFloat(a.Value(i))
	case *array.Decimal32, *array.Decimal64, *array.Decimal128, *array.Decimal256:
		x, err := parseFloat(source.ValueStr(i))
		if err != nil {
			return 0, &ReadError{Line: b.rows + 1, Expected: "a number", Found: shorten(source.ValueStr(i)), Err: err}
		}
		b.appendFloat(x)
	case *array.Boolean:
		b.appendBool(a.Value(i))
	case *array.Timestamp:
		b.appendInt(a.Value(i).ToTime(a.DataType().(*arrow.TimestampType).Unit).UnixMicro())
	case *array.Date32:
		b.appendInt(a.Value(i).ToTime().UnixMicro())
	case *array.Date64:
		b.appendInt(a.Value(i).ToTime().UnixMicro())
	default:
		return appendArrowText(b, source, i)
	}
	return 0, nil
}

func appendArrowText(b *builder, source arrow.Array, i int) (int, error) {
	var text string
	switch a := source.(type) {
	case *array.String:
		text = a.Value(i)
	case *array.LargeString:
		text = a.Value(i)
	case *array.StringView:
		text = a.Value(i)
	case *array.Binary:
		text = string(a.Value(i))
	case *array.LargeBinary:
		text = string(a.Value(i))
	default:
		return 0, &ReadError{Expected: "numbers, texts, truth values or times", Found: source.DataType().String()}
	}
	if !utf8.ValidString(text) {
		return 0, &ReadError{Line: b.rows + 1, Expected: "text in UTF-8", Found: "other bytes"}
	}
	// A copy: the array's buffer goes back to the allocator.
	b.appendString(string([]byte(text)))
	return len(text), nil
}

// ColumnSpec declares a column to be written.
type ColumnSpec struct {
	Name string
	Type Type
}

// rowGroup is the number of rows that a ParquetWriter keeps before it writes them.
const rowGroup = 65_536

// ParquetWriter writes rows to a Parquet file (zstd) as they come, keeping at most one row group in memory. It is not safe for
// concurrent use. The file is complete once Close has returned nil.
type ParquetWriter struct {
	specs   []ColumnSpec
	writer  *pqarrow.FileWriter
	builder *array.RecordBuilder
	pending int
	rows    int64
	err     error // the first failure; the file is broken from there on
}

// NewParquetWriter starts a file with the declared columns, which must have distinct names and known types. It does not close w.
func NewParquetWriter(w io.Writer, columns []ColumnSpec) (*ParquetWriter, error) {
	if len(columns) == 0 {
		return nil, errors.New("table: a Parquet file needs at least one column")
	}
	fields := make([]arrow.Field, len(columns))
	seen := map[string]bool{}
	for i, c := range columns {
		t, ok := arrowType(c.Type)
		switch {
		case c.Name == "" || seen[c.Name]:
			return nil, fmt.Errorf("table: columns to write need distinct names, column %d is %q", i+1, c.Name)
		case !ok:
			return nil, fmt.Errorf("table: column %q: unknown type %q", c.Name, c.Type)
		}
		seen[c.Name] = true
		fields[i] = arrow.Field{Name: c.Name, Type: t, Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	properties := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCreatedBy("modelyard"))
	// The library would close a writer that can be closed.
	writer, err := pqarrow.NewFileWriter(schema, struct{ io.Writer }{w}, properties, pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, fmt.Errorf("table: start parquet file: %w", err)
	}
	return &ParquetWriter{specs: columns, writer: writer, builder: array.NewRecordBuilder(memory.DefaultAllocator, schema)}, nil
}

func arrowType(t Type) (arrow.DataType, bool) {
	switch t {
	case Float:
		return arrow.PrimitiveTypes.Float64, true
	case Int:
		return arrow.PrimitiveTypes.Int64, true
	case String:
		return arrow.BinaryTypes.String, true
	case Bool:
		return arrow.FixedWidthTypes.Boolean, true
	case Time:
		return arrow.FixedWidthTypes.Timestamp_us, true
	}
	return nil, false
}

// WriteRow adds a row: for each declared column nil or a value of its type (a Float column also takes int and int64, an
// Int column int, String valid UTF-8). A value that does not fit is an error that names the column, and the row is not written.
func (p *ParquetWriter) WriteRow(values ...any) error {
	if err := p.usable(); err != nil {
		return err
	}
	if len(values) != len(p.specs) {
		return fmt.Errorf("table: expected %d values, found %d", len(p.specs), len(values))
	}
	for i, v := range values {
		if !storable(p.specs[i].Type, v) {
			return fmt.Errorf("table: column %q: expected %s, found %T", p.specs[i].Name, p.specs[i].Type.describe(), v)
		}
	}
	for i, v := range values {
		p.put(i, v)
	}
	return p.added(1)
}

func (p *ParquetWriter) usable() error {
	if p.err == nil && p.writer == nil {
		return errors.New("table: the Parquet file is closed already")
	}
	return p.err
}

func storable(t Type, v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case float64:
		return t == Float
	case int, int64:
		return t == Float || t == Int
	case string:
		return t == String && utf8.ValidString(v)
	case bool:
		return t == Bool
	case time.Time:
		return t == Time
	}
	return false
}

func (p *ParquetWriter) put(i int, v any) {
	field := p.builder.Field(i)
	switch v := v.(type) {
	case nil:
		field.AppendNull()
	case float64:
		if math.IsNaN(v) {
			field.AppendNull() // a NaN is missing, as everywhere in this package
			return
		}
		field.(*array.Float64Builder).Append(v)
	case int:
		p.put(i, int64(v))
	case int64:
		if floats, ok := field.(*array.Float64Builder); ok {
			floats.Append(float64(v))
			return
		}
		field.(*array.Int64Builder).Append(v)
	case string:
		field.(*array.StringBuilder).Append(v)
	case bool:
		field.(*array.BooleanBuilder).Append(v)
	case time.Time:
		field.(*array.TimestampBuilder).Append(arrow.Timestamp(v.UnixMicro()))
	}
}

// WriteFrame adds all rows of a frame, which must have the declared columns in that order; an Int column may fill a declared Float one.
func (p *ParquetWriter) WriteFrame(f *Frame) error {
	if err := p.usable(); err != nil {
		return err
	}
	if len(f.columns) != len(p.specs) {
		return fmt.Errorf("table: expected %d columns, found %d", len(p.specs), len(f.columns))
	}
	for i, c := range f.columns {
		if s := p.specs[i]; c.name != s.Name || c.kind != s.Type && !(s.Type == Float && c.kind == Int) {
			return fmt.Errorf("table: expected column %q of type %s, found %q of type %s", s.Name, s.Type, c.name, c.kind)
		}
	}
	for row := range f.rows {
		for i, c := range f.columns {
			p.put(i, c.Value(row))
		}
		if err := p.added(1); err != nil {
			return err
		}
	}
	return nil
}

func (p *ParquetWriter) added(rows int) error {
	p.rows += int64(rows)
	if p.pending += rows; p.pending >= rowGroup {
		return p.flush()
	}
	return nil
}

func (p *ParquetWriter) flush() error {
	p.pending = 0
	record := p.builder.NewRecordBatch()
	defer record.Release()
	if err := p.writer.Write(record); err != nil {
		p.err = fmt.Errorf("table: write parquet: %w", err)
	}
	return p.err
}

// Note keeps a text under a key in the footer of the file.
func (p *ParquetWriter) Note(key, text string) error {
	if err := p.usable(); err != nil {
		return err
	}
	return p.writer.AppendKeyValueMetadata(key, text)
}

// Rows is the number of rows added so far.
func (p *ParquetWriter) Rows() int64 { return p.rows }

// Close writes what is pending and the footer. A second Close does nothing.
func (p *ParquetWriter) Close() error {
	if p.writer == nil {
		return p.err
	}
	if p.err == nil && p.pending > 0 {
		_ = p.flush()
	}
	p.builder.Release()
	err := p.writer.Close()
	p.writer = nil
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("table: finish parquet file: %w", err)
	}
	return p.err
}

// WriteParquet writes a whole frame.
func WriteParquet(w io.Writer, f *Frame) error {
	specs := make([]ColumnSpec, len(f.columns))
	for i, c := range f.columns {
		specs[i] = ColumnSpec{Name: c.name, Type: c.kind}
	}
	p, err := NewParquetWriter(w, specs)
	if err != nil {
		return err
	}
	if err := p.WriteFrame(f); err != nil {
		return errors.Join(err, p.Close())
	}
	return p.Close()
}
