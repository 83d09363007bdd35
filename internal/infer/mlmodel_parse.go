package infer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/yamlx"
)

// Limits of an MLmodel file: a signature of 20,000 columns takes about 2 MiB.
const (
	maxDescriptionBytes = 8 << 20
	maxColumns          = 1 << 16
)

// ReadDescription reads MLmodel in dir.
func ReadDescription(dir string) (*Description, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, &LoadError{Reason: "the model's folder cannot be opened", Err: err}
	}
	defer root.Close()
	data, err := readMember(root, "MLmodel", maxDescriptionBytes)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, &LoadError{Reason: "the folder has no MLmodel file", Hint: "log the model with an mlflow flavour's log_model or save_model"}
		}
		return nil, &LoadError{Reason: "MLmodel cannot be read", Err: err}
	}
	d, err := ParseDescription(data)
	if err != nil {
		return nil, &LoadError{Reason: "MLmodel is not valid", Err: err}
	}
	return d, nil
}

// readMember reads a regular file of at most limit bytes inside root.
func readMember(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", name)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", name, info.Size(), limit)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, err
	}
	return data, nil
}

// rawDescription is MLmodel as MLflow 1.x to 3.x writes it.
type rawDescription struct {
	Flavors       map[string]map[string]any `yaml:"flavors"`
	Signature     map[string]any            `yaml:"signature"`
	RunID         any                       `yaml:"run_id"`
	ModelID       any                       `yaml:"model_id"`
	ModelUUID     any                       `yaml:"model_uuid"`
	ArtifactPath  any                       `yaml:"artifact_path"`
	MLflowVersion any                       `yaml:"mlflow_version"`
	TimeCreated   any                       `yaml:"utc_time_created"`
	Example       map[string]any            `yaml:"saved_input_example_info"`
	Metadata      map[string]any            `yaml:"metadata"`
}

// ParseDescription reads the text of an MLmodel file.
func ParseDescription(data []byte) (*Description, error) {
	if len(data) > maxDescriptionBytes {
		return nil, fmt.Errorf("%d bytes, at most %d are read", len(data), maxDescriptionBytes)
	}
	var raw rawDescription
	if err := yamlx.DecodeLoose(data, &raw); err != nil {
		return nil, err
	}
	if len(raw.Flavors) == 0 {
		return nil, errors.New("no flavors")
	}
	d := &Description{
		Flavors: raw.Flavors, RunID: text(raw.RunID), ModelID: text(raw.ModelID), ModelUUID: text(raw.ModelUUID),
		ArtifactPath: text(raw.ArtifactPath), MLflowVersion: text(raw.MLflowVersion), TimeCreated: text(raw.TimeCreated),
		Metadata: raw.Metadata,
	}
	var err error
	if d.Signature, err = parseSignature(raw.Signature); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	if raw.Example != nil {
		d.InputExample = &InputExample{
			Path: text(raw.Example["artifact_path"]), ServingPath: text(raw.Example["serving_input_path"]),
			Type: text(raw.Example["type"]), Orient: text(raw.Example["pandas_orient"]),
		}
	}
	d.Environment = environment(raw.Flavors["python_function"])
	return d, nil
}

// environment reads where the Python environment is described. MLflow 1.x names one conda file, later versions a map.
func environment(pyfunc map[string]any) Environment {
	e := Environment{
		PythonVersion: text(pyfunc["python_version"]),
		LoaderModule:  text(pyfunc["loader_module"]),
		CodePaths:     text(pyfunc["code"]),
		Requirements:  "requirements.txt",
	}
	switch env := pyfunc["env"].(type) {
	case map[string]any:
		e.Conda, e.PythonEnv = text(env["conda"]), text(env["virtualenv"])
	case string:
		e.Conda = env
	}
	return e
}

func parseSignature(raw map[string]any) (*Signature, error) {
	if raw == nil {
		return nil, nil
	}
	s := &Signature{}
	var err error
	if s.Inputs, err = parseSpecs(raw["inputs"]); err != nil {
		return nil, fmt.Errorf("inputs: %w", err)
	}
	if s.Outputs, err = parseSpecs(raw["outputs"]); err != nil {
		return nil, fmt.Errorf("outputs: %w", err)
	}
	if s.Params, err = parseParams(raw["params"]); err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	return s, nil
}

