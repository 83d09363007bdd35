package pipeline

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/yamlx"
)

// Spec is the definition of a pipeline, as its YAML file says.
type Spec struct {
	Name        string            `yaml:"name" json:"name"`
	Description string            `yaml:"description" json:"description,omitempty"`
	Params      map[string]Param  `yaml:"params" json:"params,omitempty"`
	Environment Environment       `yaml:"environment" json:"environment,omitzero"`
	Env         map[string]string `yaml:"env" json:"env,omitempty"`
	Files       []string          `yaml:"files" json:"files,omitempty"`
	Steps       []StepSpec        `yaml:"steps" json:"steps"`
	On          Triggers          `yaml:"on" json:"on,omitzero"`
}

// Param is a value that a run is given; steps see it as MODELYARD_PARAM_<NAME>.
type Param struct {
	Default     string `yaml:"default" json:"default,omitempty"`
	Description string `yaml:"description" json:"description,omitempty"`
	Required    bool   `yaml:"required" json:"required,omitempty"`
}

// Environment is the Python environment of the steps.
type Environment struct {
	Python       string `yaml:"python" json:"python,omitempty"`             // wanted version, "3.11"
	Requirements string `yaml:"requirements" json:"requirements,omitempty"` // one of the files
}

// StepSpec is one step: a command with its arguments, or a shell script.
type StepSpec struct {
	Name    string            `yaml:"name" json:"name"`
	Needs   []string          `yaml:"needs" json:"needs,omitempty"`
	Command []string          `yaml:"command" json:"command,omitempty"`
	Run     string            `yaml:"run" json:"run,omitempty"` // given to /bin/sh
	Env     map[string]string `yaml:"env" json:"env,omitempty"`
	Timeout string            `yaml:"timeout" json:"timeout,omitempty"` // Go duration; default 1h, at most 168h
	Retries int               `yaml:"retries" json:"retries,omitempty"` // 0 to 10
	Memory  int64             `yaml:"memory_mb" json:"memory_mb,omitempty"`
}

// Triggers start runs without a person. Alerts start them through the endpoint's policy.
type Triggers struct {
	Schedule string `yaml:"schedule" json:"schedule,omitempty"` // five-field cron expression, UTC
}

// The bounds of a definition.
const (
	maxSpec    = 256 << 10
	maxSteps   = 100
	maxFiles   = 200
	maxFile    = 4 << 20
	maxTimeout = 168 * time.Hour
	maxRetries = 10
	maxParam   = 16 << 10
)

var (
	nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	envRule  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
)

// ParseSpec reads and checks a definition. It returns Invalid naming every problem.
func ParseSpec(text string) (Spec, error) {
	const op = "pipeline.parse"
	if len(text) > maxSpec {
		return Spec{}, errs.Invalidf(op, "the definition is larger than %d KiB", maxSpec>>10)
	}
	var sp Spec
	if strings.TrimSpace(text) == "" {
		return Spec{}, errs.Invalidf(op, "the definition is empty").WithField("spec", "expected YAML with name and steps")
	}
	if err := yamlx.Decode([]byte(text), &sp); err != nil {
		return Spec{}, errs.Invalidf(op, "the definition cannot be read").WithField("spec", "%v", err)
	}
	var p errs.Collector
	sp.validate(&p)
	if err := p.Err(op, "the definition is not right"); err != nil {
		return Spec{}, err
	}
	return sp, nil
}

func (sp *Spec) validate(p *errs.Collector) {
	if sp.Name != "" && !nameRule.MatchString(sp.Name) {
		p.Add("name", "%q: expected lower-case letters, digits, - and _, at most 63", sp.Name)
	}
	for n := range sp.Params {
		if !envRule.MatchString(n) {
			p.Add("params."+n, "expected letters, digits and _")
		}
	}
	checkEnv(p, "env", sp.Env)
	sp.validateFiles(p)
	if sp.On.Schedule != "" {
		if _, err := cron.ParseStandard(sp.On.Schedule); err != nil {
			p.Add("on.schedule", "%q: expected a cron expression such as \"0 3 * * *\": %v", sp.On.Schedule, err)
		}
	}
	if len(sp.Steps) == 0 || len(sp.Steps) > maxSteps {
		p.Add("steps", "there are %d: expected 1 to %d", len(sp.Steps), maxSteps)
	}
	names := map[string]bool{}
	for i, st := range sp.Steps {
		at := fmt.Sprintf("steps[%d]", i)
		if !nameRule.MatchString(st.Name) {
			p.Add(at+".name", "%q: expected lower-case letters, digits, - and _, at most 63", st.Name)
		} else if names[st.Name] {
			p.Add(at+".name", "%q is there twice", st.Name)
		}
		names[st.Name] = true
		st.validate(p, at)
	}
	for i, st := range sp.Steps {
		for _, n := range st.Needs {
			if !names[n] {
				p.Add(fmt.Sprintf("steps[%d].needs", i), "there is no step %q", n)
			}
		}
	}
	if c := sp.cycle(); c != nil {
		p.Add("steps", "they wait for each other: %s", strings.Join(c, " -> "))
	}
}

