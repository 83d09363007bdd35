package page_test

import (
	"encoding/json"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/page"
)

type cursor struct {
	By   []string
	Last []any
	At   int64
}

// FuzzDecode: what is not a token of ours is Invalid; what is comes back as it was.
func FuzzDecode(f *testing.F) {
	f.Add(page.Encode(cursor{[]string{"name"}, []any{"x", 1.5, nil}, 7}))
	for _, s := range []string{"", "e30", "bnVsbA", "W10", "?", "e30=", "eyJBdCI6MWU5OX0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		var c cursor
		if err := page.Decode(token, &c); err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatal(err)
			}
			return
		}
		var again cursor
		if err := page.Decode(page.Encode(c), &again); err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(c)
		if b, _ := json.Marshal(again); string(a) != string(b) {
			t.Fatalf("%s came back as %s", a, b)
		}
	})
}
