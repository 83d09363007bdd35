// Package transfer moves what MLflow holds: experiments, runs, logged models, registered models and their files, out of one store and into
// another. A Source reads a store (an MLflow server, its SQLite file, an mlruns folder, or this product through the same protocol); a Sink
// writes one (this product, or an MLflow server). Copy brings everything from a Source into a Sink, can be stopped and started again, and
// compares both when it is done. It runs in the command line and talks to servers alone.
//
// What a source says is not trusted: names of files, links, sizes and nesting are checked before anything is opened or written.
package transfer
