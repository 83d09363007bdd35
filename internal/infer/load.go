package infer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/modelyard/modelyard/internal/infer/lightgbm"
	"github.com/modelyard/modelyard/internal/infer/xgboost"
)

const defaultMaxBytes = 2 << 30

// Load reads the model in dir (a folder with an MLmodel file) and chooses its runtime: native where the engine can run
// it, ONNX Runtime for other ONNX graphs, Python for every other flavour. Its error is a [LoadError].
func Load(ctx context.Context, dir string, opts Options) (Model, error) {
	d, err := ReadDescription(dir)
	if err != nil {
		return nil, err
	}
	return LoadSource(ctx, Source{Dir: dir, Description: d}, opts)
}

// LoadSource is [Load] for a description that was read already.
func LoadSource(ctx context.Context, src Source, opts Options) (Model, error) {
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	switch opts.Prefer {
	case "", RuntimeNative, RuntimeONNX, RuntimePython:
	default:
		return nil, &LoadError{Reason: fmt.Sprintf("there is no runtime %q", opts.Prefer), Hint: "use native, onnxruntime or python"}
	}
	if opts.Prefer == RuntimePython {
		return loadPython(ctx, src, opts, "python was asked for")
	}
	m, why, err := loadNative(ctx, src, opts)
	if err != nil || m != nil {
		return m, err
	}
	if opts.Prefer != "" {
		return nil, &LoadError{Reason: fmt.Sprintf("the %s runtime cannot run this model: %s", opts.Prefer, why)}
	}
	return loadPython(ctx, src, opts, why)
}

// loadNative loads what runs without Python. A nil model with a reason means that Python has to.
func loadNative(ctx context.Context, src Source, opts Options) (Model, string, error) {
	flavors := src.Description.Flavors
	wanted := opts.Prefer == "" || opts.Prefer == RuntimeNative
	var m Model
	var err error
	switch {
	case flavors["xgboost"] != nil && wanted:
		m, err = loadXGBoost(src, opts)
	case flavors["lightgbm"] != nil && wanted:
		m, err = loadLightGBM(src, opts)
	case flavors["onnx"] != nil:
		m, err = loadONNX(ctx, src, opts)
	default:
		return nil, "its flavours are " + strings.Join(src.Description.flavorNames(), ", "), nil
	}
	if errors.Is(err, xgboost.ErrUnsupported) || errors.Is(err, lightgbm.ErrUnsupported) || errors.Is(err, errNotNative) {
		return nil, err.Error(), nil
	}
	if err != nil {
		var load *LoadError
		if errors.As(err, &load) {
			return nil, "", err
		}
		return nil, "", &LoadError{Reason: "the model file is not valid", Err: err}
	}
	return m, "", nil
}

// errNotNative marks a model that needs another runtime for a reason that is not in its model file.
var errNotNative = errors.New("not run natively")

func loadPython(ctx context.Context, src Source, opts Options, why string) (Model, error) {
	if src.Description.Flavors["python_function"] == nil {
		return nil, &LoadError{Reason: "the model has no python_function flavour, and no other runtime runs it: " + why}
	}
	if opts.Python == nil {
		return nil, &LoadError{
			Reason: "the model needs Python (" + why + "), and no Python runtime is set up", Missing: true,
			Hint: "start the server where python3 or uv is installed",
		}
	}
	return opts.Python.Load(ctx, src)
}

// modelFile reads the file that a flavour names as its data.
func modelFile(src Source, flavor map[string]any, opts Options) (name string, data []byte, err error) {
	name = text(flavor["data"])
	if name == "" {
		return "", nil, &LoadError{Reason: "MLmodel does not name the model file (data)"}
	}
	root, err := os.OpenRoot(src.Dir)
	if err != nil {
		return "", nil, &LoadError{Reason: "the model's folder cannot be opened", Err: err}
	}
	defer root.Close()
	if info, err := root.Stat(name); err == nil && info.IsDir() { // MLflow 1.x: a folder with one model file
		name = path.Join(name, "model.xgb")
	}
	data, err = readMember(root, name, opts.MaxBytes)
	if err != nil {
		return "", nil, &LoadError{Reason: "the model file " + name + " cannot be read", Err: err}
	}
	return name, data, nil
}

func loadXGBoost(src Source, opts Options) (Model, error) {
	flavor := src.Description.Flavors["xgboost"]
	class := text(flavor["model_class"])
	task, known := xgboostClass(class)
	if !known {
		return nil, fmt.Errorf("the class %.80s: %w", class, errNotNative)
	}
	_, data, err := modelFile(src, flavor, opts)
	if err != nil {
		return nil, err
	}
	if len(data) > 4 && (string(data[:4]) == "binf" || data[0] != '{') {
		return nil, fmt.Errorf("the old binary format of XGBoost: %w", errNotNative)
	}
	m, err := xgboost.Parse(data, xgboost.Options{BestIteration: task != taskBooster})
	if err != nil {
		return nil, err
	}
	return newXGBoostModel(m, task, src)
}

func loadLightGBM(src Source, opts Options) (Model, error) {
	flavor := src.Description.Flavors["lightgbm"]
	name, data, err := modelFile(src, flavor, opts)
	if err != nil {
		return nil, err
	}
	switch path.Ext(name) {
	case ".skops":
		e, err := lightgbm.ParseSkops(data, opts.MaxBytes)
		if err != nil {
			return nil, err
		}
		return newLightGBMModel(e.Model, e.Class, e.Labels, src)
	case ".pkl":
		return nil, fmt.Errorf("a pickled %s, which only Python can open: %w", path.Base(text(flavor["model_class"])), errNotNative)
	default:
		m, err := lightgbm.Parse(data, 0)
		if err != nil {
			return nil, err
		}
		return newLightGBMModel(m, "Booster", nil, src)
	}
}

func (d *Description) flavorNames() []string {
	var names []string
	for name := range d.Flavors {
		if name != "python_function" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		names = append(names, "python_function")
	}
	return sorted(names)
}
