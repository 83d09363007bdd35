package pyenv

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/yamlx"
)

// Bounds of what is read.
const (
	maxFileBytes    = 1 << 20
	maxRequirements = 5000
	maxNesting      = 5
)

// InputError says what is wrong with a description of an environment.
type InputError struct {
	File   string // the file at fault, empty when there is none
	Line   int    // 1-based, 0 when it concerns the whole
	Reason string
	Hint   string
}

// Unwrap gives the edges a kind to map.
func (e *InputError) Unwrap() error {
	return errs.E(errs.Invalid, "pyenv", e.where()+e.Reason, nil).WithHint("%s", e.Hint)
}

func (e *InputError) Error() string {
	text := e.where() + e.Reason
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

func (e *InputError) where() string {
	switch {
	case e.File != "" && e.Line > 0:
		return fmt.Sprintf("%s, line %d: ", e.File, e.Line)
	case e.File != "":
		return e.File + ": "
	}
	return ""
}

// ReadRequirements reads a requirements.txt. Nested files (-r) are taken in; index options (--index-url, --find-links,
// --extra-index-url, --pre...) are kept; a local wheel becomes an absolute path with its digest.
func ReadRequirements(path string) ([]string, error) {
	lines, err := readRequirements(path, 0)
	if err == nil && len(lines) > maxRequirements {
		err = &InputError{File: path, Reason: fmt.Sprintf("%d requirements, at most %d are read", len(lines), maxRequirements)}
	}
	return lines, err
}

func readRequirements(path string, depth int) ([]string, error) {
	if depth > maxNesting {
		return nil, &InputError{File: path, Reason: "requirement files include each other too deep", Hint: "put the requirements into one file"}
	}
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return parseRequirements(data, path, depth)
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the environment's description: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFileBytes {
		return nil, &InputError{File: path, Reason: "not a plain file of at most 1 MiB"}
	}
	return os.ReadFile(path)
}

func parseRequirements(data []byte, path string, depth int) ([]string, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var out []string
	scan := bufio.NewScanner(bytes.NewReader(data))
	scan.Buffer(nil, maxFileBytes)
	line, pending := 0, ""
	for scan.Scan() {
		line++
		text := pending + scan.Text()
		if rest, ok := strings.CutSuffix(text, "\\"); ok {
			pending = rest
			continue
		}
		pending = ""
		got, err := parseLine(text, filepath.Dir(path), depth)
		var bad *InputError
		if errors.As(err, &bad) && bad.File == "" {
			bad.File, bad.Line = path, line
		}
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	if pending != "" {
		return nil, &InputError{File: path, Line: line, Reason: "the last line ends with a backslash"}
	}
	return out, scan.Err()
}

var comment = regexp.MustCompile(`(^|\s)#.*$`)

func parseLine(text, base string, depth int) ([]string, error) {
	if strings.ContainsRune(text, 0) {
		return nil, &InputError{Reason: "not a text file"}
	}
	text = strings.TrimSpace(comment.ReplaceAllString(text, ""))
	if text == "" {
		return nil, nil
	}
	if name, value, ok := option(text); ok {
		switch name {
		case "-r", "--requirement":
			return readRequirements(resolve(base, value), depth+1)
		case "-c", "--constraint":
			path := resolve(base, value)
			data, err := readBounded(path)
			if err != nil {
				return nil, err
			}
			return []string{"-c " + path + " #sha256=" + digest(data)}, nil
		case "-e", "--editable":
			return nil, &InputError{
				Reason: "an editable install (" + text + ") changes under the environment that is kept",
				Hint:   "leave it out: the step runs in the code's folder; or build a wheel and name its file",
			}
		case "-f", "--find-links":
			if !strings.Contains(value, "://") {
				value = resolve(base, value)
			}
			return []string{"--find-links " + value}, nil
		}
		return []string{text}, nil
	}
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "/") {
		return localWheel(resolve(base, text))
	}
	return []string{text}, nil
}

// option splits "-r file" and "--requirement=file".
func option(text string) (name, value string, ok bool) {
	if !strings.HasPrefix(text, "-") {
		return "", "", false
	}
	i := strings.IndexAny(text, " \t=")
	if i < 0 {
		if !strings.HasPrefix(text, "--") && len(text) > 2 { // -rfile
			return text[:2], text[2:], true
		}
		return text, "", true
	}
	return text[:i], strings.TrimSpace(text[i+1:]), true
}

