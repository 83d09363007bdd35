package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/testkit"
)

// TestOpenAPIGolden holds the live document against docs/reference/openapi.json, and every typed route against both.
func TestOpenAPIGolden(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	live, err := OpenAPI(s.App.Router())
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("../../../docs/reference/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(live, golden) {
		t.Error("docs/reference/openapi.json is not what the server gives: run make docs and look at the difference")
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(live, &doc); err != nil {
		t.Fatal(err)
	}
	typed := 0
	for _, r := range s.App.Router().Routes() {
		if !r.Typed {
			continue
		}
		typed++
		if _, ok := doc.Paths[r.Pattern][strings.ToLower(r.Method)]; !ok {
			t.Errorf("%s %s is not in the document", r.Method, r.Pattern)
		}
	}
	if typed == 0 {
		t.Error("no typed routes")
	}
}

func TestReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	pages, err := Generate(t.Context(), "../../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		if got, err := os.ReadFile(filepath.Join("../../../docs/reference", name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/reference/%s is not current (%v): run make docs", name, err)
		}
	}
}

// TestEveryNounHasACommandAndAPage ties the ends together: a noun of the native API is a noun of the command line and a page of docs/howto.
func TestEveryNounHasACommandAndAPage(t *testing.T) {
	t.Parallel()
	// Nouns that are part of another one's page, or of the server itself.
	within := map[string]string{
		"version": "", "session": "", "openapi.json": "", "overview": "",
		"pipeline-runs": "pipelines", "predictions": "endpoints", "retrainings": "rollouts", "lifecycle": "rollouts", "experiments": "runs",
		"webhooks": "alerts", "logged-models": "runs", "events": "lineage", "jobs": "pipelines",
		"metric-histories": "runs", "import": "move-from-mlflow", "evaluation-datasets": "traces",
	}
	commands := string(cliPage())
	s := testkit.Start(t)
	for _, r := range s.App.Router().Routes() {
		rest, ok := strings.CutPrefix(r.Pattern, "/api/v1/")
		if !ok {
			continue
		}
		noun, _, _ := strings.Cut(rest, "/")
		page, part := within[noun]
		if part && page == "" {
			continue
		}
		if !part {
			page = noun
		}
		if _, err := os.Stat(filepath.Join("../../../docs/howto", page+".md")); err != nil {
			t.Errorf("%s: no page docs/howto/%s.md", r.Pattern, page)
		}
		command := strings.TrimSuffix(noun, "s")
		switch noun {
		case "predictions":
			command = "endpoint"
		case "pipeline-runs":
			command = "pipeline"
		case "logged-models", "metric-histories":
			command = "run"
		case "retrainings", "lifecycle":
			command = "rollout"
		}
		if !strings.Contains(commands, "## modelyard "+command+"\n") {
			t.Errorf("%s: no command modelyard %s", r.Pattern, command)
		}
	}
}

// TestEveryDependencyHasItsReason holds docs/explain/dependencies.md against what the repository imports.
func TestEveryDependencyHasItsReason(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/explain/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-test", "-f", `{{range .Imports}}{{.}}{{"\n"}}{{end}}`, "./...")
	cmd.Dir = "../../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for imp := range strings.FieldsSeq(string(out)) {
		host, _, _ := strings.Cut(imp, "/")
		if !strings.Contains(host, ".") || strings.Contains(imp, "github.com/modelyard/") || strings.HasSuffix(imp, ".test") {
			continue
		}
		n := 2
		if host == "github.com" || host == "golang.org" || host == "google.golang.org" {
			n = 3
		}
		parts := strings.Split(imp, "/")
		if module := strings.Join(parts[:min(n, len(parts))], "/"); !strings.Contains(string(page), module) && !strings.Contains(string(page), strings.Join(parts[:2], "/")) {
			missing[module] = true
		}
	}
	for m := range missing {
		t.Errorf("docs/explain/dependencies.md does not say why %s is needed", m)
	}
}
