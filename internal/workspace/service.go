package workspace

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/space"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this domain.
func Migrations() db.Migrations { return db.Migrations{Domain: "workspace", FS: migrations} }

// The events that workspaces publish.
const (
	EventCreated = "workspace.created"
	EventUpdated = "workspace.updated"
	EventDeleted = "workspace.deleted"
)

type told struct {
	Workspace string `json:"workspace"`
	Mode      Mode   `json:"mode,omitempty"`
}

// Deps of a Service.
type Deps struct {
	DB     *db.DB
	Events *events.Log
	Clock  clock.Clock
	Log    *slog.Logger
}

// Service is the use-cases of workspaces. Safe for concurrent use.
type Service struct {
	d       Deps
	holders []Holder

	mu    sync.Mutex
	known map[string]Workspace // as committed; nil until it was read
	turn  int                  // grows with each change
}

// New makes the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{d: d}
}

// Hold tells of the domains with things in workspaces, once, before anything is deleted.
func (s *Service) Hold(hs ...Holder) { s.holders = append(s.holders, hs...) }

// Start makes the default workspace, and opens those whose deletion broke off.
func (s *Service) Start(ctx context.Context) error {
	now := s.d.Clock.Now()
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(s.forget)
		if err := reopen(tx, ""); err != nil {
			return err
		}
		return insert(tx, Workspace{Name: space.Default, CreatedAt: now, UpdatedAt: now}, true)
	})
}

func (s *Service) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = nil
	s.turn++
}

// all gives the workspaces that are open, by name.
func (s *Service) all(ctx context.Context) (map[string]Workspace, error) {
	s.mu.Lock()
	known, turn := s.known, s.turn
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	list, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	known = make(map[string]Workspace, len(list))
	for _, w := range list {
		if !w.closing {
			known[w.Name] = w
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn == turn {
		s.known = known
	}
	return known, nil
}

// List gives all workspaces, by name.
func (s *Service) List(ctx context.Context) ([]Workspace, error) {
	known, err := s.all(ctx)
	out := make([]Workspace, 0, len(known))
	for _, w := range known {
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b Workspace) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// Get finds a workspace. Kinds: Invalid (no name that one can have), NotFound.
func (s *Service) Get(ctx context.Context, name string) (Workspace, error) {
	if err := space.Check(name); err != nil {
		return Workspace{}, err
	}
	known, err := s.all(ctx)
	if err != nil {
		return Workspace{}, err
	}
	w, ok := known[name]
	if !ok {
		return w, unknown(name)
	}
	return w, nil
}

// Has returns nil when there is a workspace. Kinds: Invalid, NotFound.
func (s *Service) Has(ctx context.Context, name string) error {
	_, err := s.Get(ctx, name)
	return err
}

func resource(name string) events.Resource { return events.Resource{Kind: "workspace", ID: name} }

// Create makes a workspace. Kinds: Invalid, Conflict, Exhausted.
func (s *Service) Create(ctx context.Context, name string, ch Change) (Workspace, error) {
	if err := cmp.Or(reserved(name, "created"), space.Check(name)); err != nil {
		return Workspace{}, err
	}
	var c errs.Collector
	ch.check(&c)
	if err := c.Err("workspace.create", "the workspace cannot be made"); err != nil {
		return Workspace{}, err
	}
	now := s.d.Clock.Now()
	w := Workspace{Name: name, CreatedAt: now, UpdatedAt: now}
	ch.into(&w)
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(s.forget)
		_, err := find(tx, name)
		if err == nil {
			return errs.E(errs.Conflict, "workspace.create", "Workspace '"+name+"' already exists.", nil)
		}
		if !errs.Is(err, errs.NotFound) {
			return err
		}
		n, err := count(tx)
		if err != nil {
			return err
		}
		if n >= MaxWorkspaces {
			return errs.E(errs.Exhausted, "workspace.create", fmt.Sprintf("there are %d workspaces, no more are kept", n), nil).WithHint("delete one that is not needed")
		}
		if err := insert(tx, w, false); err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, EventCreated, resource(name), told{Workspace: name})
	})
	return w, err
}

