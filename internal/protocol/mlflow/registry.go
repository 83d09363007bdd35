package mlflow

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
	"github.com/modelyard/modelyard/internal/platform/space"
	"github.com/modelyard/modelyard/internal/registry"
)

// Two tags of MLflow's: a prompt is a registered model that has isPrompt, and no files.
const (
	isPrompt   = "mlflow.prompt.is_prompt"
	promptText = "mlflow.prompt.text"
)

func (e *Edge) registryRoutes(at registrar) {
	const p = "/2.0/mlflow/registered-models/"
	at("POST", p+"create", modelWrite, call(e, e.createRegistered))
	at("GET", p+"get", modelRead, call(e, e.getRegistered))
	at("GET", p+"search", modelRead, call(e, e.searchRegistered))
	at("POST", p+"search", modelRead, call(e, e.searchRegistered))
	at("GET", p+"list", modelRead, call(e, e.searchRegistered))
	at("PATCH", p+"update", modelWrite, call(e, e.updateRegistered))
	at("POST", p+"rename", modelWrite, call(e, e.renameRegistered))
	at("DELETE", p+"delete", modelWrite, call(e, e.deleteRegistered))
	at("POST", p+"set-tag", modelWrite, call(e, e.setRegisteredTag))
	at("DELETE", p+"delete-tag", modelWrite, call(e, e.deleteRegisteredTag))
	at("POST", p+"alias", modelWrite, call(e, e.setAlias))
	at("DELETE", p+"alias", modelWrite, call(e, e.deleteAlias))
	at("GET", p+"alias", modelRead, call(e, e.getByAlias))
	at("GET", p+"get-latest-versions", modelRead, call(e, e.latestVersions))
	at("POST", p+"get-latest-versions", modelRead, call(e, e.latestVersions))
}

type registered struct {
	Name        string         `json:"name"`
	Created     integer        `json:"creation_timestamp"`
	Updated     integer        `json:"last_updated_timestamp"`
	Description string         `json:"description,omitempty"`
	Latest      []modelVersion `json:"latest_versions,omitempty"`
	Tags        []keyValue     `json:"tags,omitempty"`
	Aliases     []aliasTarget  `json:"aliases,omitempty"`
}

type aliasTarget struct {
	Alias   string `json:"alias"`
	Version string `json:"version"`
}

type registeredReply struct {
	Model registered `json:"registered_model"`
}

func tagMap(in []keyValue) map[string]string {
	out := make(map[string]string, len(in))
	for _, t := range in {
		out[t.Key] = t.Value
	}
	return out
}

func tagList(in map[string]string) []keyValue {
	out := make([]keyValue, 0, len(in))
	for _, k := range slices.Sorted(maps.Keys(in)) {
		out = append(out, keyValue{k, in[k]})
	}
	return out
}

func ms(t time.Time) integer { return integer(t.UnixMilli()) }

func (e *Edge) fromRegistered(ctx context.Context, m registry.Model, latest bool) (registered, error) {
	out := registered{Name: space.Bare(m.Name), Created: ms(m.CreatedAt), Updated: ms(m.UpdatedAt), Description: m.Description, Tags: tagList(m.Tags)}
	for _, a := range slices.Sorted(maps.Keys(m.Aliases)) {
		out.Aliases = append(out.Aliases, aliasTarget{a, m.Aliases[a]})
	}
	if !latest || m.VersionsCount == 0 {
		return out, nil
	}
	vs, err := e.d.Registry.LatestVersions(ctx, m.Name, nil)
	for _, v := range vs {
		out.Latest = append(out.Latest, fromVersion(v))
	}
	return out, err
}

func (e *Edge) createRegistered(ctx context.Context, in *struct {
	Name        string     `json:"name"`
	Tags        []keyValue `json:"tags"`
	Description string     `json:"description"`
}) (registeredReply, error) {
	if in.Name == "" {
		return registeredReply{}, errs.Invalidf("mlflow.registry", "Registered model name cannot be empty").WithField("name", "expected a name")
	}
	if err := checkModelName(in.Name); err != nil {
		return registeredReply{}, err
	}
	m, err := e.d.Registry.CreateModel(ctx, registry.NewModel{Name: full(ctx, in.Name), Description: in.Description, Tags: tagMap(in.Tags)})
	if err != nil {
		return registeredReply{}, err
	}
	out, err := e.fromRegistered(ctx, m, false)
	return registeredReply{out}, err
}

