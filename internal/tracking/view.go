package tracking

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
)

// SavedView is a named way to look at the runs of an experiment: filter, order, columns and grouping, as the page that saved it wrote
// them. The server keeps Query as it is.
type SavedView struct {
	ID        string
	Name      string
	Query     json.RawMessage // an object
	By        string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Limits of saved views.
const (
	MaxViewName  = 100
	MaxViewQuery = 32 << 10 // bytes of JSON
	MaxViews     = 200      // of one experiment
)

// ViewEdit is what a view is made of or changed to; nil leaves a field as it is.
type ViewEdit struct {
	Name  *string
	Query json.RawMessage
}

func (ed ViewEdit) validate() error {
	var c errs.Collector
	if ed.Name != nil {
		if *ed.Name == "" {
			c.Add("name", "expected a name")
		}
		checkText(&c, "name", *ed.Name, MaxViewName)
	}
	if ed.Query != nil {
		var object map[string]json.RawMessage
		switch {
		case len(ed.Query) > MaxViewQuery:
			c.Add("query", "expected at most %d bytes, got %d", MaxViewQuery, len(ed.Query))
		case json.Unmarshal(ed.Query, &object) != nil || object == nil:
			c.Add("query", "expected a JSON object")
		default:
			checkText(&c, "query", string(ed.Query), MaxViewQuery)
		}
	}
	return c.Err("tracking.view", "the view is not valid")
}

// Views lists the saved views of an experiment by name. Kinds: NotFound.
func (s *Service) Views(ctx context.Context, eid string) ([]SavedView, error) {
	e, err := s.Experiment(ctx, eid)
	if err != nil {
		return nil, err
	}
	return s.st.views(ctx, e.num)
}

// SaveView keeps a new view of an active experiment. Kinds: Invalid, NotFound, Conflict (name taken), Exhausted (MaxViews).
func (s *Service) SaveView(ctx context.Context, eid, name string, query json.RawMessage) (SavedView, error) {
	if query == nil {
		query = json.RawMessage("{}")
	}
	if err := (ViewEdit{Name: &name, Query: query}).validate(); err != nil {
		return SavedView{}, err
	}
	now := s.now()
	v := SavedView{ID: id.New(), Name: name, Query: query, By: actor.From(ctx).ID, CreatedAt: now, UpdatedAt: now}
	err := s.onExperiment(ctx, eid, ViewActive, func(tx *db.Tx, num int64) error {
		if err := s.st.insertView(tx, num, v); err != nil {
			return err
		}
		return s.tellView(ctx, tx, EventViewSaved, num, v.ID, v.Name)
	})
	return v, err
}

// EditView renames a view or gives it another query. Kinds: Invalid, NotFound, Conflict (name taken).
func (s *Service) EditView(ctx context.Context, eid, viewID string, ed ViewEdit) (SavedView, error) {
	if err := ed.validate(); err != nil {
		return SavedView{}, err
	}
	var v SavedView
	err := s.onExperiment(ctx, eid, ViewActive, func(tx *db.Tx, num int64) error {
		var err error
		if v, err = s.st.findView(tx, num, viewID); err != nil {
			return err
		}
		if ed.Name != nil {
			v.Name = *ed.Name
		}
		if ed.Query != nil {
			v.Query = ed.Query
		}
		v.UpdatedAt = s.now()
		if err := s.st.updateView(tx, num, v); err != nil {
			return err
		}
		return s.tellView(ctx, tx, EventViewSaved, num, v.ID, v.Name)
	})
	return v, err
}

// DeleteView forgets a view; saving it again brings it back. Kinds: NotFound.
func (s *Service) DeleteView(ctx context.Context, eid, viewID string) error {
	return s.onExperiment(ctx, eid, ViewAll, func(tx *db.Tx, num int64) error {
		v, err := s.st.findView(tx, num, viewID)
		if err != nil {
			return err
		}
		if err := s.st.deleteView(tx, num, viewID); err != nil {
			return err
		}
		return s.tellView(ctx, tx, EventViewDeleted, num, v.ID, v.Name)
	})
}

func (s *Service) tellView(ctx context.Context, tx *db.Tx, typ string, num int64, viewID, name string) error {
	eid := strconv.FormatInt(num, 10)
	return s.d.Events.Append(ctx, tx, typ, events.Resource{Kind: "experiment", ID: eid}, viewChanged{eid, viewID, name})
}
