package secret

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

func TestTheKeySurvivesAndADamagedOneIsToldOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, err := OpenKey(dir, "webhook.key")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := a.Seal("h1", "a secret text")
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenKey(dir, "webhook.key")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := b.Open("h1", sealed); err != nil || s != "a secret text" {
		t.Errorf("%q %v", s, err)
	}
	if _, err := b.Open("h2", sealed); !errs.Is(err, errs.Precondition) {
		t.Errorf("a secret moved to another webhook: %v", err)
	}
	if mac := a.Sign("m"); !b.Signed("m", mac) || b.Signed("n", mac) || b.Signed("m", "") || mac == a.Sign("n") {
		t.Error("a signature holds for its message alone")
	}
	if err := os.WriteFile(filepath.Join(dir, "keys", "webhook.key"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKey(dir, "webhook.key"); !errs.Is(err, errs.Precondition) {
		t.Errorf("%v", err)
	}
}