// checkModelName refuses what MLflow does; a colon would name a workspace.
func checkModelName(name string) error {
	if strings.ContainsAny(name, "/:") {
		return errs.Invalidf("mlflow.registry", "Invalid model name '%.300s'. Names cannot contain '/' or ':'.", name)
	}
	return nil
}

type modelName struct {
	Name string `json:"name"`
}

func (e *Edge) getRegistered(ctx context.Context, in *modelName) (registeredReply, error) {
	if in.Name == "" {
		return registeredReply{}, missing("name")
	}
	if err := checkModelName(in.Name); err != nil {
		return registeredReply{}, err
	}
	m, err := e.d.Registry.GetModel(ctx, full(ctx, in.Name))
	if err != nil {
		return registeredReply{}, err
	}
	out, err := e.fromRegistered(ctx, m, true)
	return registeredReply{out}, err
}

type searchRegistryIn struct {
	Filter    string   `json:"filter"`
	Max       integer  `json:"max_results"`
	OrderBy   []string `json:"order_by"`
	PageToken string   `json:"page_token"`
}

type registeredList struct {
	Models []registered `json:"registered_models,omitempty"`
	Next   string       `json:"next_page_token,omitempty"`
}

// registryQuery translates a search. Prompts are left out unless the filter asks about them.
func registryQuery(ctx context.Context, in *searchRegistryIn, d filter.Dialect, most int) (registry.Query, error) {
	q := registry.Query{Workspace: space.Of(ctx), PageToken: in.PageToken, PageSize: min(int(in.Max), 10_000)}
	if err := checkMax(in.Max, most); err != nil {
		return q, err
	}
	var err error
	if q.Filter, err = filter.Parse(in.Filter, d); err != nil {
		return q, err
	}
	orders, err := filter.ParseOrder(in.OrderBy, d)
	if err != nil {
		return q, err
	}
	for _, o := range orders {
		q.OrderBy = append(q.OrderBy, registry.Order{Field: o.Ref.Key, Desc: o.Desc})
	}
	prompts := false
	filter.Walk(q.Filter, func(c *filter.Compare) { prompts = prompts || aboutPrompts(c) })
	q.Filter = withoutTag(q.Filter)
	if !prompts {
		q.Where = append(q.Where, registry.Condition{Field: registry.FieldTag, Key: isPrompt, Op: registry.IsNot, Value: "true"})
	}
	return q, nil
}

func aboutPrompts(c *filter.Compare) bool { return c.Ref.Entity == filter.Tag && c.Ref.Key == isPrompt }

// withoutTag makes the clients' way to say "no prompts", is_prompt != 'true', hold for models without the tag too.
func withoutTag(n filter.Node) filter.Node {
	switch n := n.(type) {
	case *filter.And:
		for i := range n.Parts {
			n.Parts[i] = withoutTag(n.Parts[i])
		}
	case *filter.Or:
		for i := range n.Parts {
			n.Parts[i] = withoutTag(n.Parts[i])
		}
	case *filter.Not:
		n.Part = withoutTag(n.Part)
	case *filter.Compare:
		if aboutPrompts(n) && n.Op == filter.Ne {
			n.Op = filter.Eq
			return &filter.Not{Part: n}
		}
	}
	return n
}

func (e *Edge) searchRegistered(ctx context.Context, in *searchRegistryIn) (registeredList, error) {
	q, err := registryQuery(ctx, in, registry.ModelDialect(), 1000)
	if err != nil {
		return registeredList{}, err
	}
	ms, next, err := e.d.Registry.ListModels(ctx, q)
	if err != nil {
		return registeredList{}, err
	}
	out := registeredList{Next: next}
	for _, m := range ms {
		x, err := e.fromRegistered(ctx, m, true)
		if err != nil {
			return registeredList{}, err
		}
		out.Models = append(out.Models, x)
	}
	return out, nil
}

func (e *Edge) updateRegistered(ctx context.Context, in *struct {
	Name        string  `json:"name"`
	Description *string `json:"description"`
}) (registeredReply, error) {
	if in.Name == "" {
		return registeredReply{}, missing("name")
	}
	m, err := e.d.Registry.UpdateModel(ctx, full(ctx, in.Name), registry.ModelChange{Description: in.Description})
	if err != nil {
		return registeredReply{}, err
	}
	out, err := e.fromRegistered(ctx, m, true)
	return registeredReply{out}, err
}

