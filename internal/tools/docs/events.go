package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// eventsPage lists the event types of every domain. A domain names its events <package>.<noun>.<what>, so its own source holds them
// as literals. Names of operations, listeners and jobs look alike: they are left out by where they stand, and because an event of two
// words tells of something that has happened.
func eventsPage(root string) ([]byte, error) {
	entries, err := os.ReadDir(filepath.Join(root, "internal"))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(head + `# Events

An event is written in the transaction of the change that it tells of; then it is numbered and hash-chained. The log is the audit trail,
what webhooks send and what starts the next step. ` + "`GET /api/v1/events`" + ` lists it, ` + "`/api/v1/events/stream`" + ` streams it,
` + "`modelyard event verify`" + ` checks the chain. Names that end in a star have several last words.

`)
	for _, en := range entries {
		if !en.IsDir() {
			continue
		}
		found, err := eventsOf(filepath.Join(root, "internal", en.Name()), en.Name())
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			continue
		}
		fmt.Fprintf(&b, "## %s\n\n", en.Name())
		for _, e := range found {
			fmt.Fprintf(&b, "- `%s`\n", e)
		}
		b.WriteString("\n")
	}
	return b.Bytes(), nil
}

func eventsOf(dir, domain string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	shape := regexp.MustCompile(`^` + domain + `(\.[a-z_]+ed|\.[a-z_]+\.[a-z_]*)$`)
	var publishes bool
	var found []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				s, ok := n.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				publishes = publishes || s.Sel.Name == "Append"
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "errs" {
					return false
				}
				return !slices.Contains([]string{"Err", "Handle", "Listen", "With", "Enqueue", "Has", "HasPrefix"}, s.Sel.Name)
			case *ast.KeyValueExpr:
				k, ok := n.Key.(*ast.Ident)
				return !ok || (k.Name != "Name" && k.Name != "Kind" && k.Name != "Types")
			case *ast.ValueSpec:
				return !slices.ContainsFunc(n.Names, func(i *ast.Ident) bool {
					return i.Name == "op" || strings.HasPrefix(i.Name, "job") || strings.HasPrefix(i.Name, "kind")
				})
			case *ast.BasicLit:
				if v, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && shape.MatchString(v) {
					if strings.HasSuffix(v, ".") {
						v += "*"
					}
					found = append(found, v)
				}
			}
			return true
		})
	}
	if !publishes {
		return nil, nil
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}
