// Package table reads and writes columnar data: CSV, JSON lines and Parquet into a Frame of typed columns, profiles of them,
// schemas and contracts. It stores nothing and knows no product noun.
//
// Missing values: every column has a validity bitmap. A missing cell holds the zero value of its type, in a Float column NaN; a NaN that is
// read or given counts as missing, so a Float column's values can be handed to internal/num as they are. Infinities are values.
//
// Everything read is bounded by Limits, and what is wrong with a file is told by a *ReadError: line, column, expected, found.
package table
