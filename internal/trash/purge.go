package trash

import (
	"context"
	"slices"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// Purge says what is to go.
type Purge struct {
	Kinds  []string      // none: all
	IDs    []string      // kind:id; only these, when not empty
	Before time.Time     // deleted before
	DryRun bool          // count, change nothing
	Budget time.Duration // stop taking up things after this long; 0: never
}

// Outcome is what a purge removed, or would remove.
type Outcome struct {
	DryRun bool       `json:"dry_run"`
	Kinds  []KindGone `json:"kinds"`
	Count  int64      `json:"count"`
	Files  int64      `json:"files"`
	Bytes  int64      `json:"bytes" doc:"of the files that lost their name"`
	Freed  int64      `json:"freed_bytes" doc:"what becomes free on disk: contents that nothing else refers to"`
	Items  []Gone     `json:"items" doc:"the first 200 of what goes"`
	Kept   []Kept     `json:"kept" doc:"the first 200 of what stays, and why"`
	More   bool       `json:"more" doc:"time ran out: call again"`
}

// KindGone is how much of one kind goes.
type KindGone struct {
	Kind  string `json:"kind"`
	Count int64  `json:"count"`
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
}

// Gone is one thing that goes.
type Gone struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Name      string    `json:"name"`
	Parent    string    `json:"parent,omitempty"`
	DeletedAt time.Time `json:"deleted_at"`
	Files     int64     `json:"files"`
	Bytes     int64     `json:"bytes"`
}

// Kept is one thing that stays.
type Kept struct {
	ID     string   `json:"id"`
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	UsedBy []string `json:"used_by,omitempty"`
	Error  string   `json:"error,omitempty"`
}

const maxListed = 200

// Purge removes things for good, one commit at a time (small ones some hundred in a commit), and then the contents that nothing else refers to. Kinds: Invalid, NotFound (an
// id that is not in the trash), Conflict (another purge runs).
func (s *Service) Purge(ctx context.Context, p Purge) (Outcome, error) {
	if !p.DryRun {
		if !s.purging.TryLock() {
			return Outcome{}, errs.E(errs.Conflict, "trash.purge", "another purge is running", nil).WithHint("wait for its end; modelyard trash list shows what is left")
		}
		defer s.purging.Unlock()
	}
	sources, err := s.chosen(p.Kinds)
	if err != nil {
		return Outcome{}, err
	}
	ids, err := s.byKind(p.IDs)
	if err != nil {
		return Outcome{}, err
	}
	users, err := s.users(ctx)
	if err != nil {
		return Outcome{}, err
	}
	r := &round{s: s, p: p, users: users, out: Outcome{DryRun: p.DryRun, Kinds: []KindGone{}, Items: []Gone{}, Kept: []Kept{}}, names: map[blob.Digest]named{}, began: s.d.Clock.Now()}
	for _, src := range sources {
		if len(p.IDs) > 0 && len(ids[src.Kind]) == 0 {
			continue
		}
		if err := r.source(ctx, src, ids[src.Kind]); err != nil || r.out.More {
			return r.finish(ctx, err)
		}
	}
	return r.finish(ctx, nil)
}

// round is one purge at work.
type round struct {
	s     *Service
	p     Purge
	users Users
	out   Outcome
	names map[blob.Digest]named // of a dry run: what would lose its name
	began time.Time
	found int
}

type named struct{ names, size int64 }

const listBatch = 500

func (r *round) source(ctx context.Context, src discard.Source, ids []string) error {
	r.out.Kinds = append(r.out.Kinds, KindGone{Kind: src.Kind})
	q := discard.Query{IDs: ids, Before: r.p.Before, Limit: listBatch}
	for {
		items, err := src.List(ctx, q)
		if err != nil {
			return err
		}
		step := 1
		if src.PurgeMany != nil && !r.p.DryRun {
			step = discard.MaxPurge
		}
		for part := range slices.Chunk(items, step) {
			if r.p.Budget > 0 && r.s.d.Clock.Now().Sub(r.began) > r.p.Budget {
				r.out.More = true
				return nil
			}
			if step > 1 {
				err = r.many(ctx, src, part)
			} else {
				err = r.item(ctx, src, part[0])
			}
			if err != nil {
				return err
			}
		}
		r.found += len(items)
		if len(items) < listBatch {
			return nil
		}
		q.After = discard.After(items[len(items)-1])
	}
}

func (r *round) keep(k Kept) {
	if len(r.out.Kept) < maxListed {
		r.out.Kept = append(r.out.Kept, k)
	}
}

// used keeps an item that something living needs.
func (r *round) used(src discard.Source, i discard.Item) bool {
	id := src.Kind + ":" + i.ID
	users := r.users[id]
	if len(users) > 0 {
		r.keep(Kept{ID: id, Kind: src.Kind, Name: i.Name, UsedBy: users})
	}
	return len(users) > 0
}

// collect removes what nothing refers to of contents that have lost a name.
func (r *round) collect(ctx context.Context, cs []blob.Content) error {
	swept, err := r.s.d.Files.Collect(ctx, cs)
	r.out.Freed += swept.Bytes
	r.s.metrics.freed.Add(float64(swept.Bytes))
	return err
}

