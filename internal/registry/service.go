package registry

import (
	"context"
	"embed"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/page"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "registry", FS: migrations} }

// Source is where the files of a model lie, found from a URI such as runs:/<id>/model.
type Source struct {
	FilesRoot     string
	FilesDir      string
	RunID         string
	LoggedModelID string
	Metrics       map[string]float64
}

// Deps of a Service.
type Deps struct {
	DB      *db.DB
	Events  *events.Log
	Files   *blob.Files
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer // may be nil
	// ResolveSource finds the files behind a URI for versions made through the native API; the application knows how. NotFound or
	// Invalid when there are none.
	ResolveSource func(ctx context.Context, uri string) (Source, error)
	// Workspace returns nil when there is such a workspace, else NotFound; nil when nobody knows.
	Workspace func(ctx context.Context, name string) error
}

// Service is the model registry. Errors are of kind Invalid, NotFound, Conflict or Precondition unless the store itself fails.
type Service struct {
	d       Deps
	metrics *metrics
}

// New makes the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{d: d, metrics: newMetrics(d.Metrics)}
}

// CreateModel registers a model. Conflict when a model of that name, or one that differs only in case, exists.
func (s *Service) CreateModel(ctx context.Context, n NewModel) (Model, error) {
	name, err := CheckName(n.Name)
	if err != nil {
		return Model{}, err
	}
	var c errs.Collector
	checkText(&c, "description", n.Description, MaxDescription)
	checkTags(&c, n.Tags)
	if err := c.Err("registry.create_model", "the model cannot be registered"); err != nil {
		return Model{}, err
	}
	if err := s.hasWorkspace(ctx, name); err != nil {
		return Model{}, err
	}
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, err := s.insertModel(tx, name, n.Description)
		if err != nil {
			return err
		}
		for k, v := range n.Tags {
			if err := putTag(tx, m.id, 0, k, v); err != nil {
				return err
			}
		}
		if err := s.note(ctx, tx, m.id, HistoryEntry{What: "model_created"}); err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, "registry.model.created", events.Resource{Kind: "model", ID: name}, map[string]any{"model": name})
	})
	if err != nil {
		return Model{}, err
	}
	s.metrics.models.Inc()
	return s.GetModel(ctx, name)
}

// GetModel finds a model by name.
func (s *Service) GetModel(ctx context.Context, name string) (Model, error) {
	m, err := s.findModel(ctx, name)
	if err != nil {
		return Model{}, err
	}
	models := []Model{m}
	err = s.fillModels(ctx, models)
	return models[0], err
}

// ListModels gives one page of models and the token of the next page ("" at the end).
func (s *Service) ListModels(ctx context.Context, q Query) ([]Model, string, error) {
	models, next, err := s.queryModels(ctx, q)
	if err != nil {
		return nil, "", err
	}
	return models, next, s.fillModels(ctx, models)
}

// UpdateModel changes the description, the tags or the name.
func (s *Service) UpdateModel(ctx context.Context, name string, ch ModelChange) (Model, error) {
	var c errs.Collector
	if ch.Description != nil {
		checkText(&c, "description", *ch.Description, MaxDescription)
	}
	checkTagChange(&c, ch.Tags)
	if err := c.Err("registry.update_model", "the model cannot be changed"); err != nil {
		return Model{}, err
	}
	newName := name
	if ch.Name != nil {
		var err error
		if newName, err = CheckName(*ch.Name); err == nil {
			err = s.hasWorkspace(ctx, newName)
		}
		if err != nil {
			return Model{}, err
		}
	}
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, err := modelByName(tx, name)
		if err != nil {
			return err
		}
		if newName != m.Name {
			if err := s.rename(ctx, tx, m, newName); err != nil {
				return err
			}
		}
		if ch.Description != nil {
			if _, err := tx.Exec("UPDATE registry_model SET description = ? WHERE id = ?", *ch.Description, m.id); err != nil {
				return err
			}
		}
		if err := changeTags(tx, m.id, 0, ch.Tags); err != nil {
			return err
		}
		m.Name = newName
		if err := s.tellTags(ctx, tx, m, "", ch.Tags); err != nil {
			return err
		}
		return s.touch(tx, m.id, 0)
	})
	if err != nil {
		return Model{}, err
	}
	return s.GetModel(ctx, newName)
}

// RenameModel renames a model; refused with Precondition while an endpoint serves one of its versions.
func (s *Service) RenameModel(ctx context.Context, name, newName string) (Model, error) {
	return s.UpdateModel(ctx, name, ModelChange{Name: &newName})
}

