// Package discard is the contract between a domain and the trash: what a domain offers so that its deleted things can be listed, brought
// back, and removed for good with the contents they had.
package discard

import (
	"context"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
)

// Item is one deleted thing.
type Item struct {
	Kind      string    // run, experiment, model...
	ID        string    // unique within its kind, stable; not always what people see
	Name      string    // what people see
	Parent    string    // what it lies in ("experiment churn"), "" for nothing
	Workspace string    // the one it is in
	Holds     int64     // things inside that go with it: the runs of an experiment, the versions of a model
	DeletedAt time.Time // when it was deleted
	DeletedBy string    // who deleted it, as events write it; "" leaves it to the event of the deletion
	Resource  string    // the id that its events carry
}

// Query chooses deleted things, newest deletion first.
type Query struct {
	IDs    []string  // only these, when not empty; at most MaxIDs
	Before time.Time // deleted before, when not zero
	Limit  int       // 1 to 1000
	After  Mark      // behind this one
}

// MaxIDs bounds the ids in one query.
const MaxIDs = 500

// Mark is a place in a list: the last thing that was given.
type Mark struct {
	At int64  `json:"at,omitempty"` // its deletion, µs
	ID string `json:"id,omitempty"`
}

// After is the mark of an item.
func After(i Item) Mark { return Mark{i.DeletedAt.UnixMicro(), i.ID} }

// Emit takes contents whose names are gone, after each commit.
type Emit func([]blob.Content) error

// EmitRoot tells of the files below a root.
func EmitRoot(ctx context.Context, files *blob.Files, root string, emit Emit) error {
	all, err := files.Contents(ctx, root)
	if err != nil || len(all) == 0 {
		return err
	}
	return emit(all)
}

// Source gives the trash one kind of thing. All functions are safe for concurrent use. Count and List keep to the workspace of the context,
// when it carries one (platform/space); the trash asks List before it restores or purges there.
type Source struct {
	Kind  string
	Event string // prefix of its events: "tracking.run" for tracking.run.deleted, .restored and .purged
	// Noun is the kind of the resource that those events are about.
	Noun  string
	Count func(ctx context.Context) (int64, error)
	// List gives at most q.Limit items.
	List func(ctx context.Context, q Query) ([]Item, error)
	// Contents tells of the files that would go with an item, one entry a name.
	Contents func(ctx context.Context, id string, emit Emit) error
	// Restore brings an item back. Kinds: NotFound, Precondition (a purge has begun), Conflict (its name is taken).
	Restore func(ctx context.Context, id string) error
	// Purge removes an item for good: rows, names of files, and its event. Precondition when it was restored meanwhile. A large item goes
	// in several commits, from the first of which on it cannot be restored; a purge that was broken off is ended by the next.
	Purge func(ctx context.Context, id string, emit Emit) error
	// PurgeMany, where things are small and many, removes up to MaxPurge items in one commit and gives those that it removed, each with the
	// contents that lost their names; those that are not in the trash any more are left out. nil: they go one by one.
	PurgeMany func(ctx context.Context, ids []string) (map[string][]blob.Content, error)
}

// MaxPurge bounds the items of one PurgeMany: one transaction, short enough not to hold writers up.
const MaxPurge = 200
