package webhook

import (
	"context"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// Event is what a webhook can ask for, as MLflow names it: entity and action with a dot between.
type Event string

// The events that are sent.
const (
	ModelCreated            Event = "registered_model.created"
	VersionCreated          Event = "model_version.created"
	VersionTagSet           Event = "model_version_tag.set"
	VersionTagDeleted       Event = "model_version_tag.deleted"
	VersionAliasCreated     Event = "model_version_alias.created"
	VersionAliasDeleted     Event = "model_version_alias.deleted"
	PromptCreated           Event = "prompt.created"
	PromptVersionCreated    Event = "prompt_version.created"
	PromptTagSet            Event = "prompt_tag.set"
	PromptTagDeleted        Event = "prompt_tag.deleted"
	PromptVersionTagSet     Event = "prompt_version_tag.set"
	PromptVersionTagDeleted Event = "prompt_version_tag.deleted"
	PromptAliasCreated      Event = "prompt_alias.created"
	PromptAliasDeleted      Event = "prompt_alias.deleted"
)

// Events lists all of them.
func Events() []Event {
	return []Event{
		ModelCreated, VersionCreated, VersionTagSet, VersionTagDeleted, VersionAliasCreated, VersionAliasDeleted, PromptCreated, PromptVersionCreated,
		PromptTagSet, PromptTagDeleted, PromptVersionTagSet, PromptVersionTagDeleted, PromptAliasCreated, PromptAliasDeleted,
	}
}

// Entity is the part before the dot.
func (e Event) Entity() string { entity, _, _ := strings.Cut(string(e), "."); return entity }

// Action is the part behind the dot.
func (e Event) Action() string { _, action, _ := strings.Cut(string(e), "."); return action }

// Tags that tell prompts apart; MLflow leaves them out of what it sends about prompts.
const (
	isPrompt   = "mlflow.prompt.is_prompt"
	promptText = "mlflow.prompt.text"
	promptType = "_mlflow_prompt_type"
)

// Model is what a payload says of a model or a prompt.
type Model struct {
	Description string
	Tags        map[string]string
}

func (m Model) isPrompt() bool { return strings.EqualFold(m.Tags[isPrompt], "true") }

// Version is what a payload says of a version.
type Version struct {
	Source, RunID, Description string
	Tags                       map[string]string
}

// heard is the data of the registry's events, all of them together.
type heard struct {
	Model   string `json:"model"`
	Version string `json:"version"`
	Alias   string `json:"alias"`
	Key     string `json:"key"`
	Value   string `json:"value"`
}

// translate gives MLflow's event and payload for one of the registry's, or "" when MLflow has none. What the event does not carry is
// looked up; what is gone by now is sent without it.
func (s *Service) translate(ctx context.Context, e events.Event) (Event, map[string]any, error) {
	var d heard
	if err := e.Decode(&d); err != nil {
		return "", nil, err
	}
	m, err := s.d.Model(ctx, d.Model)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return "", nil, err
	}
	one := func(model, prompt Event) Event {
		if m.isPrompt() {
			return prompt
		}
		return model
	}
	switch e.Type {
	case "registry.model.created":
		return one(ModelCreated, PromptCreated), map[string]any{"name": space.Bare(d.Model), "tags": shown(m.Tags, m.isPrompt()), "description": m.Description}, nil
	case "registry.version.created":
		return s.versionCreated(ctx, d, m)
	case "registry.alias.set":
		return one(VersionAliasCreated, PromptAliasCreated), map[string]any{"name": space.Bare(d.Model), "alias": d.Alias, "version": d.Version}, nil
	case "registry.alias.deleted":
		return one(VersionAliasDeleted, PromptAliasDeleted), map[string]any{"name": space.Bare(d.Model), "alias": d.Alias}, nil
	}
	set := e.Type == "registry.tag.set"
	data := map[string]any{"name": space.Bare(d.Model), "key": d.Key}
	if set {
		data["value"] = d.Value
	}
	switch {
	case d.Version != "":
		data["version"] = d.Version
		if set {
			return one(VersionTagSet, PromptVersionTagSet), data, nil
		}
		return one(VersionTagDeleted, PromptVersionTagDeleted), data, nil
	case set:
		return one("", PromptTagSet), data, nil // MLflow tells of the tags of prompts, not of those of models
	}
	return one("", PromptTagDeleted), data, nil
}

func (s *Service) versionCreated(ctx context.Context, d heard, m Model) (Event, map[string]any, error) {
	v, err := s.d.Version(ctx, d.Model, d.Version)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return "", nil, err
	}
	if m.isPrompt() {
		return PromptVersionCreated, map[string]any{"name": space.Bare(d.Model), "version": d.Version, "template": orNull(v.Tags[promptText]), "tags": shown(v.Tags, true),
			"description": orNull(v.Description)}, nil
	}
	return VersionCreated, map[string]any{"name": space.Bare(d.Model), "version": d.Version, "source": space.BareURI(v.Source), "run_id": orNull(v.RunID), "tags": shown(v.Tags, false),
		"description": orNull(v.Description)}, nil
}

// shown are the tags that a payload has.
func shown(tags map[string]string, prompt bool) map[string]string {
	out := make(map[string]string, len(tags))
	for k, v := range tags {
		if !prompt || (k != isPrompt && k != promptText && k != promptType) {
			out[k] = v
		}
	}
	return out
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// example is the payload of a test, the same as MLflow's.
func example(e Event) map[string]any {
	noun := "example_model"
	if strings.HasPrefix(string(e), "prompt") {
		noun = "example_prompt"
	}
	out := map[string]any{"name": noun}
	tags := map[string]string{"example_key": "example_value"}
	switch e {
	case ModelCreated:
		out["tags"], out["description"] = tags, "An example registered model"
	case PromptCreated:
		out["tags"], out["description"] = tags, "An example prompt"
	case VersionCreated:
		out["version"], out["source"], out["run_id"], out["tags"], out["description"] = "1", "models:/123", "abcd1234abcd5678", tags, "An example model version"
	case PromptVersionCreated:
		out["version"], out["template"], out["tags"], out["description"] = "1", "Hello {{name}}!", tags, "An example prompt version"
	case VersionAliasCreated, PromptAliasCreated:
		out["alias"], out["version"] = "example_alias", "1"
	case VersionAliasDeleted, PromptAliasDeleted:
		out["alias"] = "example_alias"
	default:
		out["key"] = "example_key"
		if e.Action() == "set" {
			out["value"] = "example_value"
		}
		if strings.Contains(e.Entity(), "version") {
			out["version"] = "1"
		}
	}
	return out
}
