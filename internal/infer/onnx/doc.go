// Package onnx reads ONNX files and runs, in Go, the graphs that converters make of tabular models: tree ensembles,
// scalers, encoders, linear models, and the casts, concatenations and reshapes between them. Everything else is for
// ONNX Runtime: [Compile] names the operation that it cannot run.
package onnx
