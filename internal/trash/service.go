package trash

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/platform/page"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// Users says who needs things that may be in the trash: "run:<id>" -> "model version bike/3".
type Users map[string][]string

// Deps of a Service.
type Deps struct {
	DB      *db.DB
	Events  *events.Log
	Jobs    *jobs.Queue
	Files   *blob.Files
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer

	Sources []discard.Source
	Users   func(ctx context.Context) (Users, error) // may be nil
	// UndoPeriod is how long deleted things wait; 0: until somebody purges them.
	UndoPeriod time.Duration
}

// Service is the trash. Safe for concurrent use.
type Service struct {
	d       Deps
	metrics *metrics
	purging sync.Mutex
}

// New makes the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{d: d, metrics: newMetrics(d.Metrics)}
}

// Item is one thing in the trash.
type Item struct {
	ID        string     `json:"id" doc:"kind:id, as restore and purge take it"`
	Kind      string     `json:"kind"`
	Name      string     `json:"name"`
	Parent    string     `json:"parent,omitempty" doc:"what it lies in"`
	Workspace string     `json:"workspace" doc:"the one it is in; datasets are in the default one"`
	Holds     int64      `json:"holds,omitempty" doc:"things inside that go with it: runs of an experiment, versions of a model or dataset, spans of a trace"`
	DeletedAt time.Time  `json:"deleted_at"`
	DeletedBy string     `json:"deleted_by,omitempty"`
	PurgeAt   *time.Time `json:"purge_at,omitempty" doc:"when the daily purge may remove it"`
	Files     *int64     `json:"files,omitempty" doc:"absent when it holds too much to count here"`
	Bytes     *int64     `json:"bytes,omitempty" doc:"of its files; contents that others share count too"`
	UsedBy    []string   `json:"used_by,omitempty" doc:"living things that need it: a purge keeps it"`
}

// Kind is how much of a kind is in the trash.
type Kind struct {
	Kind  string `json:"kind"`
	Count int64  `json:"count"`
}

// List is one page of the trash.
type List struct {
	Items    []Item `json:"items"`
	Next     string `json:"next_page_token,omitempty"`
	Kinds    []Kind `json:"kinds" doc:"how many things of each kind there are in all"`
	UndoDays int    `json:"undo_days" doc:"0: things wait until they are purged by hand"`
}

// maxCounted bounds the files that List counts of one item.
const maxCounted = 5000

