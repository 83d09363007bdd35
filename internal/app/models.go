package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/registry"
)

// modelLoader loads a version for the time of a check: its files are written below DataDir/checks and removed when the model is closed.
func (f *frame) modelLoader(models *registry.Service, opts infer.Options) (func(context.Context, registry.Version) (infer.Model, error), error) {
	parent, err := f.ensureDir("checks")
	if err != nil {
		return nil, err
	}
	if err := emptyDir(parent); err != nil { // of a process that was killed
		return nil, errs.E(errs.Unavailable, "app.models", "cannot empty "+parent, err)
	}
	return func(ctx context.Context, v registry.Version) (infer.Model, error) {
		dir := filepath.Join(parent, id.Hex())
		if err := models.Materialize(ctx, v, dir); err != nil {
			return nil, err
		}
		m, err := load(ctx, dir, opts)
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		return &borrowed{Model: m, dir: dir}, nil
	}, nil
}

// load turns a panic of a reader on a damaged file into an error.
func load(ctx context.Context, dir string, opts infer.Options) (m infer.Model, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, &infer.LoadError{Reason: fmt.Sprintf("the model file broke its reader: %v", p)}
		}
	}()
	return infer.Load(ctx, dir, opts)
}

// borrowed removes the files of a model when it is closed.
type borrowed struct {
	infer.Model
	dir string
}

func (b *borrowed) Close() error { return errors.Join(b.Model.Close(), os.RemoveAll(b.dir)) }

func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}
