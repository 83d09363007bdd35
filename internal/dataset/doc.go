// Package dataset owns named tables of data: each upload becomes a numbered version that never changes, profiled, with its schema
// inferred and checked against the dataset's contract before it exists.
//
// Tables: dataset, dataset_version. Files: the uploaded bytes, under the blob root of Root.
// Publishes: dataset.version.created, dataset.version.refused. Hears nothing.
//
// Invariants: an upload is spooled to the blob store before it is read; a version exists only if the whole table could be read and
// breaks no rule of the contract, otherwise nothing of it is written but the event that tells why; uploading the same bytes again
// gives the version that has them; numbers start at 1 and are never given twice.
package dataset