func (e *Edge) renameRegistered(ctx context.Context, in *struct {
	Name    string `json:"name"`
	NewName string `json:"new_name"`
}) (registeredReply, error) {
	switch {
	case in.Name == "":
		return registeredReply{}, missing("name")
	case in.NewName == "":
		return registeredReply{}, missing("new_name")
	}
	if err := checkModelName(in.NewName); err != nil {
		return registeredReply{}, err
	}
	m, err := e.d.Registry.RenameModel(ctx, full(ctx, in.Name), full(ctx, in.NewName))
	if err != nil {
		return registeredReply{}, err
	}
	out, err := e.fromRegistered(ctx, m, true)
	return registeredReply{out}, err
}

func (e *Edge) deleteRegistered(ctx context.Context, in *modelName) (none, error) {
	if in.Name == "" {
		return none{}, missing("name")
	}
	return none{}, e.d.Registry.DeleteModel(ctx, full(ctx, in.Name))
}

type modelTagIn struct {
	Name  string `json:"name"`
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (e *Edge) setRegisteredTag(ctx context.Context, in *modelTagIn) (none, error) {
	if in.Name == "" || in.Key == "" {
		return none{}, missing(cmp.Or(emptyName(in.Name, "name"), "key"))
	}
	return none{}, e.d.Registry.SetModelTag(ctx, full(ctx, in.Name), in.Key, in.Value)
}

// emptyName gives the name of a field that has no value.
func emptyName(value, field string) string {
	if value == "" {
		return field
	}
	return ""
}

func (e *Edge) deleteRegisteredTag(ctx context.Context, in *modelTagIn) (none, error) {
	if in.Name == "" || in.Key == "" {
		return none{}, missing(cmp.Or(emptyName(in.Name, "name"), "key"))
	}
	return none{}, e.d.Registry.DeleteModelTag(ctx, full(ctx, in.Name), in.Key)
}

type aliasIn struct {
	Name    string `json:"name"`
	Alias   string `json:"alias"`
	Version string `json:"version"`
}

func (in *aliasIn) check() error {
	switch {
	case in.Name == "":
		return missing("name")
	case in.Alias == "":
		return missing("alias")
	}
	return nil
}

func (e *Edge) setAlias(ctx context.Context, in *aliasIn) (none, error) {
	if err := in.check(); err != nil {
		return none{}, err
	}
	if in.Version == "" {
		return none{}, missing("version")
	}
	return none{}, e.d.Registry.SetAlias(ctx, full(ctx, in.Name), in.Alias, in.Version, "")
}

func (e *Edge) deleteAlias(ctx context.Context, in *aliasIn) (none, error) {
	if err := in.check(); err != nil {
		return none{}, err
	}
	err := e.d.Registry.DeleteAlias(ctx, full(ctx, in.Name), in.Alias, "")
	if errs.Is(err, errs.NotFound) { // MLflow: removing an alias that is not there is no error, but the model must exist
		_, err = e.d.Registry.GetModel(ctx, full(ctx, in.Name))
	}
	return none{}, err
}

func (e *Edge) getByAlias(ctx context.Context, in *aliasIn) (versionReply, error) {
	if err := in.check(); err != nil {
		return versionReply{}, err
	}
	v, err := e.d.Registry.ByAlias(ctx, full(ctx, in.Name), in.Alias)
	if errs.Is(err, errs.NotFound) {
		if _, e2 := e.d.Registry.GetModel(ctx, full(ctx, in.Name)); e2 == nil { // the code that MLflow gives for a missing alias of a model that is there
			return versionReply{}, errs.Invalidf("mlflow.alias", "Registered model alias %s not found.", in.Alias)
		}
	}
	return versionReply{fromVersion(v)}, err
}

func (e *Edge) latestVersions(ctx context.Context, in *struct {
	Name   string   `json:"name"`
	Stages []string `json:"stages"`
}) (versionList, error) {
	if in.Name == "" {
		return versionList{}, missing("name")
	}
	stages := make([]registry.Stage, 0, len(in.Stages))
	for _, s := range in.Stages {
		st, err := stageOf(s)
		if err != nil {
			return versionList{}, err
		}
		stages = append(stages, st)
	}
	vs, err := e.d.Registry.LatestVersions(ctx, full(ctx, in.Name), stages)
	var out versionList
	for _, v := range vs {
		out.Versions = append(out.Versions, fromVersion(v))
	}
	return out, err
}

func stageOf(s string) (registry.Stage, error) {
	for _, st := range []registry.Stage{registry.StageNone, registry.StageStaging, registry.StageProduction, registry.StageArchived} {
		if strings.EqualFold(s, string(st)) {
			return st, nil
		}
	}
	return "", errs.Invalidf("mlflow.stage", "Invalid Model Version stage: %.40s. Value must be one of None, Staging, Production, Archived.", s).WithField("stage", "expected None, Staging, Production or Archived")
}
