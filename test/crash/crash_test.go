package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
)

const (
	writers  = 8
	patience = 2 * time.Minute // a hang is a failure; a slow machine is not
	keys     = 5               // metrics in a batch
	steps    = 20              // points of each
	seed     = 7
	mlflow   = "/api/2.0/mlflow/"
	model    = "../../internal/infer/testdata/parity/lgb-binary/"
	record   = `{"a":%g,"b b":-110.5,"c":0.57,"zero":0.0,"n":-1,"flag":true,"k":31}`
)

// killCount is how often the server is killed.
func killCount(t *testing.T) int {
	text := os.Getenv("MODELYARD_CRASH_KILLS")
	if text == "" {
		return 10
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 10_000 {
		t.Fatalf("MODELYARD_CRASH_KILLS is %q: expected 1 to 10000", text)
	}
	return n
}

// program builds the program once for all tests of the package.
var program = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("MODELYARD_BIN"); bin != "" {
		return bin, nil
	}
	dir, err := os.MkdirTemp("", "modelyard-crash-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "modelyard")
	build := exec.Command("go", "build", "-o", bin, "../../cmd/modelyard") //nolint:noctx // shared by all tests
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return bin, nil
})

func newServer(t *testing.T, dsn string) *server {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return &server{bin: bin, dir: t.TempDir(), dsn: dsn, log: filepath.Join(t.TempDir(), "log")}
}

func TestKillUnderLoad(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]func(*testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": func(t *testing.T) string { return dbtest.PostgresURL(t) }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := killCount(t)
			l, bad := killUnderLoad(t, newServer(t, dsn(t)), n)
			report(t, bad)
			t.Logf("killed %d times under %d writers; acknowledged and found: %s", n, writers, l)
		})
	}
}

// TestMutantIsCaught: a server that answers before it commits loses acknowledged writes, and this test sees it.
func TestMutantIsCaught(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.faults = []string{"MODELYARD_TEST_ANSWER_EARLY=lose my data", "MODELYARD_TEST_COMMIT_DELAY=20ms"} // so long that losses are certain, not likely
	_, bad := killUnderLoad(t, s, 4)
	lost := slices.DeleteFunc(bad, func(b string) bool {
		return !strings.Contains(b, " is lost;") && !strings.Contains(b, " batches, want ")
	})
	if len(lost) == 0 {
		t.Fatal("a server that answers before it commits loses nothing here: the crash test proves nothing")
	}
	t.Logf("the mutant was caught with %d losses, the first: %s", len(lost), lost[0])
}

// report fails the test with what is wrong.
func report(t *testing.T, bad []string) {
	t.Helper()
	for _, b := range bad[:min(len(bad), 50)] {
		t.Error(b)
	}
	if len(bad) > 50 {
		t.Errorf("and %d more", len(bad)-50)
	}
}

// killUnderLoad kills the server under load.
func killUnderLoad(t *testing.T, s *server, kills int) (*ledger, []string) {
	return underLoad(t, s, kills, func(int) { s.kill(t) }, func() { s.start(t); s.warm(t) })
}

// underLoad strikes so many times under load, and gives what was acknowledged and what is wrong with it after all.
func underLoad(t *testing.T, s *server, strikes int, strike func(generation int), recover func()) (*ledger, []string) {
	s.start(t)
	s.deploy(t)
	if s.faults != nil { // what was set up was stored by a sound server
		s.kill(t)
		s.env = append(s.env, s.faults...)
		s.start(t)
	}
	l := &ledger{acks: make(chan struct{}, 1<<20)}
	rng := rand.New(rand.NewPCG(seed, 0))
	for generation := range strikes + 1 {
		// A generation of writers ends with its server: each stops at its first request that is not answered. The last one ends by
		// itself, on a server whose index is warm, so that the search is compared after live writes as well.
		var wg sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		enough := make(chan struct{})
		for w := range writers {
			wg.Go(func() { s.write(ctx, enough, l, generation*writers+w) })
		}
		for range 150 + rng.IntN(250) {
			select {
			case <-l.acks:
			case <-ctx.Done():
				t.Fatalf("the server acknowledges too little; %v\n%s", l.bad, s.said())
			}
		}
		if generation < strikes {
			strike(generation)
		}
		close(enough)
		wg.Wait()
		cancel()
		if generation < strikes {
			recover()
		}
	}
	bad := append(l.bad, s.verify(t, l)...)
	s.kill(t)
	if s.mayBeAway { // what could not be named waits an hour for its name, or for the next start
		s.start(t)
		s.sweep(t)
		s.kill(t)
	}
	return l, append(bad, s.verifyStore(t)...)
}
