package registry

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// Trash is what the registry offers to the trash: models, and prompts, which are models with a tag, as kinds of their own. A deleted model
// holds its versions, which are not listed beside it. Version numbers stay taken after a purge.
func (s *Service) Trash() []discard.Source {
	return slices.Concat(s.trashed("model", isModel), s.trashed("prompt", isPrompt))
}

// trashID is how the trash calls a version: by its model's internal id, because several deleted models may have had one name.
func trashID(modelID string, number int64) string { return modelID + "/" + formatNumber(number) }

func parseTrashID(id string) (modelID string, number int64, err error) {
	modelID, n, _ := strings.Cut(id, "/")
	number, perr := strconv.ParseInt(n, 10, 64)
	if modelID == "" || perr != nil {
		return "", 0, notInTrash("version", id)
	}
	return modelID, number, nil
}

func notInTrash(what, id string) error {
	return errs.NotFoundf("registry.trash", "there is no %s %.100q in the trash", what, id).WithHint("list it with: modelyard trash list")
}

func (s *Service) versionContents(ctx context.Context, id string, emit discard.Emit) error {
	modelID, number, err := parseTrashID(id)
	if err != nil {
		return err
	}
	return discard.EmitRoot(ctx, s.d.Files, VersionRoot(modelID, number), emit)
}

func (s *Service) modelContents(ctx context.Context, id string, emit discard.Emit) error {
	numbers, err := s.numbersOf(ctx, id)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if err := discard.EmitRoot(ctx, s.d.Files, VersionRoot(id, n), emit); err != nil {
			return err
		}
	}
	return nil
}

// restoreVersion brings a deleted version back, without the aliases it had. Kinds: NotFound.
func (s *Service) restoreVersion(ctx context.Context, id string) error {
	return s.onTrashedVersion(ctx, id, func(tx *db.Tx, m Model, number int64) error {
		if err := undeleteVersion(tx, m.id, number); err != nil {
			return err
		}
		if err := s.touch(tx, m.id, number); err != nil {
			return err
		}
		if err := s.note(ctx, tx, m.id, HistoryEntry{What: "version_restored", Version: formatNumber(number)}); err != nil {
			return err
		}
		return s.tellVersion(ctx, tx, "registry.version.restored", m, number, nil)
	})
}

// purgeVersion removes a deleted version for good: its row, tags, gate verdicts and files. Kinds: NotFound, Precondition (served).
func (s *Service) purgeVersion(ctx context.Context, id string, emit discard.Emit) error {
	var gone []blob.Content
	err := s.onTrashedVersion(ctx, id, func(tx *db.Tx, m Model, number int64) error {
		if err := refuseServed(tx, m.Name, number, "purged"); err != nil {
			return err
		}
		if err := removeVersion(tx, m, number); err != nil {
			return err
		}
		var err error
		if gone, err = s.d.Files.Drop(tx, VersionRoot(m.id, number)); err != nil {
			return err
		}
		if err := s.note(ctx, tx, m.id, HistoryEntry{What: "version_purged", Version: formatNumber(number)}); err != nil {
			return err
		}
		return s.tellVersion(ctx, tx, "registry.version.purged", m, number, gone)
	})
	if err != nil {
		return err
	}
	return emit(gone)
}

func (s *Service) onTrashedVersion(ctx context.Context, id string, fn func(tx *db.Tx, m Model, number int64) error) error {
	modelID, number, err := parseTrashID(id)
	if err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, deleted, err := modelByID(tx, modelID)
		if err != nil {
			return err
		}
		if deleted {
			return errs.E(errs.Precondition, "registry.trash", "the model of version "+formatNumber(number)+" is in the trash itself", nil).
				WithHint("restore or purge model %s", m.Name)
		}
		if err := isTrashed(tx, modelID, number); err != nil {
			return err
		}
		return fn(tx, m, number)
	})
}

func (s *Service) tellVersion(ctx context.Context, tx *db.Tx, typ string, m Model, number int64, gone []blob.Content) error {
	version := formatNumber(number)
	data := map[string]any{"model": m.Name, "version": version}
	if gone != nil {
		data["files"], data["bytes"] = len(gone), sizeOf(gone)
	}
	return s.d.Events.Append(ctx, tx, typ, events.Resource{Kind: "version", ID: m.Name + "/" + version}, data)
}

func sizeOf(contents []blob.Content) (bytes int64) {
	for _, c := range contents {
		bytes += c.Size
	}
	return bytes
}

// restoreModel brings a deleted model back with the versions deleted with it and its aliases. Kinds: NotFound, Conflict (the name is taken).
func (s *Service) restoreModel(ctx context.Context, id string) error {
	if err := s.hasHome(ctx, id); err != nil {
		return err
	}
	return s.onTrashedModel(ctx, id, func(tx *db.Tx, m Model) error {
		if err := freeName(tx, m.Name, m.id); err != nil {
			return errs.E(errs.Conflict, "registry.restore", "the name of the deleted model is taken", err).WithHint("rename the model that has it now, then restore")
		}
		if err := undeleteModel(tx, m.id); err != nil {
			return err
		}
		if err := s.note(ctx, tx, m.id, HistoryEntry{What: "model_restored"}); err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, "registry.model.restored", events.Resource{Kind: "model", ID: m.Name}, map[string]any{"model": m.Name})
	})
}

// purgeModel removes a deleted model with all its versions for good. Kinds: NotFound.
func (s *Service) purgeModel(ctx context.Context, id string, emit discard.Emit) error {
	var gone []blob.Content
	err := s.onTrashedModel(ctx, id, func(tx *db.Tx, m Model) error {
		gone = nil
		numbers, err := numbersIn(tx, m.id)
		if err != nil {
			return err
		}
		for _, n := range numbers {
			c, err := s.d.Files.Drop(tx, VersionRoot(m.id, n))
			if err != nil {
				return err
			}
			gone = append(gone, c...)
		}
		if err := removeModel(tx, m, numbers); err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, "registry.model.purged", events.Resource{Kind: "model", ID: m.Name},
			map[string]any{"model": m.Name, "versions": len(numbers), "files": len(gone), "bytes": sizeOf(gone)})
	})
	if err != nil {
		return err
	}
	return emit(gone)
}

func (s *Service) onTrashedModel(ctx context.Context, id string, fn func(tx *db.Tx, m Model) error) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, deleted, err := modelByID(tx, id)
		if err != nil {
			return err
		}
		if !deleted {
			return notInTrash("model", m.Name)
		}
		return fn(tx, m)
	})
}

// Origins lists what the living versions were made from: run ids and logged model ids, each with the versions (name/number).
func (s *Service) Origins(ctx context.Context) (runs, loggedModels map[string][]string, err error) {
	runs, loggedModels = map[string][]string{}, map[string][]string{}
	rows, err := s.d.DB.Query(ctx, "SELECT v.run_id, v.logged_model_id, m.name, v.number"+versionTables+" AND (v.run_id <> '' OR v.logged_model_id <> '') ORDER BY m.name, v.number")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var run, model, name string
		var number int64
		if err := rows.Scan(&run, &model, &name, &number); err != nil {
			return nil, nil, err
		}
		version := name + "/" + formatNumber(number)
		if run != "" {
			runs[run] = append(runs[run], version)
		}
		if model != "" {
			loggedModels[model] = append(loggedModels[model], version)
		}
	}
	return runs, loggedModels, rows.Err()
}