// many removes some items in one commit. What a kill leaves is taken up by the next purge, and contents by the next sweep.
func (r *round) many(ctx context.Context, src discard.Source, items []discard.Item) error {
	items = slices.DeleteFunc(slices.Clone(items), func(i discard.Item) bool { return r.used(src, i) })
	if len(items) == 0 {
		return nil
	}
	ids := make([]string, len(items))
	for i := range items {
		ids[i] = items[i].ID
	}
	gone, err := src.PurgeMany(ctx, ids)
	if err != nil {
		return err
	}
	var loose []blob.Content
	for _, i := range items {
		cs, ok := gone[i.ID]
		if !ok { // restored or purged meanwhile
			r.keep(Kept{ID: src.Kind + ":" + i.ID, Kind: src.Kind, Name: i.Name, Error: "it is not in the trash any more"})
			continue
		}
		g := goneItem(src, i)
		g.take(cs)
		r.went(src, g)
		loose = append(loose, cs...)
	}
	return r.collect(ctx, loose)
}

func goneItem(src discard.Source, i discard.Item) Gone {
	return Gone{ID: src.Kind + ":" + i.ID, Kind: src.Kind, Name: i.Name, Parent: i.Parent, DeletedAt: i.DeletedAt}
}

func (g *Gone) take(cs []blob.Content) {
	g.Files += int64(len(cs))
	for _, c := range cs {
		g.Bytes += c.Size
	}
}

// went counts a thing that is gone, or would be.
func (r *round) went(src discard.Source, g Gone) {
	k := &r.out.Kinds[len(r.out.Kinds)-1]
	k.Count, k.Files, k.Bytes = k.Count+1, k.Files+g.Files, k.Bytes+g.Bytes
	r.out.Count, r.out.Files, r.out.Bytes = r.out.Count+1, r.out.Files+g.Files, r.out.Bytes+g.Bytes
	if len(r.out.Items) < maxListed {
		r.out.Items = append(r.out.Items, g)
	}
	if !r.p.DryRun {
		r.s.metrics.purged.WithLabelValues(src.Kind).Inc()
	}
}

func (r *round) item(ctx context.Context, src discard.Source, i discard.Item) error {
	if r.used(src, i) {
		return nil
	}
	g := goneItem(src, i)
	var err error
	if r.p.DryRun {
		err = src.Contents(ctx, i.ID, func(cs []blob.Content) error {
			g.take(cs)
			for _, c := range cs {
				n := r.names[c.Digest]
				r.names[c.Digest] = named{n.names + 1, c.Size}
			}
			return nil
		})
	} else {
		err = src.Purge(ctx, i.ID, func(cs []blob.Content) error {
			g.take(cs)
			return r.collect(ctx, cs)
		})
	}
	switch errs.KindOf(err) {
	case errs.Precondition, errs.NotFound: // restored, purged or put to use meanwhile
		if err != nil {
			r.keep(Kept{ID: g.ID, Kind: src.Kind, Name: i.Name, Error: err.Error()})
			return nil
		}
	}
	if err != nil {
		return err
	}
	r.went(src, g)
	return nil
}

// finish counts what becomes free, and tells of a purge that removed something, even one that broke off.
func (r *round) finish(ctx context.Context, err error) (Outcome, error) {
	r.out.Kinds = slices.DeleteFunc(r.out.Kinds, func(k KindGone) bool { return k.Count == 0 })
	if err == nil && len(r.p.IDs) > 0 && r.found == 0 {
		err = errs.NotFoundf("trash.purge", "none of these things is in the trash").WithHint("list it with: modelyard trash list")
	}
	if r.p.DryRun {
		if err == nil {
			r.out.Freed, err = r.s.wouldFree(ctx, r.names)
		}
		return r.out, err
	}
	if r.out.Count == 0 {
		return r.out, err
	}
	terr := r.s.tell(ctx, "trash.purge.done", map[string]any{"kinds": r.out.Kinds, "count": r.out.Count, "files": r.out.Files, "bytes": r.out.Bytes, "freed_bytes": r.out.Freed})
	if err == nil {
		err = terr
	}
	return r.out, err
}

// wouldFree is the size of the contents all of whose names would go.
func (s *Service) wouldFree(ctx context.Context, names map[blob.Digest]named) (bytes int64, err error) {
	all := make([]blob.Content, 0, len(names))
	for d, n := range names {
		all = append(all, blob.Content{Digest: d, Size: n.size})
	}
	refs, err := s.d.Files.References(ctx, all)
	if err != nil {
		return 0, err
	}
	for d, n := range names {
		if refs[d] <= n.names {
			bytes += n.size
		}
	}
	return bytes, nil
}

// Sweep removes contents that no name refers to: what uploads that broke off, replaced files and purges left behind.
func (s *Service) Sweep(ctx context.Context, dry bool) (blob.Swept, error) {
	swept, err := s.d.Files.Sweep(ctx, dry)
	if dry || swept.Removed == 0 {
		return swept, err
	}
	s.metrics.freed.Add(float64(swept.Bytes))
	s.metrics.swept.Add(float64(swept.Removed))
	if terr := s.tell(ctx, "trash.contents.swept", swept); err == nil {
		err = terr
	}
	return swept, err
}

func (s *Service) tell(ctx context.Context, typ string, data any) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		return s.d.Events.Append(ctx, tx, typ, events.Resource{Kind: "trash", ID: "local"}, data)
	})
}