// rename runs inside the transaction of the change.
func (s *Service) rename(ctx context.Context, tx *db.Tx, m Model, newName string) error {
	if err := refuseServed(tx, m.Name, 0, "renamed"); err != nil {
		return err
	}
	if err := renameModel(tx, m, newName); err != nil {
		return err
	}
	if err := s.note(ctx, tx, m.id, HistoryEntry{What: "model_renamed", Previous: m.Name}); err != nil {
		return err
	}
	return s.d.Events.Append(ctx, tx, "registry.model.renamed", events.Resource{Kind: "model", ID: newName},
		map[string]any{"model": newName, "previous": m.Name})
}

// DeleteModel deletes a model with its versions; refused with Precondition while an endpoint serves one of them.
func (s *Service) DeleteModel(ctx context.Context, name string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, err := modelByName(tx, name)
		if err != nil {
			return err
		}
		if err := refuseServed(tx, m.Name, 0, "deleted"); err != nil {
			return err
		}
		if err := s.deleteModel(tx, m); err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, "registry.model.deleted", events.Resource{Kind: "model", ID: m.Name}, map[string]any{"model": m.Name})
	})
}

// SetModelTag sets a tag of a model.
func (s *Service) SetModelTag(ctx context.Context, name, key, value string) error {
	_, err := s.UpdateModel(ctx, name, ModelChange{Tags: map[string]*string{key: &value}})
	return err
}

// DeleteModelTag removes a tag of a model; a tag that is not there is no error.
func (s *Service) DeleteModelTag(ctx context.Context, name, key string) error {
	_, err := s.UpdateModel(ctx, name, ModelChange{Tags: map[string]*string{key: nil}})
	return err
}

// tellTags tells of the tags that were changed; version "" means those of the model itself.
func (s *Service) tellTags(ctx context.Context, tx *db.Tx, m Model, version string, tags map[string]*string) error {
	about := events.Resource{Kind: "model", ID: m.Name}
	if version != "" {
		about = events.Resource{Kind: "version", ID: m.Name + "/" + version}
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		what, data := "registry.tag.deleted", map[string]any{"model": m.Name, "version": version, "key": k}
		if v := tags[k]; v != nil {
			what, data["value"] = "registry.tag.set", *v
		}
		if err := s.d.Events.Append(ctx, tx, what, about, data); err != nil {
			return err
		}
	}
	return nil
}

// SetAlias points an alias of a model at a version, and records who did it and why. Setting what is set already changes nothing.
func (s *Service) SetAlias(ctx context.Context, model, alias, version, reason string) error {
	if err := CheckAlias(alias); err != nil {
		return err
	}
	var c errs.Collector
	checkText(&c, "reason", reason, MaxReason)
	if err := c.Err("registry.set_alias", "the alias cannot be set"); err != nil {
		return err
	}
	number, err := parseNumber(version)
	if err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, err := modelByName(tx, model)
		if err != nil {
			return err
		}
		if err := hasVersion(tx, m, number); err != nil {
			return err
		}
		previous, err := putAlias(tx, m, alias, number)
		if err != nil || previous == version {
			return err
		}
		return s.tellAlias(ctx, tx, m, "set", HistoryEntry{Alias: alias, Version: version, Previous: previous, Reason: reason})
	})
}

// DeleteAlias removes an alias of a model. NotFound when there is no such alias.
func (s *Service) DeleteAlias(ctx context.Context, model, alias, reason string) error {
	var c errs.Collector
	checkText(&c, "reason", reason, MaxReason)
	if err := c.Err("registry.delete_alias", "the alias cannot be removed"); err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, err := modelByName(tx, model)
		if err != nil {
			return err
		}
		version, err := dropAlias(tx, m, alias)
		if err != nil {
			return err
		}
		return s.tellAlias(ctx, tx, m, "deleted", HistoryEntry{Alias: alias, Version: version, Previous: version, Reason: reason})
	})
}

func (s *Service) tellAlias(ctx context.Context, tx *db.Tx, m Model, what string, h HistoryEntry) error {
	h.What = "alias_" + what
	if err := s.note(ctx, tx, m.id, h); err != nil {
		return err
	}
	if err := s.touch(tx, m.id, 0); err != nil {
		return err
	}
	data := map[string]any{"model": m.Name, "alias": h.Alias, "version": h.Version}
	if what == "set" {
		data["previous"], data["reason"] = h.Previous, h.Reason
	}
	return s.d.Events.Append(ctx, tx, "registry.alias."+what, events.Resource{Kind: "version", ID: m.Name + "/" + h.Version}, data)
}

