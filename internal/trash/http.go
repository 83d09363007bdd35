package trash

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// Routes registers the native API of the trash.
func (s *Service) Routes(r *httpx.Router) {
	httpx.Get(r, "/api/v1/trash", "trash:read", "What is in the trash, kind by kind, newest first", s.listHTTP)
	httpx.Post(r, "/api/v1/trash/restore", "trash:restore", "Bring things back from the trash", s.restoreHTTP)
	httpx.Post(r, "/api/v1/trash/purge", "trash:purge", "Remove things for good, or say what would go", s.purgeHTTP)
	httpx.Post(r, "/api/v1/trash/sweep", "trash:purge", "Remove contents that nothing refers to, or say what would go", s.sweepHTTP)
}

// within puts the workspace that a caller named into the context: "" for all. Kinds: Invalid.
func within(ctx context.Context, workspace string) (context.Context, error) {
	if workspace == "" {
		return ctx, nil
	}
	if err := space.Check(workspace); err != nil {
		return ctx, err
	}
	return space.With(ctx, workspace), nil
}

type listIn struct {
	Kind      string `query:"kind" doc:"only this kind"`
	Workspace string `query:"workspace" doc:"only what is in this workspace; all of them without it"`
	PageSize  int    `query:"page_size" minimum:"0" maximum:"200"`
	PageToken string `query:"page_token"`
}

func (s *Service) listHTTP(ctx context.Context, in *listIn) (*List, error) {
	ctx, err := within(ctx, in.Workspace)
	if err != nil {
		return nil, err
	}
	out, err := s.List(ctx, in.Kind, in.PageSize, in.PageToken)
	return &out, err
}

type restoreIn struct {
	Body struct {
		IDs       []string `json:"ids" minItems:"1" maxItems:"500" doc:"kind:id, as the list gives them"`
		Workspace string   `json:"workspace,omitempty" doc:"only what is in this workspace"`
	}
}

type restored struct {
	Restored int `json:"restored"`
}

func (s *Service) restoreHTTP(ctx context.Context, in *restoreIn) (*restored, error) {
	ctx, err := within(ctx, in.Body.Workspace)
	if err != nil {
		return nil, err
	}
	n, err := s.Restore(ctx, in.Body.IDs)
	return &restored{n}, err
}

type purgeIn struct {
	Body struct {
		Kinds     []string `json:"kinds,omitempty" doc:"only these kinds"`
		IDs       []string `json:"ids,omitempty" maxItems:"500" doc:"only these things: kind:id, as the list gives them"`
		OlderThan string   `json:"older_than,omitempty" doc:"only what was deleted longer ago, such as 30d, 12h or 0s for everything; default: the undo period, or everything when ids are given"`
		Workspace string   `json:"workspace,omitempty" doc:"only what is in this workspace; all of them without it"`
		DryRun    bool     `json:"dry_run,omitempty" doc:"change nothing, say what would go"`
	}
}

// requestBudget is how long one request purges; what is left is said to be more.
const requestBudget = 30 * time.Second

func (s *Service) purgeHTTP(ctx context.Context, in *purgeIn) (*Outcome, error) {
	b := in.Body
	ctx, err := within(ctx, b.Workspace)
	if err != nil {
		return nil, err
	}
	age := s.d.UndoPeriod
	switch {
	case b.OlderThan != "":
		if age, err = ParseAge(b.OlderThan); err != nil {
			return nil, err
		}
	case len(b.IDs) > 0:
		age = 0
	case age == 0:
		return nil, errs.Invalidf("trash.purge", "it is not said what is to be purged: this server has no undo period").
			WithField("older_than", "expected an age such as 30d, or 0s for everything, or ids")
	}
	p := Purge{Kinds: b.Kinds, IDs: b.IDs, DryRun: b.DryRun, Budget: requestBudget, Before: s.d.Clock.Now().Add(time.Microsecond - age)}
	out, err := s.Purge(ctx, p)
	if err != nil {
		return nil, err
	}
	return &out, nil
}

type sweepIn struct {
	Body struct {
		DryRun bool `json:"dry_run,omitempty" doc:"change nothing, count"`
	}
}

func (s *Service) sweepHTTP(ctx context.Context, in *sweepIn) (*blob.Swept, error) {
	out, err := s.Sweep(ctx, in.Body.DryRun)
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// maxAge bounds an age, so that no date leaves the calendar.
const maxAge = 100 * 365 * 24 * time.Hour

// ParseAge reads an age: a Go duration such as 12h or 90m, or days and hours as 30d and 1d12h. It returns Invalid for anything else.
func ParseAge(text string) (time.Duration, error) {
	bad := errs.Invalidf("trash.age", "%.40q is not an age", text).WithField("older_than", "expected something like 30d, 12h or 0s")
	days, rest, ok := strings.Cut(text, "d")
	var age time.Duration
	if ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36500 {
			return 0, bad
		}
		age = time.Duration(n) * 24 * time.Hour
		text = rest
	}
	if text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > maxAge {
			return 0, bad
		}
		age += d
	} else if !ok {
		return 0, bad
	}
	return min(age, maxAge), nil
}
