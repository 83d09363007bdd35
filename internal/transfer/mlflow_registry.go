package transfer

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// registeredThere reads a registered model of the server.
func (m *MLflow) registeredThere(ctx context.Context, name string) (RegisteredModel, error) {
	var a struct {
		Model wireRegistered `json:"registered_model"`
	}
	err := m.call(ctx, http.MethodGet, api+"registered-models/get", url.Values{"name": {name}}, nil, &a)
	return a.Model.plain(), err
}

// Model finds the registered model by name and tag, or makes it.
func (m *MLflow) Model(ctx context.Context, x RegisteredModel, name string, into bool) (Outcome, error) {
	got, err := m.registeredThere(ctx, name)
	if isMissing(err) {
		return Created, m.post(ctx, "registered-models/create", map[string]any{"name": name, "description": x.Description, "tags": append(pairs(x.Tags), keyValue{tagRegistered, x.Name})})
	}
	if err != nil {
		return "", err
	}
	if got.Tags[tagRegistered] != x.Name && !into {
		return "", errs.E(errs.Conflict, "transfer.mlflow", "the server has another registered model named "+name, nil).
			WithHint("add --into-existing to add to it, or --model-prefix TEXT to give the new ones other names")
	}
	got.Name = name
	if m.versions[name], err = m.rest.versions(ctx, got); err != nil {
		return "", err
	}
	out := Unchanged
	if x.Description != "" && x.Description != got.Description {
		out = Updated
		if err := m.call(ctx, http.MethodPatch, api+"registered-models/update", nil, map[string]any{"name": name, "description": x.Description}, nil); err != nil {
			return "", err
		}
	}
	for _, t := range append(pairs(x.Tags), keyValue{tagRegistered, x.Name}) {
		if have, ok := got.Tags[t.Key]; ok && have == t.Value {
			continue
		}
		out = Updated
		if err := m.post(ctx, "registered-models/set-tag", map[string]any{"name": name, "key": t.Key, "value": t.Value}); err != nil {
			return "", err
		}
	}
	return out, nil
}

// Version finds the version by its tag, or makes the next one.
func (m *MLflow) Version(ctx context.Context, model string, v Version, files string) (string, Outcome, error) {
	source := v.Model + "/" + v.Version
	i := slices.IndexFunc(m.versions[model], func(x Version) bool { return x.Tags[tagVersion] == source })
	out, got := Unchanged, Version{Stage: "None"}
	if i >= 0 {
		got = m.versions[model][i]
	} else {
		uri, err := m.uri(ctx, &v, files)
		if err != nil {
			return "", "", err
		}
		var a struct {
			Version wireVersion `json:"model_version"`
		}
		in := map[string]any{"name": model, "source": uri, "description": v.Description, "tags": append(pairs(v.Tags), keyValue{tagVersion, source})}
		if v.RunID != "" {
			in["run_id"] = v.RunID
		}
		if v.ModelID != "" {
			in["model_id"] = v.ModelID
		}
		if v.RunLink != "" {
			in["run_link"] = v.RunLink
		}
		if err := m.call(ctx, http.MethodPost, api+"model-versions/create", nil, in, &a); err != nil {
			return "", "", err
		}
		out, got = Created, a.Version.plain()
	}
	changed, err := m.updateVersion(ctx, model, got, v)
	if changed && out == Unchanged {
		out = Updated
	}
	return got.Version, out, err
}

func (m *MLflow) updateVersion(ctx context.Context, model string, got, v Version) (changed bool, err error) {
	if v.Description != "" && got.Description != v.Description {
		changed = true
		if err := m.call(ctx, http.MethodPatch, api+"model-versions/update", nil, map[string]any{"name": model, "version": got.Version, "description": v.Description}, nil); err != nil {
			return true, err
		}
	}
	for _, t := range pairs(v.Tags) {
		if have, ok := got.Tags[t.Key]; ok && have == t.Value {
			continue
		}
		changed = true
		if err := m.post(ctx, "model-versions/set-tag", map[string]any{"name": model, "version": got.Version, "key": t.Key, "value": t.Value}); err != nil {
			return true, err
		}
	}
	if got.Stage != v.Stage {
		return true, m.post(ctx, "model-versions/transition-stage", map[string]any{"name": model, "version": got.Version, "stage": v.Stage, "archive_existing_versions": false})
	}
	return changed, nil
}

// uri is where the server is told that the files of a version are.
// A version of a logged model must name it.
func (m *MLflow) uri(ctx context.Context, v *Version, files string) (string, error) {
	if run, ok := strings.CutPrefix(files, "runs:/"); ok {
		id, dir, _ := strings.Cut(run, "/")
		r, err := m.rest.Run(ctx, id)
		return strings.TrimRight(r.ArtifactURI, "/") + "/" + dir, err
	}
	if id, ok := strings.CutPrefix(files, "models:/"); ok {
		x, err := m.rest.Model(ctx, id)
		v.ModelID = id
		return x.ArtifactURI, err
	}
	if v.Tags[isPrompt] == "true" {
		return "prompt-template", nil // what MLflow itself writes there means nothing
	}
	return "modelyard:/" + v.Model + "/" + v.Version, nil // without files: nobody finds anything there
}

// Aliases sets the aliases that are missing or point elsewhere.
func (m *MLflow) Aliases(ctx context.Context, _ RegisteredModel, name string, aliases map[string]string) (changed bool, err error) {
	got, err := m.registeredThere(ctx, name)
	if err != nil {
		return false, err
	}
	for _, a := range pairs(aliases) {
		if got.Aliases[a.Key] == a.Value {
			continue
		}
		changed = true
		if err := m.post(ctx, "registered-models/alias", map[string]any{"name": name, "alias": a.Key, "version": a.Value}); err != nil {
			return true, err
		}
	}
	return changed, nil
}
