package yamlx_test

import (
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/yamlx"
)

type spec struct {
	Name  string         `yaml:"name"`
	Items []string       `yaml:"items"`
	Any   map[string]any `yaml:"any"`
}

// hostile are texts that break the parser below or make it work without end.
var hostile = map[string]string{
	"tag":         "items: !00 00\n",
	"brackets":    strings.Repeat("[", 200_000),
	"braces":      strings.Repeat("{a: ", 200_000),
	"dashes":      strings.Repeat("- ", 200_000),
	"tab dashes":  strings.Repeat("-\t", 200_000),
	"questions":   strings.Repeat("? ", 200_000),
	"alias":       "any: *nothing\n",
	"open string": `name: "abc`,
	"not YAML":    "name: [a, b\nitems: }",
}

func TestHostileTextIsAnError(t *testing.T) {
	t.Parallel()
	for name, text := range hostile {
		var s spec
		if err := yamlx.Decode([]byte(text), &s); err == nil || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: Decode: %v", name, err)
		}
		if err := yamlx.DecodeLoose([]byte(text), &s); err == nil {
			t.Errorf("%s: DecodeLoose took it", name)
		}
		_, _ = yamlx.ToJSON([]byte(text)) // it may be valid for it; it must come back
	}
}

func TestStrictAndLoose(t *testing.T) {
	t.Parallel()
	var s spec
	if err := yamlx.Decode([]byte(`{"name": "a", "items": ["b"]}`), &s); err != nil || s.Name != "a" || len(s.Items) != 1 {
		t.Errorf("JSON: %v %+v", err, s)
	}
	if err := yamlx.Decode([]byte("nmae: a\n"), &s); err == nil || !strings.Contains(err.Error(), "nmae") {
		t.Errorf("an unknown key: %v", err)
	}
	if err := yamlx.DecodeLoose([]byte("other: 1\nname: &n b\nitems: [*n, *n]\n"), &s); err != nil || s.Name != "b" || len(s.Items) != 2 || s.Items[1] != "b" {
		t.Errorf("loose: %v %+v", err, s)
	}
	if err := yamlx.Decode([]byte("name: &n b\nitems: [*n]\n"), &s); err == nil || !strings.Contains(err.Error(), "anchors") {
		t.Errorf("anchors: %v", err)
	}
	if j, err := yamlx.ToJSON([]byte("b: 1\na: [x]\n")); err != nil || strings.TrimSpace(string(j)) != `{"b": 1, "a": ["x"]}` {
		t.Errorf("ToJSON: %v %s", err, j)
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range hostile {
		f.Add([]byte(text[:min(len(text), 200)]))
	}
	f.Fuzz(func(_ *testing.T, text []byte) {
		var s spec
		_ = yamlx.Decode(text, &s)
		_ = yamlx.DecodeLoose(text, &s)
		_, _ = yamlx.ToJSON(text)
	})
}
