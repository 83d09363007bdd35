package infer

// Description is an MLmodel file, read.
type Description struct {
	// Flavors maps a flavour ("lightgbm", "python_function"...) to its settings as they stand in the file.
	Flavors       map[string]map[string]any
	Signature     *Signature // nil when the model was logged without one
	RunID         string
	ModelID       string // MLflow 3
	ModelUUID     string // MLflow 2
	ArtifactPath  string
	MLflowVersion string
	TimeCreated   string
	InputExample  *InputExample
	Environment   Environment
	Metadata      map[string]any
}

// InputExample is where the example input lies, relative to the model's folder; empty names mean there is none.
type InputExample struct {
	Path        string // input_example.json as logged
	ServingPath string // serving_input_example.json: the body of an /invocations request
	Type        string // dataframe, ndarray, json_object...
	Orient      string // split, records...
}

// Environment names the files that describe the Python environment, relative to the model's folder ("" when absent).
type Environment struct {
	PythonVersion string // from python_function.python_version or python_env.yaml
	PythonEnv     string // python_env.yaml
	Requirements  string // requirements.txt
	Conda         string // conda.yaml
	LoaderModule  string // python_function.loader_module
	CodePaths     string // python_function.code
}

// Signature is the schema of a model's inputs, outputs and parameters.
type Signature struct {
	Inputs  []Spec
	Outputs []Spec
	Params  []Param
}

// Param is an inference parameter with a default.
type Param struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Default any    `json:"default"`
	Shape   []int  `json:"shape,omitempty"` // nil: a scalar; [-1]: a list
}