// List gives a page of deleted things, kind by kind, newest first. An empty kind means all. Where the context carries a workspace, only what
// is in it is listed, restored and purged.
func (s *Service) List(ctx context.Context, kind string, size int, token string) (List, error) {
	sources, err := s.chosen(nonEmpty(kind))
	if err != nil {
		return List{}, err
	}
	var at struct {
		Kind string       `json:"kind"`
		Mark discard.Mark `json:"mark"`
	}
	if err := page.Decode(token, &at); err != nil {
		return List{}, err
	}
	out := List{Items: []Item{}, Kinds: []Kind{}, UndoDays: int(s.d.UndoPeriod / (24 * time.Hour))}
	for _, src := range s.d.Sources {
		n, err := src.Count(ctx)
		if err != nil {
			return List{}, err
		}
		out.Kinds = append(out.Kinds, Kind{src.Kind, n})
	}
	users, err := s.users(ctx)
	if err != nil {
		return List{}, err
	}
	limit := page.Limit(size, 50, 200)
	from := max(0, slices.IndexFunc(sources, func(src discard.Source) bool { return src.Kind == at.Kind }))
	for _, src := range sources[from:] {
		after := discard.Mark{}
		if src.Kind == at.Kind {
			after = at.Mark
		}
		got, err := src.List(ctx, discard.Query{Limit: limit - len(out.Items) + 1, After: after})
		if err != nil {
			return List{}, err
		}
		for _, i := range got {
			if len(out.Items) == limit {
				out.Next = page.Encode(at)
				return out, nil
			}
			it, err := s.describe(ctx, src, i, users)
			if err != nil {
				return List{}, err
			}
			out.Items = append(out.Items, it)
			at.Kind, at.Mark = src.Kind, discard.After(i)
		}
	}
	return out, nil
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func (s *Service) users(ctx context.Context) (Users, error) {
	if s.d.Users == nil {
		return nil, nil
	}
	return s.d.Users(ctx)
}

func (s *Service) describe(ctx context.Context, src discard.Source, i discard.Item, users Users) (Item, error) {
	it := Item{ID: src.Kind + ":" + i.ID, Kind: src.Kind, Name: i.Name, Parent: i.Parent, Workspace: i.Workspace, Holds: i.Holds, DeletedAt: i.DeletedAt, UsedBy: users[src.Kind+":"+i.ID]}
	if s.d.UndoPeriod > 0 {
		at := i.DeletedAt.Add(s.d.UndoPeriod)
		it.PurgeAt = &at
	}
	it.DeletedBy = i.DeletedBy
	if it.DeletedBy == "" {
		var err error
		if it.DeletedBy, err = s.deletedBy(ctx, src, i); err != nil {
			return Item{}, err
		}
	}
	var files, bytes int64
	err := src.Contents(ctx, i.ID, func(cs []blob.Content) error {
		for _, c := range cs {
			files, bytes = files+1, bytes+c.Size
		}
		if files > maxCounted {
			return errTooMany
		}
		return nil
	})
	switch {
	case err == nil:
		it.Files, it.Bytes = &files, &bytes
	case !errors.Is(err, errTooMany):
		return Item{}, err
	}
	return it, nil
}

// deletedBy reads who deleted a thing from the newest event of its deletion.
func (s *Service) deletedBy(ctx context.Context, src discard.Source, i discard.Item) (string, error) {
	es, err := s.d.Events.List(ctx, events.Filter{TypePrefix: src.Event + ".deleted", Resource: events.Resource{Kind: src.Noun, ID: i.Resource}, Limit: 1})
	if err != nil || len(es) == 0 {
		return "", err
	}
	return es[0].Actor.String(), nil
}

var errTooMany = errors.New("too many files to count")

// chosen gives the sources of some kinds, all for none.
func (s *Service) chosen(kinds []string) ([]discard.Source, error) {
	if len(kinds) == 0 {
		return s.d.Sources, nil
	}
	var out []discard.Source
	for _, k := range kinds {
		i := slices.IndexFunc(s.d.Sources, func(src discard.Source) bool { return src.Kind == k })
		if i < 0 {
			return nil, errs.Invalidf("trash.kind", "%.40q is no kind of thing in the trash", k).WithField("kind", "expected one of %s", strings.Join(s.kinds(), ", "))
		}
		out = append(out, s.d.Sources[i])
	}
	return out, nil
}

func (s *Service) kinds() []string {
	out := make([]string, len(s.d.Sources))
	for i, src := range s.d.Sources {
		out[i] = src.Kind
	}
	return out
}

// byKind sorts ids ("run:abc") by their kind.
func (s *Service) byKind(ids []string) (map[string][]string, error) {
	if len(ids) > discard.MaxIDs {
		return nil, errs.Invalidf("trash.ids", "there are %d ids", len(ids)).WithField("ids", "expected at most %d", discard.MaxIDs)
	}
	out := map[string][]string{}
	for i, id := range ids {
		kind, rest, ok := strings.Cut(id, ":")
		if !ok || rest == "" || len(id) > 1000 {
			return nil, errs.Invalidf("trash.ids", "%.60q is no id of the trash", id).WithField(fmt.Sprintf("ids[%d]", i), "expected kind:id, as the list gives it, such as run:0123...")
		}
		if _, err := s.chosen([]string{kind}); err != nil {
			return nil, err
		}
		out[kind] = append(out[kind], rest)
	}
	return out, nil
}

// Restore brings things back. It goes on over what fails and gives the first error, naming all that failed.
func (s *Service) Restore(ctx context.Context, ids []string) (restored int, err error) {
	if _, err := s.byKind(ids); err != nil {
		return 0, err
	}
	var first error
	var failed []errs.Field
	for i, id := range ids {
		kind, rest, _ := strings.Cut(id, ":")
		src, err := s.chosen([]string{kind})
		if err == nil {
			err = s.restore(ctx, src[0], rest)
		}
		if err != nil {
			if first == nil {
				first = err
			}
			failed = append(failed, errs.Field{Name: fmt.Sprintf("ids[%d]", i), Message: err.Error()})
			continue
		}
		restored++
	}
	if first == nil {
		return restored, nil
	}
	if len(ids) == 1 {
		return 0, first
	}
	e := errs.E(errs.KindOf(first), "trash.restore", fmt.Sprintf("%d of %d things could not be restored, the others were", len(failed), len(ids)), nil)
	e.Fields = failed[:min(len(failed), 20)]
	return restored, e
}

func (s *Service) restore(ctx context.Context, src discard.Source, id string) error {
	if mine, ok := space.From(ctx); ok {
		there, err := src.List(ctx, discard.Query{IDs: []string{id}, Limit: 1})
		if err != nil {
			return err
		}
		if len(there) == 0 {
			return errs.NotFoundf("trash.restore", "there is no %s %.100q in the trash of the workspace %s", strings.ReplaceAll(src.Kind, "_", " "), id, mine).
				WithHint("list what is there with: modelyard trash list --workspace %s", mine)
		}
	}
	return src.Restore(ctx, id)
}
