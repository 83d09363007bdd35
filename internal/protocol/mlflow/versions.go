package mlflow

import (
	"context"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
	"github.com/modelyard/modelyard/internal/registry"
)

func (e *Edge) versionRoutes(at registrar) {
	const p = "/2.0/mlflow/model-versions/"
	at("POST", p+"create", modelWrite, call(e, e.createVersion))
	at("GET", p+"get", modelRead, call(e, e.getVersion))
	at("GET", p+"search", modelRead, call(e, e.searchVersions))
	at("POST", p+"search", modelRead, call(e, e.searchVersions))
	at("PATCH", p+"update", modelWrite, call(e, e.updateVersion))
	at("DELETE", p+"delete", modelWrite, call(e, e.deleteVersion))
	at("POST", p+"transition-stage", modelWrite, call(e, e.transitionStage))
	at("GET", p+"get-download-uri", modelRead, call(e, e.downloadURI))
	at("POST", p+"set-tag", modelWrite, call(e, e.setVersionTag))
	at("DELETE", p+"delete-tag", modelWrite, call(e, e.deleteVersionTag))
}

type modelVersion struct {
	Name        string     `json:"name"`
	Version     string     `json:"version"`
	Created     integer    `json:"creation_timestamp"`
	Updated     integer    `json:"last_updated_timestamp"`
	User        string     `json:"user_id,omitempty"`
	Stage       string     `json:"current_stage"`
	Description string     `json:"description"`
	Source      string     `json:"source"`
	RunID       string     `json:"run_id"`
	Status      string     `json:"status"`
	StatusText  string     `json:"status_message,omitempty"`
	Tags        []keyValue `json:"tags,omitempty"`
	Aliases     []string   `json:"aliases,omitempty"`
	ModelID     string     `json:"model_id,omitempty"`
	RunLink     string     `json:"run_link"`
}

func fromVersion(v registry.Version) modelVersion {
	status := map[registry.Status]string{registry.Pending: "PENDING_REGISTRATION", registry.Failed: "FAILED_REGISTRATION", registry.Ready: "READY"}[v.Status]
	stage := v.Stage
	if stage == "" {
		stage = registry.StageNone
	}
	return modelVersion{space.Bare(v.Model), v.Version, ms(v.CreatedAt), ms(v.UpdatedAt), v.CreatedBy, string(stage), v.Description, space.BareURI(v.Source), v.RunID, status, v.StatusMessage,
		tagList(v.Tags), v.Aliases, v.LoggedModelID, v.RunLink}
}

type versionReply struct {
	Version modelVersion `json:"model_version"`
}

type versionList struct {
	Versions []modelVersion `json:"model_versions,omitempty"`
	Next     string         `json:"next_page_token,omitempty"`
}

func (e *Edge) createVersion(ctx context.Context, in *struct {
	Name        string     `json:"name"`
	Source      string     `json:"source"`
	RunID       string     `json:"run_id"`
	Tags        []keyValue `json:"tags"`
	Description string     `json:"description"`
	ModelID     string     `json:"model_id"`
	RunLink     string     `json:"run_link"`
}) (versionReply, error) {
	switch {
	case in.Name == "":
		return versionReply{}, missing("name")
	case in.Source == "" && in.ModelID == "":
		return versionReply{}, missing("source")
	}
	n := registry.NewVersion{Model: full(ctx, in.Name), Source: fullURI(ctx, in.Source), RunID: in.RunID, LoggedModelID: in.ModelID, RunLink: in.RunLink, Description: in.Description, Tags: tagMap(in.Tags)}
	_, hasText := n.Tags[promptText]
	if _, prompt := n.Tags[isPrompt]; prompt || hasText || registry.Elsewhere(in.Source) { // a prompt is text in tags, without files
		n.AllowNoFiles = true
	} else if err := e.fillSource(ctx, &n); err != nil {
		return versionReply{}, err
	}
	v, err := e.d.Registry.CreateVersion(ctx, n)
	return versionReply{fromVersion(v)}, err
}

// fillSource finds the files that the version is made of, and checks that the ids the client gave agree with them.
func (e *Edge) fillSource(ctx context.Context, n *registry.NewVersion) error {
	if n.Source == "" {
		n.Source = "models:/" + n.LoggedModelID
	}
	src, err := e.d.Source(ctx, n.Source)
	if err != nil {
		return err
	}
	if n.LoggedModelID != "" && src.LoggedModelID != "" && n.LoggedModelID != src.LoggedModelID {
		return errs.Invalidf("mlflow.create_version", "model_id %.60s is not the model at %.200s", n.LoggedModelID, n.Source).WithField("model_id", "expected %s", src.LoggedModelID)
	}
	if n.LoggedModelID == "" {
		n.LoggedModelID = src.LoggedModelID
	}
	if n.RunID == "" {
		n.RunID = src.RunID
	}
	if n.RunID != src.RunID && src.RunID != "" && !strings.HasPrefix(n.Source, "models:/") {
		return errs.Invalidf("mlflow.create_version", "Invalid model version source: '%.200s'. The run_id request parameter must identify the resource that contains the source.", n.Source)
	}
	n.FilesRoot, n.FilesDir, n.Metrics = src.FilesRoot, src.FilesDir, src.Metrics
	return nil
}

