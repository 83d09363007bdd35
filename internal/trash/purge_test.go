package trash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

// sheets is a domain of many small things, each the names of a root.
type sheets struct {
	files  *blob.Files
	d      *db.DB
	at     time.Time
	sizes  []int // of the commits
	breaks int   // the commit that fails; 0 for none
}

func (s *sheets) ids(ctx context.Context) ([]string, error) {
	rows, err := s.d.Query(ctx, "SELECT root FROM file WHERE root LIKE 'sheet/%' ORDER BY root DESC")
	return db.All(rows, err, db.Column[string])
}

func (s *sheets) source() discard.Source {
	return discard.Source{Kind: "sheet", Noun: "sheet", Event: "sheet",
		Count: func(ctx context.Context) (int64, error) { ids, err := s.ids(ctx); return int64(len(ids)), err },
		List: func(ctx context.Context, q discard.Query) (out []discard.Item, err error) {
			ids, err := s.ids(ctx)
			for _, id := range ids {
				if (q.After.ID == "" || id < q.After.ID) && (len(q.IDs) == 0 || slices.Contains(q.IDs, id)) && len(out) < q.Limit {
					out = append(out, discard.Item{Kind: "sheet", ID: id, Name: id, DeletedAt: s.at})
				}
			}
			return out, err
		},
		Contents: func(ctx context.Context, id string, emit discard.Emit) error {
			return discard.EmitRoot(ctx, s.files, id, emit)
		},
		PurgeMany: func(ctx context.Context, ids []string) (gone map[string][]blob.Content, err error) {
			s.sizes = append(s.sizes, len(ids))
			if len(s.sizes) == s.breaks {
				return nil, errors.New("the machine stops")
			}
			err = s.d.Write(ctx, func(tx *db.Tx) error { gone, err = s.files.DropAll(tx, ids); return err })
			delete(gone, "sheet/0003") // as if it had been restored meanwhile
			return gone, err
		}}
}

// TestManySmallThingsGoInBatches: they go some hundred in a commit, what is needed stays, and a purge that broke off is ended by the next.
func TestManySmallThingsGoInBatches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		if err := d.Migrate(ctx, jobs.Migrations(), events.Migrations(), blob.Migrations()); err != nil {
			t.Fatal(err)
		}
		store, err := blob.OpenLocal(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		ck := clock.NewFake(time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC))
		sh := &sheets{files: blob.NewFiles(d, store, ck), d: d, at: ck.Now().Add(-time.Hour)}
		const n = 1050
		for i := range 3 { // three contents, shared by all
			if _, err := sh.files.Put(ctx, fmt.Sprintf("keep/%d", i), "x", strings.NewReader(strings.Repeat("y", i+1))); err != nil {
				t.Fatal(err)
			}
		}
		err = d.Write(ctx, func(tx *db.Tx) error {
			for i := range n {
				if _, err := tx.Exec("INSERT INTO file (root, path, digest, size, created_at) SELECT CAST(? AS TEXT), path, digest, size, created_at FROM file WHERE root = ?",
					fmt.Sprintf("sheet/%04d", i), fmt.Sprintf("keep/%d", i%3)); err != nil {
					return err
				}
			}
			_, err := tx.Exec("DELETE FROM file WHERE root = 'keep/2'")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s := New(Deps{DB: d, Events: events.NewLog(events.Deps{DB: d, Jobs: jobs.NewQueue(jobs.Deps{DB: d, Clock: ck}), Clock: ck}), Files: sh.files, Clock: ck,
			Sources: []discard.Source{sh.source()}, Users: func(context.Context) (Users, error) { return Users{"sheet:sheet/0501": {"model a/1"}}, nil }})
		dry, err := s.Purge(ctx, Purge{Before: ck.Now(), DryRun: true})
		if err != nil || dry.Count != n-1 || len(sh.sizes) != 0 {
			t.Fatal(dry.Count, err)
		}
		sh.breaks = 3
		if out, err := s.Purge(ctx, Purge{Before: ck.Now()}); err == nil || out.Count != 400 {
			t.Fatal(out.Count, err)
		}
		sh.breaks = 0
		out, err := s.Purge(ctx, Purge{Before: ck.Now()})
		if err != nil || out.Count != n-400-2 || out.Freed != 3 || len(out.Kept) != 2 || out.More {
			t.Fatalf("%d gone, %d bytes freed, kept %v, %v", out.Count, out.Freed, out.Kept, err)
		}
		if slices.Max(sh.sizes) > discard.MaxPurge || len(sh.sizes) > 8 {
			t.Errorf("commits of %v", sh.sizes)
		}
		if left, err := sh.ids(ctx); err != nil || !slices.Equal(left, []string{"sheet/0501"}) {
			t.Errorf("%d are left: %v %v", len(left), left, err)
		}
		for i := range 2 {
			if b, err := sh.files.ReadFile(ctx, fmt.Sprintf("keep/%d", i), "x", 10); err != nil || len(b) != i+1 {
				t.Error(string(b), err)
			}
		}
	})
}