func (sp *Spec) validateFiles(p *errs.Collector) {
	if len(sp.Files) > maxFiles {
		p.Add("files", "there are %d: at most %d", len(sp.Files), maxFiles)
	}
	for _, f := range sp.Files {
		if c, err := blob.CleanPath(f); err != nil || c != f || c == "" {
			p.Add("files", "%q: expected a relative path below the definition's folder", f)
		}
	}
	if r := sp.Environment.Requirements; r != "" && !slices.Contains(sp.Files, r) {
		p.Add("environment.requirements", "%q is not one of files", r)
	}
}

func (st StepSpec) validate(p *errs.Collector, at string) {
	if (len(st.Command) == 0) == (st.Run == "") {
		p.Add(at, "expected either command (a list) or run (a shell script)")
	}
	if len(st.Command) > 0 && st.Command[0] == "" {
		p.Add(at+".command", "the first entry is empty")
	}
	if d, err := st.timeout(); err != nil || d <= 0 || d > maxTimeout {
		p.Add(at+".timeout", "%q: expected a duration such as 15m, at most 168h", st.Timeout)
	}
	if st.Retries < 0 || st.Retries > maxRetries {
		p.Add(at+".retries", "%d: expected 0 to %d", st.Retries, maxRetries)
	}
	if st.Memory < 0 {
		p.Add(at+".memory_mb", "expected a positive number")
	}
	checkEnv(p, at+".env", st.Env)
}

func checkEnv(p *errs.Collector, at string, env map[string]string) {
	for k, v := range env {
		if !envRule.MatchString(k) || strings.ContainsRune(v, 0) {
			p.Add(at+"."+k, "expected a variable name of letters, digits and _, and text without NUL")
		}
	}
}

func (st StepSpec) timeout() (time.Duration, error) {
	if st.Timeout == "" {
		return time.Hour, nil
	}
	return time.ParseDuration(st.Timeout)
}

// cycle finds steps that wait for each other, or nil.
func (sp *Spec) cycle() []string {
	needs := map[string][]string{}
	for _, st := range sp.Steps {
		needs[st.Name] = st.Needs
	}
	const visiting, done = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(n string) []string
	visit = func(n string) []string {
		switch state[n] {
		case done:
			return nil
		case visiting:
			return append(slices.Clone(path[slices.Index(path, n):]), n)
		}
		state[n] = visiting
		path = append(path, n)
		for _, m := range needs[n] {
			if c := visit(m); c != nil {
				return c
			}
		}
		path = path[:len(path)-1]
		state[n] = done
		return nil
	}
	for _, st := range sp.Steps {
		if c := visit(st.Name); c != nil {
			return c
		}
	}
	return nil
}

// bind gives every declared parameter its value. It returns Invalid for unknown, missing or oversized ones.
func (sp *Spec) bind(given map[string]string) (map[string]string, error) {
	var p errs.Collector
	out := map[string]string{}
	for n, d := range sp.Params {
		out[n] = d.Default
		if v, ok := given[n]; ok {
			out[n] = v
		} else if d.Required {
			p.Add("params."+n, "is required: %s", d.Description)
		}
	}
	for n, v := range given {
		if _, ok := sp.Params[n]; !ok {
			p.Add("params."+n, "the pipeline has no such parameter")
		}
		if len(v) > maxParam || strings.ContainsRune(v, 0) {
			p.Add("params."+n, "expected text of at most %d KiB", maxParam>>10)
		}
	}
	return out, p.Err("pipeline.start", "the parameters are not right")
}

func (sp *Spec) step(name string) StepSpec {
	return sp.Steps[slices.IndexFunc(sp.Steps, func(s StepSpec) bool { return s.Name == name })]
}