type versionID struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

func (in *versionID) check() error {
	switch {
	case in.Name == "":
		return missing("name")
	case in.Version == "":
		return missing("version")
	}
	return nil
}

func (e *Edge) getVersion(ctx context.Context, in *versionID) (versionReply, error) {
	if err := in.check(); err != nil {
		return versionReply{}, err
	}
	v, err := e.d.Registry.GetVersion(ctx, full(ctx, in.Name), in.Version)
	return versionReply{fromVersion(v)}, err
}

func (e *Edge) searchVersions(ctx context.Context, in *searchRegistryIn) (versionList, error) {
	q, err := registryQuery(ctx, in, registry.VersionDialect(), 200_000)
	if err != nil {
		return versionList{}, err
	}
	vs, next, err := e.d.Registry.ListVersions(ctx, q)
	out := versionList{Next: next}
	for _, v := range vs {
		out.Versions = append(out.Versions, fromVersion(v))
	}
	return out, err
}

func (e *Edge) updateVersion(ctx context.Context, in *struct {
	Name        string  `json:"name"`
	Version     string  `json:"version"`
	Description *string `json:"description"`
}) (versionReply, error) {
	if err := (&versionID{in.Name, in.Version}).check(); err != nil {
		return versionReply{}, err
	}
	v, err := e.d.Registry.UpdateVersion(ctx, full(ctx, in.Name), in.Version, registry.VersionChange{Description: in.Description})
	return versionReply{fromVersion(v)}, err
}

func (e *Edge) deleteVersion(ctx context.Context, in *versionID) (none, error) {
	if err := in.check(); err != nil {
		return none{}, err
	}
	return none{}, e.d.Registry.DeleteVersion(ctx, full(ctx, in.Name), in.Version)
}

func (e *Edge) transitionStage(ctx context.Context, in *struct {
	Name    string  `json:"name"`
	Version string  `json:"version"`
	Stage   string  `json:"stage"`
	Archive boolean `json:"archive_existing_versions"`
}) (versionReply, error) {
	if err := (&versionID{in.Name, in.Version}).check(); err != nil {
		return versionReply{}, err
	}
	stage, err := stageOf(in.Stage)
	if err != nil {
		return versionReply{}, err
	}
	v, err := e.d.Registry.TransitionStage(ctx, full(ctx, in.Name), in.Version, stage, bool(in.Archive))
	return versionReply{fromVersion(v)}, err
}

type artifactURI struct {
	URI string `json:"artifact_uri"`
}

// downloadURI points at the version's own copy of the files, which outlives the run and never changes.
func (e *Edge) downloadURI(ctx context.Context, in *versionID) (artifactURI, error) {
	if err := in.check(); err != nil {
		return artifactURI{}, err
	}
	v, err := e.d.Registry.GetVersion(ctx, full(ctx, in.Name), in.Version)
	if err != nil {
		return artifactURI{}, err
	}
	if v.FilesCount == 0 {
		return artifactURI{space.BareURI(v.Source)}, nil
	}
	return artifactURI{"mlflow-artifacts:/" + versionsFolder + "/" + space.Bare(v.Model) + "/" + v.Version}, nil
}

type versionTagIn struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Key     string `json:"key"`
	Value   string `json:"value"`
}

func (in *versionTagIn) check() error {
	if err := (&versionID{in.Name, in.Version}).check(); err != nil {
		return err
	}
	if in.Key == "" {
		return missing("key")
	}
	return nil
}

func (e *Edge) setVersionTag(ctx context.Context, in *versionTagIn) (none, error) {
	if err := in.check(); err != nil {
		return none{}, err
	}
	return none{}, e.d.Registry.SetVersionTag(ctx, full(ctx, in.Name), in.Version, in.Key, in.Value)
}

func (e *Edge) deleteVersionTag(ctx context.Context, in *versionTagIn) (none, error) {
	if err := in.check(); err != nil {
		return none{}, err
	}
	return none{}, e.d.Registry.DeleteVersionTag(ctx, full(ctx, in.Name), in.Version, in.Key)
}
