package predlog_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/predlog"
)

// TestMain lets the test binary be the server that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PREDLOG_CRASH_DIR"); dir != "" {
		if err := crashChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// crashChild logs predictions and labels without end and prints the id of each one after it was acknowledged.
func crashChild(dir string) error {
	ctx := context.Background()
	d, err := db.Open(ctx, db.Options{URL: filepath.Join(dir, "store.db")})
	if err != nil {
		return err
	}
	if err := d.Migrate(ctx, predlog.Migrations()); err != nil {
		return err
	}
	s := predlog.New(predlog.Deps{DB: d, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), DataDir: dir, SegmentBytes: 64 << 10})
	if err := s.Start(ctx); err != nil {
		return err
	}
	go func() { _ = s.Run(ctx) }()
	var mu sync.Mutex
	say := func(what, id string) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = os.Stdout.WriteString(what + " " + id + "\n") // one write: the parent sees whole lines only
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			st := s.Stream(schema)
			for i := 0; ; i++ {
				b := batch(1+i%3, i)
				if st.Append(ctx, b) != nil {
					return
				}
				for _, id := range b.IDs {
					say("p", id.String())
				}
				if w == 0 && i%5 == 0 {
					res, err := s.Feedback(ctx, "bike", []predlog.Feedback{{PredictionID: b.IDs[0].String(), Label: json.RawMessage("5")}})
					if err != nil || res.Accepted != 1 {
						return
					}
					say("l", b.IDs[0].String())
				}
			}
		})
	}
	wg.Wait()
	return errors.New("the child ended by itself")
}

func TestKilledServerLosesNothingItAnswered(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 11))
	dir := t.TempDir()
	acknowledged := map[string]string{}
	for round := range 6 {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), "PREDLOG_CRASH_DIR="+dir)
		out, err := child.StdoutPipe()
		must(t, err)
		var complaints strings.Builder
		child.Stderr = &complaints
		must(t, child.Start())
		lines := bufio.NewScanner(out)
		left, counts := 50+rng.IntN(2000), "p" // killed after so many predictions, or labels
		if round%2 == 1 {
			left, counts = 1+rng.IntN(20), "l"
		}
		for lines.Scan() {
			what, id, _ := strings.Cut(lines.Text(), " ")
			if len(id) == 36 {
				acknowledged[id] += what
			}
			if what != counts {
				continue
			}
			if left--; left == 0 {
				must(t, child.Process.Kill()) // SIGKILL; what it still printed counts as answered
			}
		}
		if err := child.Wait(); err == nil || complaints.Len() > 0 {
			t.Fatalf("the child: %v %s", err, complaints.String())
		}
	}
	d, err := db.Open(t.Context(), db.Options{URL: filepath.Join(dir, "store.db")})
	must(t, err)
	t.Cleanup(func() { _ = d.Close() })
	s := open(t, d, dir)
	logged := map[string]bool{}
	must(t, s.Scan(t.Context(), "bike", time.Now().Add(-time.Hour), time.Now().Add(time.Hour), func(e predlog.Entry) error {
		if e.Record != nil {
			logged[e.Record.ID] = true
		}
		return nil
	}))
	labels := 0
	for id, what := range acknowledged {
		if strings.Contains(what, "p") && !logged[id] {
			t.Errorf("answered prediction %s is lost", id)
		}
		if strings.Contains(what, "l") {
			labels++
			if p, err := s.Get(t.Context(), id); err != nil || p.Label != 5.0 {
				t.Errorf("acknowledged label of %s is lost: %v", id, err)
			}
		}
	}
	if len(acknowledged) < 500 || labels < 5 {
		t.Fatalf("only %d predictions and %d labels were acknowledged", len(acknowledged), labels)
	}
	t.Logf("%d predictions and %d labels over 6 kills", len(acknowledged), labels)
}

func TestLogThatFailsDoesNotHang(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := db.Open(t.Context(), db.Options{URL: filepath.Join(t.TempDir(), "store.db")})
	must(t, err)
	t.Cleanup(func() { _ = d.Close() })
	c := clock.NewFake(time.Now())
	s := open(t, d, dir, func(d *predlog.Deps) { d.Clock = c })
	st := s.Stream(schema)
	must(t, st.Append(t.Context(), batch(1, 0)))
	// A folder in the place of the next segment's folder makes the log unwritable, for root as well.
	folder := filepath.Join(dir, "predictions")
	must(t, os.Rename(folder, folder+"-away"))
	must(t, os.RemoveAll(folder+"-away"))
	c.Advance(2 * time.Hour) // the segment ends with the hour
	for range 3 {
		if err := st.Append(t.Context(), batch(1, 1)); !errs.Is(err, errs.Unavailable) {
			t.Fatalf("got %v", err)
		}
	}
	if s.Healthy() == nil {
		t.Error("the log says that it is healthy")
	}
}

func FuzzSegment(f *testing.F) {
	f.Add([]byte("MYPLOG1\n"))
	f.Add([]byte("MYPLOG1\n\x20\x00\x00\x00aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(dir, "predictions"), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "predictions", "00000001-0000000000000001.log"), data, 0o600))
		d, err := db.Open(t.Context(), db.Options{URL: filepath.Join(dir, "store.db")})
		must(t, err)
		defer func() { _ = d.Close() }()
		s := open(t, d, dir)
		if _, _, err := s.Read(t.Context(), "", "", 100); err != nil && !errs.Is(err, errs.Internal) {
			t.Error(err)
		}
	})
}
