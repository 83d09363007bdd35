package infer

import (
	"context"
	"log/slog"
	"strconv"
)

// Source is a model on disk: the folder that holds MLmodel, and what MLmodel says.
type Source struct {
	Dir         string
	Description *Description
}

// Runtime loads models that this package cannot run itself. The Python worker is one: internal/infer/pyworker returns a
// value with this method and internal/app puts it into [Options.Python], so that infer never imports the worker.
//
//	opts := infer.Options{Python: pyworker.New(pyworker.Deps{...})}
//	model, err := infer.Load(ctx, dir, opts)
//
// Load returns once the model is ready to answer (warmed by the caller, not by the runtime). The model it returns
// reports Info.Runtime == [RuntimePython] and follows the rules of [Model]; its Predict receives frames that were bound
// to the signature already and must honour ctx. A model or environment at fault is a [LoadError].
type Runtime interface {
	Load(ctx context.Context, src Source) (Model, error)
}

// Options say how models are loaded. The zero value runs native models only.
type Options struct {
	// Python runs what no other runtime can; nil refuses such models with the next step.
	Python Runtime
	// ONNXRuntime is the path of the ONNX Runtime library; empty looks in the usual places (see ortlib.Find).
	ONNXRuntime string
	// CacheDir is where `modelyard runtime install` put the library; empty means the user's cache folder.
	CacheDir string
	// Probe loads an ONNX file that this machine has not run before in a child process; nil skips that safety step,
	// which tests and command-line tools may do and a server must not.
	Probe func(ctx context.Context, path string) error
	// Prefer forces one runtime (RuntimeNative, RuntimeONNX, RuntimePython); empty chooses.
	Prefer string
	// MaxBytes bounds a model file that is read into memory; 0 means 2 GiB.
	MaxBytes int64
	Logger   *slog.Logger
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