// Update changes a workspace. Kinds: Invalid, NotFound.
func (s *Service) Update(ctx context.Context, name string, ch Change) (Workspace, error) {
	var c errs.Collector
	ch.check(&c)
	if err := cmp.Or(space.Check(name), c.Err("workspace.update", "the workspace cannot be changed")); err != nil {
		return Workspace{}, err
	}
	if ch.Description == nil && ch.ArtifactRoot == nil {
		return Workspace{}, errs.Invalidf("workspace.update", "Workspace update must have at least one key").WithField("description", "expected a description or a default_artifact_root")
	}
	var w Workspace
	err := s.d.DB.Write(ctx, func(tx *db.Tx) (err error) {
		tx.AfterCommit(s.forget)
		if w, err = find(tx, name); err != nil {
			return err
		}
		ch.into(&w)
		w.UpdatedAt = s.d.Clock.Now()
		if err := update(tx, w); err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, EventUpdated, resource(name), told{Workspace: name})
	})
	return w, err
}

// Delete removes a workspace. From the first moment on nobody works in it; when what is in it cannot be dealt with it opens again.
// Kinds: Invalid, NotFound, Precondition (what is in it stands in the way).
func (s *Service) Delete(ctx context.Context, name string, mode Mode) error {
	if err := cmp.Or(reserved(name, "deleted"), space.Check(name)); err != nil {
		return err
	}
	if !mode.Valid() {
		return errs.Invalidf("workspace.delete", "Invalid deletion mode '%.40s'. Must be one of: SET_DEFAULT, CASCADE, RESTRICT", string(mode)).WithField("mode", "expected SET_DEFAULT, CASCADE or RESTRICT")
	}
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(s.forget)
		if _, err := find(tx, name); err != nil {
			return err
		}
		return closeIt(tx, name)
	})
	if err != nil {
		return err
	}
	if err := s.empty(ctx, name, mode); err != nil {
		again := s.d.DB.Write(context.WithoutCancel(ctx), func(tx *db.Tx) error {
			tx.AfterCommit(s.forget)
			return reopen(tx, name)
		})
		if again != nil {
			s.d.Log.Error("a workspace that could not be deleted stays closed until the next start", "workspace", name, "error", again)
		}
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(s.forget)
		if err := remove(tx, name); err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, EventDeleted, resource(name), told{name, mode})
	})
}

func stands(format string, args ...any) error {
	return errs.E(errs.Precondition, "workspace.delete", fmt.Sprintf(format, args...), nil)
}

// empty sees to what is in a workspace.
func (s *Service) empty(ctx context.Context, name string, mode Mode) error {
	ctx = space.All(ctx) // whoever deletes a workspace works in another
	if mode == SetDefault {
		if err := s.refuseClash(ctx, name); err != nil {
			return err
		}
	}
	for _, h := range s.holders {
		var err error
		switch mode {
		case Restrict:
			var names []string
			if names, err = h.Names(ctx, name); err == nil && len(names) > 0 {
				err = stands("Cannot delete workspace '%s': table '%s' still contains %d resource(s). Remove or reassign them before deleting the workspace.", name, h.Noun, len(names))
			}
		case SetDefault:
			err = h.Move(ctx, name, space.Default)
		case Cascade:
			err = h.Purge(ctx, name)
		}
		if errs.Is(err, errs.Conflict) {
			err = errs.E(errs.Precondition, "workspace.delete", "Cannot delete workspace '"+name+"'", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refuseClash finds all names that are in the default workspace too, before anything is moved.
func (s *Service) refuseClash(ctx context.Context, name string) error {
	var clashes []string
	for _, h := range s.holders {
		mine, err := h.Names(ctx, name)
		if err != nil {
			return err
		}
		theirs, err := h.Names(ctx, space.Default)
		if err != nil {
			return err
		}
		for _, n := range mine {
			if _, taken := slices.BinarySearch(theirs, n); taken && len(clashes) < 20 {
				clashes = append(clashes, fmt.Sprintf("%s: '%.100s'", h.Noun, n))
			}
		}
	}
	if len(clashes) > 0 {
		return stands("Cannot reassign resources from workspace '%s' to 'default': the following names already exist in the default workspace and would cause conflicts: %s. "+
			"Rename or remove the conflicting resources before retrying.", name, strings.Join(clashes, ", "))
	}
	return nil
}