// ByAlias finds the version an alias points at. "latest" is the newest version.
func (s *Service) ByAlias(ctx context.Context, model, alias string) (Version, error) {
	m, err := s.findModel(ctx, model)
	if err != nil {
		return Version{}, err
	}
	if strings.EqualFold(alias, "latest") {
		return s.latest(ctx, m)
	}
	number, err := s.aliasTarget(ctx, m, alias)
	if err != nil {
		return Version{}, err
	}
	return s.oneVersion(ctx, m, number)
}

// Resolve finds the version that a URI means: models:/name/3, models:/name@alias, models:/name/latest or models:/name/<stage>.
func (s *Service) Resolve(ctx context.Context, uri string) (Version, error) {
	model, ref, byAlias, err := ParseURI(uri)
	switch {
	case err != nil:
		return Version{}, err
	case byAlias:
		return s.ByAlias(ctx, model, ref)
	case strings.EqualFold(ref, "latest"):
		return s.ByAlias(ctx, model, ref)
	}
	for _, stage := range []Stage{StageNone, StageStaging, StageProduction, StageArchived} {
		if strings.EqualFold(ref, string(stage)) {
			vs, err := s.LatestVersions(ctx, model, []Stage{stage})
			if err == nil && len(vs) == 0 {
				err = errs.NotFoundf("registry.resolve", "model %q has no version in stage %s", model, stage)
			}
			if err != nil {
				return Version{}, err
			}
			return vs[0], nil
		}
	}
	return s.GetVersion(ctx, model, ref)
}

// ParseURI takes models:/name/ref or models:/name@alias apart.
func ParseURI(uri string) (model, ref string, byAlias bool, err error) {
	bad := errs.Invalidf("registry.uri", "%.300q is not the URI of a model version", uri).
		WithField("model_uri", "expected models:/<name>/<version> or models:/<name>@<alias>")
	rest, ok := strings.CutPrefix(uri, "models:/")
	if !ok || strings.HasPrefix(rest, "/") {
		return "", "", false, bad
	}
	if name, v, ok := strings.Cut(rest, "/"); ok {
		if name == "" || v == "" || strings.ContainsAny(v, "/@") {
			return "", "", false, bad
		}
		return name, v, false, nil
	}
	name, alias, ok := strings.Cut(rest, "@")
	if !ok || name == "" || alias == "" {
		return "", "", false, bad
	}
	return name, alias, true, nil
}

// History gives what happened to a model, newest first, and the token of the next page.
func (s *Service) History(ctx context.Context, model string, limit int, token string) ([]HistoryEntry, string, error) {
	m, err := s.findModel(ctx, model)
	if err != nil {
		return nil, "", err
	}
	var cursor struct{ ID string }
	if err := page.Decode(token, &cursor); err != nil {
		return nil, "", err
	}
	return s.queryHistory(ctx, m.id, page.Limit(limit, 100, 1000), cursor.ID)
}

// ListFiles lists one folder of a version's files.
func (s *Service) ListFiles(ctx context.Context, model, version, dir string) ([]blob.File, error) {
	v, err := s.GetVersion(ctx, model, version)
	if err != nil {
		return nil, err
	}
	return s.d.Files.List(ctx, v.FilesRoot(), dir)
}

// OpenFile reads one file of a version.
func (s *Service) OpenFile(ctx context.Context, model, version, path string) (io.ReadSeekCloser, blob.File, error) {
	v, err := s.GetVersion(ctx, model, version)
	if err != nil {
		return nil, blob.File{}, err
	}
	return s.d.Files.Open(ctx, v.FilesRoot(), path)
}

// Materialize writes the files of a version below a new folder, verified.
func (s *Service) Materialize(ctx context.Context, v Version, dir string) error {
	if v.modelID == "" {
		return errs.Invalidf("registry.materialize", "the version was not read from the registry")
	}
	return s.d.Files.Materialize(ctx, v.FilesRoot(), dir)
}

func checkTagChange(c *errs.Collector, tags map[string]*string) {
	if len(tags) > MaxTags {
		c.Add("tags", "expected at most %d tags, there are %d", MaxTags, len(tags))
	}
	for k, v := range tags {
		if v == nil {
			v = new(string)
		}
		checkTag(c, k, *v)
	}
}

// who is how the actor is written beside a change.
func who(ctx context.Context) string { return actor.From(ctx).ID }
