// Package infer loads a logged model and runs it.
//
// Three runtimes stand behind one interface of typed columns in and typed columns out: "native" (tree ensembles and
// small ONNX graphs in Go), "onnxruntime" (any other ONNX graph, through the ONNX Runtime library) and "python" (every
// other MLflow flavour, in a worker process that is registered from outside, so that this package starts no process
// of its own for it).
//
// Invariants: a [Model] is safe for concurrent use, never changes its input, answers as mlflow.pyfunc would
// (load_model(...).predict), and turns bad input into an [InputError] and a bad file into a [LoadError], never a panic.
// The package owns no storage and no routes.
package infer
