// Package archtest holds the rules of the house as ordinary tests: who may import whom.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/modelyard/modelyard/"

// mayImport is the import table of docs/explain/architecture.md: the domains (and infer) that a domain may use beside platform, num and table.
var mayImport = map[string][]string{
	"auth":       {},
	"governance": {},
	"tracking":   {},
	"dataset":    {},
	"predlog":    {},
	"cost":       {},
	"alert":      {},
	"pipeline":   {},
	"webhook":    {},
	"workspace":  {},
	"scorer":     {},
	"trash":      {},
	"trace":      {},
	"evalset":    {},
	"registry":   {"infer"},
	"feature":    {"dataset"},
	"tuning":     {"tracking"},
	"evaluation": {"registry", "dataset", "infer"},
	"fairness":   {"registry", "dataset", "predlog"},
	"routing":    {"registry"},
	"serving":    {"registry", "routing", "feature", "predlog", "infer"},
	"monitor":    {"registry", "dataset", "predlog"},
	"explain":    {"registry", "dataset", "predlog", "infer"},
	"lifecycle":  {"pipeline", "registry", "evaluation", "routing", "monitor"},
}

// onlyFor are the rooms that nobody but the named ones may import.
var onlyFor = map[string][]string{
	"internal/app":      {"internal/cli", "internal/testkit", "internal/tools", "cmd/modelyard"},
	"internal/cli":      {"cmd/modelyard", "internal/cli", "internal/tools", "test"},
	"internal/protocol": {"internal/app"},
	"internal/testkit":  {},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var ps []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}

// domainOf is the first folder below internal/, or "".
func domainOf(path string) string {
	rest, ok := strings.CutPrefix(path, module+"internal/")
	if !ok {
		return ""
	}
	d, _, _ := strings.Cut(rest, "/")
	return d
}

func below(path, room string) bool {
	p := strings.TrimPrefix(path, module)
	return p == room || strings.HasPrefix(p, room+"/")
}

func TestImportTable(t *testing.T) {
	t.Parallel()
	always := []string{"platform", "num", "table"}
	for _, p := range packages(t) {
		from := domainOf(p.ImportPath)
		for _, imp := range p.Imports {
			to := domainOf(imp)
			if to == "" || to == from {
				continue
			}
			allowed, isDomain := mayImport[from]
			switch {
			case isDomain && !slices.Contains(always, to) && !slices.Contains(allowed, to):
				t.Errorf("%s imports %s: the table does not allow %s -> %s", p.ImportPath, imp, from, to)
			case from == "platform" && to != "platform":
				t.Errorf("%s imports %s: platform knows no product nouns", p.ImportPath, imp)
			case from == "transfer" && to != "platform":
				t.Errorf("%s imports %s: transfer talks to servers, through the client alone", p.ImportPath, imp)
			case from == "num":
				t.Errorf("%s imports %s: num is pure numerics", p.ImportPath, imp)
			case from == "table" && to != "num" && to != "platform":
				t.Errorf("%s imports %s", p.ImportPath, imp)
			case from == "infer" && !slices.Contains(always, to):
				t.Errorf("%s imports %s: infer knows no storage and no domains", p.ImportPath, imp)
			}
		}
	}
}

func TestClosedRooms(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			for room, friends := range onlyFor {
				if !below(imp, room) || below(p.ImportPath, room) {
					continue
				}
				if !slices.ContainsFunc(friends, func(f string) bool { return below(p.ImportPath, f) }) {
					t.Errorf("%s imports %s: only %v may", p.ImportPath, imp, friends)
				}
			}
		}
	}
}

func TestNumIsStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if domainOf(p.ImportPath) != "num" {
			continue
		}
		for _, imp := range p.Imports {
			if host, _, _ := strings.Cut(imp, "/"); strings.Contains(host, ".") && !strings.HasPrefix(imp, module+"internal/num") {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
}

func TestClientImportsNothingInternal(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !below(p.ImportPath, "client") {
			continue
		}
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, module+"internal/") {
				t.Errorf("%s imports %s: the client is public", p.ImportPath, imp)
			}
		}
	}
}

func TestCommandsSpeakThroughTheClient(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !below(p.ImportPath, "internal/cli") {
			continue
		}
		for _, imp := range p.Imports {
			d := domainOf(imp)
			if _, isDomain := mayImport[d]; isDomain {
				t.Errorf("%s imports the domain %s: commands can do only what the API can", p.ImportPath, d)
			}
		}
	}
}