type rawSpec struct {
	Type     string `json:"type"`
	Name     any    `json:"name"`
	Required *bool  `json:"required"`
	Optional *bool  `json:"optional"`
	Tensor   *struct {
		DType string `json:"dtype"`
		Shape []int  `json:"shape"`
	} `json:"tensor-spec"`
}

// parseSpecs reads the JSON text of the inputs or outputs of a signature.
func parseSpecs(v any) ([]Spec, error) {
	source, ok := v.(string)
	if !ok {
		return nil, nil
	}
	var raw []rawSpec
	if err := json.Unmarshal([]byte(source), &raw); err != nil {
		return nil, err
	}
	if len(raw) > maxColumns {
		return nil, fmt.Errorf("%d columns, at most %d are read", len(raw), maxColumns)
	}
	specs := make([]Spec, 0, len(raw))
	seen := map[string]bool{}
	for i, r := range raw {
		s := Spec{Name: text(r.Name), Type: r.Type, Required: true}
		if r.Required != nil {
			s.Required = *r.Required
		} else if r.Optional != nil {
			s.Required = !*r.Optional
		}
		if r.Tensor != nil {
			s.Type, s.Batch = r.Tensor.DType, 1
			if len(r.Tensor.Shape) > 0 {
				s.Batch = r.Tensor.Shape[0]
				s.Shape = append([]int{}, r.Tensor.Shape[1:]...)
			}
			for _, d := range s.Shape {
				if d < -1 || d > 1<<30 {
					return nil, fmt.Errorf("column %d has a dimension %d", i, d)
				}
			}
		}
		if s.Kind, ok = kindOf(s.Type); !ok {
			return nil, fmt.Errorf("column %d has the type %.40q", i, s.Type)
		}
		if s.Name != "" && seen[s.Name] {
			return nil, fmt.Errorf("two columns are named %.80q", s.Name)
		}
		seen[s.Name] = true
		specs = append(specs, s)
	}
	return specs, nil
}

func parseParams(v any) ([]Param, error) {
	source, ok := v.(string)
	if !ok {
		return nil, nil
	}
	var raw []struct {
		Name    string `json:"name"`
		Type    string `json:"type"`
		DType   string `json:"dtype"`
		Default any    `json:"default"`
		Shape   []int  `json:"shape"`
	}
	if err := json.Unmarshal([]byte(source), &raw); err != nil {
		return nil, err
	}
	if len(raw) > maxColumns {
		return nil, fmt.Errorf("%d parameters", len(raw))
	}
	var params []Param
	for _, r := range raw {
		p := Param{Name: r.Name, Type: r.Type, Default: r.Default, Shape: r.Shape}
		if p.Type == "" {
			p.Type = r.DType
		}
		params = append(params, p)
	}
	return params, nil
}

// kindOf maps the type names of MLflow columns and of NumPy arrays to kinds.
func kindOf(name string) (Kind, bool) {
	switch name {
	case "double", "float", "float16", "float32", "float64":
		return Float64, true
	case "integer", "long", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64":
		return Int64, true
	case "string", "str", "object_":
		return String, true
	case "boolean", "bool":
		return Bool, true
	case "datetime":
		return Datetime, true
	case "binary", "bytes":
		return Binary, true
	case "array", "map", "object", "any", "sparkml_vector":
		return JSON, true
	}
	switch {
	case strings.HasPrefix(name, "datetime64"):
		return Datetime, true
	case strings.HasPrefix(name, "<U"), strings.HasPrefix(name, "str"):
		return String, true
	case strings.HasPrefix(name, "|S"), strings.HasPrefix(name, "bytes"):
		return Binary, true
	}
	return "", false
}

// text is a scalar of a YAML or JSON document as text; nil is "".
func text(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case map[string]any, []any:
		return ""
	}
	return fmt.Sprint(v)
}
