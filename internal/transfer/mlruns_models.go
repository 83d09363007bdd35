package transfer

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

type metaLoggedModel struct {
	ID         string `yaml:"model_id"`
	Name       string `yaml:"name"`
	URI        string `yaml:"artifact_location"`
	Created    int64  `yaml:"creation_timestamp"`
	Updated    int64  `yaml:"last_updated_timestamp"`
	Type       string `yaml:"model_type"`
	RunID      string `yaml:"source_run_id"`
	Status     any    `yaml:"status"`
	StatusText string `yaml:"status_message"`
	Lifecycle  string `yaml:"lifecycle_stage"`
}

func (s *mlruns) LoggedModels(ctx context.Context, e Experiment, page func([]LoggedModel) error) error {
	dir := path.Join(s.home(e.ID), "models")
	ids, err := s.folders(dir)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ids, modelPage) {
		var models []LoggedModel
		for _, id := range part {
			if err := ctx.Err(); err != nil {
				return err
			}
			m, gone, err := s.loggedModel(path.Join(dir, id), e.ID, id)
			if err != nil {
				return err
			}
			if !gone {
				models = append(models, m)
			}
		}
		if err := page(models); err != nil {
			return err
		}
	}
	return nil
}

func (s *mlruns) loggedModel(dir, exp, id string) (m LoggedModel, gone bool, err error) {
	var meta metaLoggedModel
	if err := s.meta(dir, &meta); err != nil {
		return m, false, err
	}
	if meta.ID != id {
		return m, false, errs.Invalidf("transfer.mlruns", "%s/meta.yaml says that it is model %.60q", dir, meta.ID)
	}
	m = LoggedModel{ID: id, Experiment: exp, Name: meta.Name, Type: meta.Type, RunID: meta.RunID, Status: modelStatus(fmt.Sprint(meta.Status)), StatusMessage: meta.StatusText,
		Created: meta.Created, Updated: meta.Updated, ArtifactURI: meta.URI}
	if m.Params, err = s.texts(path.Join(dir, "params")); err != nil {
		return m, false, err
	}
	if m.Tags, err = s.texts(path.Join(dir, "tags")); err != nil {
		return m, false, err
	}
	err = s.eachFile(path.Join(dir, "metrics"), func(key string) error {
		return s.points(path.Join(dir, "metrics", key), func(p Point, more []string) error {
			x := ModelMetric{Key: key, Point: p}
			if len(more) > 0 {
				x.RunID = more[0]
			}
			if len(more) > 2 {
				x.DatasetDigest = more[len(more)-1]
				x.Dataset = strings.Join(more[1:len(more)-1], " ")
			}
			m.Metrics = append(m.Metrics, x)
			return nil
		})
	})
	m.Metrics = newestMetrics(m.Metrics)
	return m, meta.Lifecycle == deleted, err
}

type metaRegistered struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
	Created     int64  `yaml:"creation_timestamp"`
	Updated     int64  `yaml:"last_updated_timestamp"`
}

type metaVersion struct {
	Name        string `yaml:"name"`
	Version     any    `yaml:"version"`
	Created     int64  `yaml:"creation_timestamp"`
	Updated     int64  `yaml:"last_updated_timestamp"`
	Description string `yaml:"description"`
	User        string `yaml:"user_id"`
	Stage       string `yaml:"current_stage"`
	Source      string `yaml:"source"`
	Storage     string `yaml:"storage_location"`
	RunID       string `yaml:"run_id"`
	ModelID     string `yaml:"model_id"`
	RunLink     string `yaml:"run_link"`
	Status      string `yaml:"status"`
	StatusText  string `yaml:"status_message"`
}

const registryFolder = "models"

func (s *mlruns) RegisteredModels(ctx context.Context) ([]RegisteredModel, error) {
	names, err := s.folders(registryFolder)
	if err != nil {
		return nil, err
	}
	var out []RegisteredModel
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m, err := s.registered(path.Join(registryFolder, name), name)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (s *mlruns) registered(dir, name string) (RegisteredModel, error) {
	var meta metaRegistered
	if err := s.meta(dir, &meta); err != nil {
		return RegisteredModel{}, err
	}
	m := RegisteredModel{Name: name, Description: meta.Description, Created: meta.Created, Updated: meta.Updated}
	var err error
	if m.Tags, err = s.texts(path.Join(dir, "tags")); err != nil {
		return m, err
	}
	if m.Aliases, err = s.texts(path.Join(dir, "aliases")); err != nil {
		return m, err
	}
	for a, v := range m.Aliases {
		m.Aliases[a] = strings.TrimSpace(v)
	}
	dirs, err := s.folders(dir)
	if err != nil {
		return m, err
	}
	for _, d := range dirs {
		number, ok := strings.CutPrefix(d, "version-")
		if !ok {
			continue
		}
		var x metaVersion
		if err := s.meta(path.Join(dir, d), &x); err != nil {
			return m, err
		}
		if x.Stage == "Deleted_Internal" {
			continue
		}
		v := Version{Model: name, Version: number, Source: x.Source, Storage: x.Storage, RunID: x.RunID, ModelID: x.ModelID, RunLink: x.RunLink, Description: x.Description, User: x.User,
			Stage: stageName(x.Stage), Status: versionStatus(x.Status), StatusMessage: x.StatusText, Created: x.Created, Updated: x.Updated}
		if v.Tags, err = s.texts(path.Join(dir, d, "tags")); err != nil {
			return m, err
		}
		m.Versions = append(m.Versions, v)
	}
	slices.SortFunc(m.Versions, byNumber)
	return m, nil
}
