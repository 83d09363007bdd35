// Package sketch holds summaries of a column that take one value at a time in bounded memory and merge exactly: histograms on
// reference edges, counts of known values and of categories, latency buckets and streaming moments.
//
// A sketch is not safe for concurrent use: give each writer its own and merge them. Add allocates nothing, except for the first
// sight of a category.
package sketch

import "errors"

// ErrIncompatible says that two sketches were made on different edges, values or limits and so cannot be merged or compared.
var ErrIncompatible = errors.New("sketch: the two sketches have different bins")
