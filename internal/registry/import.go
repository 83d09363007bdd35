package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// ImportedModel is a registered model of another store. Times are milliseconds since 1970 UTC.
type ImportedModel struct {
	Name         string            `json:"name"`
	Description  string            `json:"description,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	Aliases      map[string]string `json:"aliases,omitempty" doc:"alias -> version; the versions must be here already"`
	CreatedMs    int64             `json:"created_ms"`
	UpdatedMs    int64             `json:"updated_ms,omitempty"`
	IntoExisting bool              `json:"into_existing,omitempty" doc:"use the model of that name when there is one"`
}

// ImportedVersion is a version of such a model.
type ImportedVersion struct {
	Model         string            `json:"-"`
	Version       string            `json:"version"`
	Source        string            `json:"source,omitempty" doc:"where the other store says the files are"`
	Files         string            `json:"files,omitempty" doc:"where they are here: models:/m-<id> or runs:/<run>/<path>; empty for prompts"`
	RunID         string            `json:"run_id,omitempty"`
	LoggedModelID string            `json:"model_id,omitempty"`
	RunLink       string            `json:"run_link,omitempty"`
	Description   string            `json:"description,omitempty"`
	Tags          map[string]string `json:"tags,omitempty"`
	Stage         Stage             `json:"stage,omitempty"`
	Status        Status            `json:"status,omitempty"`
	StatusMessage string            `json:"status_message,omitempty"`
	CreatedMs     int64             `json:"created_ms"`
	UpdatedMs     int64             `json:"updated_ms,omitempty"`
	CreatedBy     string            `json:"created_by,omitempty"`
}

// Outcome says what an import did with one thing: created, updated or unchanged.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
)

// maxMillis bounds times to the year 9999.
const maxMillis = 253_402_300_799_999

func checkMillis(c *errs.Collector, field string, ms int64) {
	if ms < 0 || ms > maxMillis {
		c.Add(field, "expected milliseconds since 1970, got %d", ms)
	}
}

// ImportModel registers a model of another store with its times, or brings the one that is here up to date: description, tags and
// aliases of the source win, what was added here stays. Conflict when a model of that name was made at another time, unless IntoExisting.
func (s *Service) ImportModel(ctx context.Context, n ImportedModel) (Model, Outcome, error) {
	name, err := CheckName(n.Name)
	if err == nil {
		err = s.hasWorkspace(ctx, name)
	}
	if err != nil {
		return Model{}, "", err
	}
	var c errs.Collector
	checkText(&c, "description", n.Description, MaxDescription)
	checkTags(&c, n.Tags)
	checkMillis(&c, "created_ms", n.CreatedMs)
	checkMillis(&c, "updated_ms", n.UpdatedMs)
	for a, v := range n.Aliases {
		if err := CheckAlias(a); err != nil {
			return Model{}, "", err
		}
		if _, err := parseNumber(v); err != nil {
			return Model{}, "", err
		}
	}
	if err := c.Err("registry.import", "the model cannot be imported"); err != nil {
		return Model{}, "", err
	}
	out := Unchanged
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, o, err := s.importHead(ctx, tx, n, name)
		if err != nil {
			return err
		}
		changed, err := s.importAliases(ctx, tx, m, n.Aliases)
		if err != nil {
			return err
		}
		if out = o; changed && out == Unchanged {
			out = Updated
		}
		if out == Unchanged {
			return nil
		}
		return setTimes(tx, m.id, 0, n.CreatedMs, n.UpdatedMs)
	})
	if err != nil {
		return Model{}, "", err
	}
	m, err := s.GetModel(ctx, name)
	return m, out, err
}

func (s *Service) importHead(ctx context.Context, tx *db.Tx, n ImportedModel, name string) (Model, Outcome, error) {
	m, err := modelByName(tx, name)
	out := Unchanged
	switch {
	case errs.Is(err, errs.NotFound):
		out = Created
		if m, err = s.insertModel(tx, name, n.Description); err != nil {
			return m, "", err
		}
		if err := s.note(ctx, tx, m.id, HistoryEntry{What: "model_created", Reason: "imported"}); err != nil {
			return m, "", err
		}
		if err := s.d.Events.Append(ctx, tx, "registry.model.created", events.Resource{Kind: "model", ID: name}, map[string]any{"model": name}); err != nil {
			return m, "", err
		}
	case err != nil:
		return m, "", err
	case m.CreatedAt.UnixMilli() != n.CreatedMs && !n.IntoExisting:
		return m, "", errs.E(errs.Conflict, "registry.import", fmt.Sprintf("another model named %q is here already", name), nil).
			WithHint("import under other names with a prefix, or into the models that are here")
	case n.Description != "" && n.Description != m.Description:
		out = Updated
		if _, err := tx.Exec("UPDATE registry_model SET description = ? WHERE id = ?", n.Description, m.id); err != nil {
			return m, "", err
		}
	}
	changed, err := importTags(tx, m.id, 0, n.Tags)
	if changed && out == Unchanged {
		out = Updated
	}
	return m, out, err
}

func importTags(tx *db.Tx, modelID string, number int64, tags map[string]string) (changed bool, err error) {
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		n, err := tx.Exec(`INSERT INTO registry_tag (model_id, version, tag_key, value) VALUES (?, ?, ?, ?)
			ON CONFLICT (model_id, version, tag_key) DO UPDATE SET value = excluded.value WHERE registry_tag.value <> excluded.value`, modelID, number, k, tags[k])
		if err != nil {
			return false, err
		}
		changed = changed || n > 0
	}
	return changed, nil
}

func (s *Service) importAliases(ctx context.Context, tx *db.Tx, m Model, aliases map[string]string) (changed bool, err error) {
	for _, a := range slices.Sorted(maps.Keys(aliases)) {
		number, err := parseNumber(aliases[a])
		if err != nil {
			return false, err
		}
		if err := hasVersion(tx, m, number); err != nil {
			return false, err
		}
		previous, err := putAlias(tx, m, a, number)
		if err != nil {
			return false, err
		}
		if previous == aliases[a] {
			continue
		}
		changed = true
		if err := s.tellAlias(ctx, tx, m, "set", HistoryEntry{Alias: a, Version: aliases[a], Previous: previous, Reason: "imported"}); err != nil {
			return false, err
		}
	}
	return changed, nil
}

// setTimes writes the times of the source over those that the change left; number 0 is the model itself.
func setTimes(tx *db.Tx, modelID string, number, created, updated int64) error {
	if updated == 0 {
		updated = created
	}
	if number == 0 {
		_, err := tx.Exec("UPDATE registry_model SET created_at = ?, updated_at = ? WHERE id = ?", created*1000, updated*1000, modelID)
		return err
	}
	_, err := tx.Exec("UPDATE registry_version SET created_at = ?, updated_at = ? WHERE model_id = ? AND number = ?", created*1000, updated*1000, modelID, number)
	return err
}

func (n ImportedVersion) check() error {
	var c errs.Collector
	checkText(&c, "source", n.Source, 4096)
	checkText(&c, "files", n.Files, 4096)
	checkText(&c, "run_id", n.RunID, 256)
	checkText(&c, "model_id", n.LoggedModelID, 256)
	checkText(&c, "description", n.Description, MaxDescription)
	checkText(&c, "status_message", n.StatusMessage, MaxReason)
	checkText(&c, "run_link", n.RunLink, MaxRunLink)
	checkText(&c, "created_by", n.CreatedBy, 256)
	checkTags(&c, n.Tags)
	checkMillis(&c, "created_ms", n.CreatedMs)
	checkMillis(&c, "updated_ms", n.UpdatedMs)
	if !n.Stage.Valid() {
		c.Add("stage", "expected None, Staging, Production or Archived, got %.40q", n.Stage)
	}
	if !n.Status.Valid() {
		c.Add("status", "expected PENDING, READY or FAILED, got %.40q", n.Status)
	}
	return c.Err("registry.import", "the version cannot be imported")
}

// ImportVersion registers a version of another store under its number, with its times, or brings the one that is here up to date. The files
// are taken from a run or logged model that was imported before; a version without any can be completed by a later import. Conflict
// when the number belongs to a version that was made here or at another time. A version that was deleted here stays deleted.
func (s *Service) ImportVersion(ctx context.Context, n ImportedVersion) (Version, Outcome, error) {
	if n.Stage == "" {
		n.Stage = StageNone
	}
	if n.Status == "" {
		n.Status = Ready
	}
	number, err := parseNumber(n.Version)
	if err == nil {
		err = n.check()
	}
	if err != nil {
		return Version{}, "", err
	}
	made, c, err := s.importedContent(ctx, n)
	if err != nil {
		return Version{}, "", err
	}
	out := Unchanged
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, err := modelByName(tx, n.Model)
		if err != nil {
			return err
		}
		was, deleted, err := versionRow(tx, m, number)
		switch {
		case errs.Is(err, errs.NotFound):
			out = Created
			return s.insertImported(ctx, tx, m, number, n, made, c)
		case err != nil:
			return err
		case was.CreatedAt.UnixMilli() != n.CreatedMs:
			return errs.E(errs.Conflict, "registry.import", fmt.Sprintf("model %q has another version %d already", m.Name, number), nil).
				WithHint("import under other names with a prefix")
		case deleted:
			out = Unchanged
			return nil
		}
		changed, err := s.updateImported(ctx, tx, m, was, n, c)
		if out = Unchanged; changed {
			out = Updated
		}
		return err
	})
	if err != nil {
		return Version{}, "", err
	}
	if out == Created {
		s.metrics.versions.Inc()
	}
	v, err := s.GetVersion(ctx, n.Model, n.Version)
	if errs.Is(err, errs.NotFound) && out == Unchanged { // deleted here
		return Version{Model: n.Model, Version: n.Version}, out, nil
	}
	return v, out, err
}

// importedContent finds and reads the files of a version to be imported.
func (s *Service) importedContent(ctx context.Context, n ImportedVersion) (NewVersion, content, error) {
	made := NewVersion{Model: n.Model, Source: n.Files, RunID: n.RunID, LoggedModelID: n.LoggedModelID, RunLink: n.RunLink, AllowNoFiles: true, Description: n.Description, Tags: n.Tags}
	if n.Files == "" {
		made.Source = foreignSource(n.Source)
		c, err := s.readContent(ctx, made)
		return made, c, err
	}
	if s.d.ResolveSource == nil {
		return made, content{}, errs.E(errs.Unavailable, "registry.import", "this server has no tracking store to take models from", nil)
	}
	src, err := s.d.ResolveSource(ctx, n.Files)
	if err != nil {
		return made, content{}, err
	}
	made.FilesRoot, made.FilesDir, made.Metrics = src.FilesRoot, src.FilesDir, src.Metrics
	c, err := s.readContent(ctx, made)
	return made, c, err
}

func (s *Service) insertImported(ctx context.Context, tx *db.Tx, m Model, number int64, n ImportedVersion, made NewVersion, c content) error {
	if _, err := tx.Exec(`INSERT INTO registry_number (name_fold, last) VALUES (?, ?) ON CONFLICT (name_fold) DO UPDATE
		SET last = CASE WHEN excluded.last > registry_number.last THEN excluded.last ELSE registry_number.last END`, fold(m.Name), number); err != nil {
		return err
	}
	if err := s.insertVersion(ctx, tx, m, number, made, c); err != nil {
		return err
	}
	if err := s.linkContent(tx, m, number, c); err != nil {
		return err
	}
	if _, err := importTags(tx, m.id, number, n.Tags); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE registry_version SET status = ?, status_message = ?, stage = ?, created_by = ? WHERE model_id = ? AND number = ?",
		string(n.Status), n.StatusMessage, string(n.Stage), n.CreatedBy, m.id, number)
	if err != nil {
		return err
	}
	if err := setTimes(tx, m.id, number, n.CreatedMs, n.UpdatedMs); err != nil {
		return err
	}
	version := formatNumber(number)
	if err := s.note(ctx, tx, m.id, HistoryEntry{What: "version_created", Version: version, Reason: "imported"}); err != nil {
		return err
	}
	return s.d.Events.Append(ctx, tx, "registry.version.created", events.Resource{Kind: "version", ID: m.Name + "/" + version},
		map[string]any{"model": m.Name, "version": version, "run_id": n.RunID, "model_id": n.LoggedModelID, "source": made.Source})
}

func (s *Service) linkContent(tx *db.Tx, m Model, number int64, c content) error {
	for _, f := range c.files {
		if err := s.d.Files.Link(tx, VersionRoot(m.id, number), f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) updateImported(ctx context.Context, tx *db.Tx, m Model, was Version, n ImportedVersion, c content) (changed bool, err error) {
	if n.Description != "" && n.Description != was.Description || was.Stage != n.Stage || was.Status != n.Status {
		changed = true
		if n.Description == "" {
			n.Description = was.Description
		}
		_, err := tx.Exec("UPDATE registry_version SET description = ?, stage = ?, status = ?, status_message = ? WHERE model_id = ? AND number = ?",
			n.Description, string(n.Stage), string(n.Status), n.StatusMessage, m.id, was.number)
		if err != nil {
			return false, err
		}
		if was.Stage != n.Stage {
			if err := s.note(ctx, tx, m.id, HistoryEntry{What: "stage_changed", Version: n.Version, Previous: string(was.Stage), Reason: string(n.Stage)}); err != nil {
				return false, err
			}
		}
	}
	tagged, err := importTags(tx, m.id, was.number, n.Tags)
	if err != nil {
		return false, err
	}
	changed = changed || tagged
	if was.FilesCount == 0 && len(c.files) > 0 {
		changed = true
		if err := setContent(tx, m, was.number, n.Files, c); err != nil {
			return false, err
		}
		if err := s.linkContent(tx, m, was.number, c); err != nil {
			return false, err
		}
	}
	if !changed {
		return false, nil
	}
	return true, setTimes(tx, m.id, was.number, n.CreatedMs, n.UpdatedMs)
}