func resolve(base, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	abs, err := filepath.Abs(filepath.Join(base, path))
	if err != nil {
		return path
	}
	return abs
}

func localWheel(path string) ([]string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &InputError{Reason: "there is no file " + path}
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, &InputError{Reason: path + " is a folder; only files can be kept track of", Hint: "build a wheel and name its file"}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return []string{path + " #sha256=" + digest(data)}, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:32]
}

// ReadPythonEnv reads MLflow's python_env.yaml: the Python version, the build tools it pins (pip itself left out) and
// the requirements.
func ReadPythonEnv(path string) (Spec, error) {
	var doc struct {
		Python string   `yaml:"python"`
		Build  []string `yaml:"build_dependencies"`
		Deps   []string `yaml:"dependencies"`
	}
	if err := readYAML(path, &doc); err != nil {
		return Spec{}, err
	}
	spec := Spec{Python: doc.Python}
	deps, err := parseRequirements([]byte(strings.Join(doc.Deps, "\n")), path, 0)
	if err != nil {
		return Spec{}, err
	}
	for _, b := range doc.Build {
		name := PackageName(b)
		if name != "" && name != "pip" && !slices.ContainsFunc(deps, func(d string) bool { return PackageName(d) == name }) {
			spec.Requirements = append(spec.Requirements, b)
		}
	}
	spec.Requirements = append(spec.Requirements, deps...)
	return spec, nil
}

// ReadConda reads a conda.yaml of which only Python and pip packages are asked for, as MLflow writes it. Any other
// conda package is an error: nothing here can install it.
func ReadConda(path string) (Spec, error) {
	var doc struct {
		Deps []any `yaml:"dependencies"`
	}
	if err := readYAML(path, &doc); err != nil {
		return Spec{}, err
	}
	var spec Spec
	for _, dep := range doc.Deps {
		switch d := dep.(type) {
		case string:
			name := PackageName(d)
			switch name {
			case "python":
				spec.Python = condaVersion.FindString(d)
			case "pip", "setuptools", "wheel":
			default:
				return Spec{}, &InputError{
					File: path, Reason: fmt.Sprintf("the conda package %q can't be installed without conda", d),
					Hint: "move it into the pip section when PyPI has it, or use an interpreter of your own (MODELYARD_PYTHON)",
				}
			}
		case map[string]any:
			list, ok := d["pip"].([]any)
			if !ok {
				return Spec{}, &InputError{File: path, Reason: "a section that is not a list of pip packages"}
			}
			var lines []string
			for _, item := range list {
				lines = append(lines, fmt.Sprint(item))
			}
			got, err := parseRequirements([]byte(strings.Join(lines, "\n")), path, 0)
			if err != nil {
				return Spec{}, err
			}
			spec.Requirements = append(spec.Requirements, got...)
		default:
			return Spec{}, &InputError{File: path, Reason: fmt.Sprintf("the dependency %v is neither a name nor a pip section", dep)}
		}
	}
	return spec, nil
}

var condaVersion = regexp.MustCompile(`\d+\.\d+(\.\d+)?`)

func readYAML(path string, into any) error {
	data, err := readBounded(path)
	if err != nil {
		return err
	}
	if err := yamlx.DecodeLoose(data, into); err != nil {
		return &InputError{File: path, Reason: "not readable as YAML: " + firstLine(err.Error())}
	}
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// ReadModelDir finds what an MLflow model's folder asks for: python_env.yaml, else conda.yaml, else requirements.txt.
// A folder without any is an empty Spec.
func ReadModelDir(dir string) (Spec, error) {
	for _, f := range []struct {
		name string
		read func(string) (Spec, error)
	}{
		{"python_env.yaml", ReadPythonEnv},
		{"conda.yaml", ReadConda},
		{"requirements.txt", func(p string) (Spec, error) {
			lines, err := ReadRequirements(p)
			return Spec{Requirements: lines}, err
		}},
	} {
		path := filepath.Join(dir, f.name)
		if _, err := os.Stat(path); err == nil {
			return f.read(path)
		}
	}
	return Spec{}, nil
}

var packageName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?`)
var nameRuns = regexp.MustCompile(`[-_.]+`)

// PackageName is the normalised name (PEP 503) that a requirement line asks for; empty for options and paths.
func PackageName(requirement string) string {
	text := strings.TrimSpace(requirement)
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "/") || strings.Contains(strings.SplitN(text, "@", 2)[0], "://") {
		return ""
	}
	return strings.ToLower(nameRuns.ReplaceAllString(packageName.FindString(text), "-"))
}
