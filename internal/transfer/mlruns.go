package transfer

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/yamlx"
)

// mlruns reads the folder in which MLflow's file store keeps everything: a folder per experiment, with one per run, and models/ for
// the registry. Deleted experiments are below .trash.
type mlruns struct {
	dir   *os.Root
	roots roots
}

const (
	trash       = ".trash"
	metaFile    = "meta.yaml"
	maxMeta     = 34 << 20 // bytes of a meta.yaml: a dataset's holds its profile
	maxText     = 1 << 20  // bytes of a parameter or tag
	maxLine     = 64 << 10 // bytes of a line of a metric
	maxRunsHeld = 2_000_000
)

// OpenFolder reads an mlruns folder, or the one inside a folder. Files that are not in it are read from more folders.
func OpenFolder(dir string, artifacts []string) (Source, error) {
	if _, err := os.Stat(filepath.Join(dir, "mlruns")); err == nil {
		dir = filepath.Join(dir, "mlruns")
	}
	rs, err := openRoots(nil, append([]string{dir}, artifacts...))
	if err != nil {
		return nil, err
	}
	s := &mlruns{dir: rs[0].Root, roots: rs}
	es, err := s.Experiments(context.Background()) //nolint:forbidigo // a look at one folder
	if err == nil && len(es) == 0 {
		err = errs.Invalidf("transfer.mlruns", "%s holds no experiments of MLflow", dir).WithHint("name the folder that holds a folder with meta.yaml for each experiment, usually mlruns")
	}
	if err != nil {
		return nil, errors.Join(err, rs.close())
	}
	return s, nil
}

// Close gives the folders back.
func (s *mlruns) Close() error { return s.roots.close() }

// text reads a small file whole.
func (s *mlruns) text(p string, most int64) (string, error) {
	f, err := s.dir.Open(p)
	if err != nil {
		return "", errs.E(errs.Invalid, "transfer.mlruns", "cannot read "+p, err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", errs.E(errs.Invalid, "transfer.mlruns", "cannot read "+p, err)
	}
	if int64(len(b)) > most {
		return "", errs.Invalidf("transfer.mlruns", "%s is larger than %d bytes", p, most)
	}
	return string(b), nil
}

func (s *mlruns) meta(dir string, into any) error {
	p := path.Join(dir, metaFile)
	t, err := s.text(p, maxMeta)
	if err != nil {
		return err
	}
	if err := yamlx.DecodeLoose([]byte(t), into); err != nil {
		return errs.E(errs.Invalid, "transfer.mlruns", p+" cannot be read", err)
	}
	return nil
}

// folders names the folders in a folder that have a meta.yaml.
func (s *mlruns) folders(dir string) ([]string, error) {
	entries, err := fs.ReadDir(s.dir.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, errs.E(errs.Invalid, "transfer.mlruns", "cannot read the folder "+dir, err)
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() { // a link to a folder is no folder
			continue
		}
		if _, err := s.dir.Stat(path.Join(dir, e.Name(), metaFile)); err == nil {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// texts reads the files of a folder into a map; keys with slashes are files in folders.
func (s *mlruns) texts(dir string) (map[string]string, error) {
	out := map[string]string{}
	return out, s.eachFile(dir, func(key string) error {
		t, err := s.text(path.Join(dir, key), maxText)
		out[key] = t
		return err
	})
}

func (s *mlruns) eachFile(dir string, do func(key string) error) error {
	if _, err := s.dir.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fs.WalkDir(s.dir.FS(), dir, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return errs.E(errs.Invalid, "transfer.mlruns", "cannot read "+p, err)
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return errs.Invalidf("transfer.mlruns", "%s is a link: values are read from files alone", p)
		}
		return do(strings.TrimPrefix(p, dir+"/"))
	})
}

type metaExperiment struct {
	ID        any    `yaml:"experiment_id"`
	Name      string `yaml:"name"`
	Lifecycle string `yaml:"lifecycle_stage"`
	Created   int64  `yaml:"creation_time"`
	Updated   int64  `yaml:"last_update_time"`
}

func (s *mlruns) Experiments(ctx context.Context) ([]Experiment, error) {
	var out []Experiment
	for _, parent := range []string{".", trash} {
		dirs, err := s.folders(parent)
		if err != nil {
			return nil, err
		}
		for _, id := range dirs {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			dir := path.Join(parent, id)
			var m metaExperiment
			if err := s.meta(dir, &m); err != nil {
				return nil, err
			}
			if fmt.Sprint(m.ID) != id {
				return nil, errs.Invalidf("transfer.mlruns", "%s/meta.yaml says that it is experiment %.60v", dir, m.ID)
			}
			tags, err := s.texts(path.Join(dir, "tags"))
			if err != nil {
				return nil, err
			}
			out = append(out, Experiment{ID: id, Name: m.Name, Deleted: m.Lifecycle == deleted || parent == trash, Created: m.Created, Updated: m.Updated, Tags: tags})
		}
	}
	return out, nil
}

// home is the folder of an experiment.
func (s *mlruns) home(id string) string {
	if _, err := s.dir.Stat(path.Join(trash, id, metaFile)); err == nil {
		return path.Join(trash, id)
	}
	return id
}

type metaRun struct {
	ID        string `yaml:"run_id"`
	UUID      string `yaml:"run_uuid"`
	Name      string `yaml:"run_name"`
	OldName   string `yaml:"name"`
	User      string `yaml:"user_id"`
	Status    any    `yaml:"status"`
	Start     int64  `yaml:"start_time"`
	End       int64  `yaml:"end_time"`
	URI       string `yaml:"artifact_uri"`
	Lifecycle string `yaml:"lifecycle_stage"`
}

func (s *mlruns) Runs(ctx context.Context, e Experiment, page func([]Run) error) error {
	home := s.home(e.ID)
	ids, err := s.folders(home)
	if err != nil {
		return err
	}
	if len(ids) > maxRunsHeld {
		return errs.Invalidf("transfer.mlruns", "experiment %s has more than %d runs", e.ID, maxRunsHeld)
	}
	type head struct {
		id    string
		start int64
	}
	var heads []head
	for _, id := range ids {
		if len(id) != 32 { // datasets, models, tags, traces
			continue
		}
		var m metaRun
		if err := s.meta(path.Join(home, id), &m); err != nil {
			return err
		}
		heads = append(heads, head{id, m.Start})
	}
	slices.SortFunc(heads, func(a, b head) int { return cmp.Or(cmp.Compare(a.start, b.start), strings.Compare(a.id, b.id)) })
	for part := range slices.Chunk(heads, runPage) {
		runs := make([]Run, 0, len(part))
		for _, h := range part {
			if err := ctx.Err(); err != nil {
				return err
			}
			r, err := s.run(home, e.ID, h.id)
			if err != nil {
				return err
			}
			runs = append(runs, r)
		}
		if err := page(runs); err != nil {
			return err
		}
	}
	return nil
}

func (s *mlruns) run(home, exp, id string) (Run, error) {
	dir := path.Join(home, id)
	var m metaRun
	if err := s.meta(dir, &m); err != nil {
		return Run{}, err
	}
	if got := cmp.Or(m.ID, m.UUID); got != id {
		return Run{}, errs.Invalidf("transfer.mlruns", "%s/meta.yaml says that it is run %.60q", dir, got)
	}
	r := Run{ID: id, Experiment: exp, Name: cmp.Or(m.Name, m.OldName), User: m.User, Status: runStatus(m.Status), Deleted: m.Lifecycle == deleted, Start: m.Start, End: m.End,
		ArtifactURI: m.URI, Latest: map[string]Point{}}
	var err error
	if r.Params, err = s.texts(path.Join(dir, "params")); err != nil {
		return r, err
	}
	if r.Tags, err = s.texts(path.Join(dir, "tags")); err != nil {
		return r, err
	}
	err = s.eachFile(path.Join(dir, "metrics"), func(key string) error {
		first := true
		return s.points(path.Join(dir, "metrics", key), func(p Point, _ []string) error {
			if first || p.newer(r.Latest[key]) {
				r.Latest[key], first = p, false
			}
			return nil
		})
	})
	if err != nil {
		return r, err
	}
	err = s.inputs(home, dir, &r)
	return r.named(), err
}

// runStatus reads the numbers and the names of RunStatus.
func runStatus(v any) string {
	switch t := fmt.Sprint(v); t {
	case "2", "SCHEDULED":
		return "SCHEDULED"
	case "3", "FINISHED":
		return "FINISHED"
	case "4", "FAILED":
		return "FAILED"
	case "5", "KILLED":
		return "KILLED"
	}
	return "RUNNING"
}

// points reads a metric's file: a line is "time value [step [more...]]".
func (s *mlruns) points(file string, each func(p Point, more []string) error) error {
	f, err := s.dir.Open(file)
	if err != nil {
		return errs.E(errs.Invalid, "transfer.mlruns", "cannot read "+file, err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		part := strings.Fields(lines.Text())
		var p Point
		var bad [3]error
		p.Time, bad[0] = strconv.ParseInt(part[0], 10, 64)
		if len(part) < 2 {
			return errs.Invalidf("transfer.mlruns", "%s: line %d is not a point of a metric", file, n)
		}
		p.Value, bad[1] = strconv.ParseFloat(part[1], 64)
		if len(part) > 2 {
			p.Step, bad[2] = strconv.ParseInt(part[2], 10, 64)
		}
		if errors.Is(bad[1], strconv.ErrRange) {
			bad[1] = nil // too large or too small: infinity or zero
		}
		if err := errors.Join(bad[:]...); err != nil {
			return errs.Invalidf("transfer.mlruns", "%s: line %d is not a point of a metric", file, n)
		}
		if err := each(p, part[min(3, len(part)):]); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return errs.E(errs.Invalid, "transfer.mlruns", "cannot read "+file, err)
	}
	return nil
}

func (s *mlruns) History(ctx context.Context, r Run, key string, part func([]Point) error) error {
	if !filepath.IsLocal(key) {
		return errs.Invalidf("transfer.mlruns", "%.100q is not a metric's name", key)
	}
	var points []Point
	err := s.points(path.Join(s.home(r.Experiment), r.ID, "metrics", key), func(p Point, _ []string) error {
		if points = append(points, p); len(points) < historyPage {
			return nil
		}
		full := points
		points = nil
		return errors.Join(ctx.Err(), part(full))
	})
	if err == nil && len(points) > 0 {
		err = part(points)
	}
	return err
}

type metaInput struct {
	SourceType string            `yaml:"source_type"`
	SourceID   string            `yaml:"source_id"`
	ToType     string            `yaml:"destination_type"`
	ToID       string            `yaml:"destination_id"`
	Tags       map[string]string `yaml:"tags"`
	Step       int64             `yaml:"step"`
}

type metaDataset struct {
	Name       string `yaml:"name"`
	Digest     string `yaml:"digest"`
	SourceType string `yaml:"source_type"`
	Source     string `yaml:"source"`
	Schema     string `yaml:"schema"`
	Profile    string `yaml:"profile"`
}

func (s *mlruns) inputs(home, dir string, r *Run) error {
	ids, err := s.folders(path.Join(dir, "inputs"))
	if err != nil {
		return err
	}
	for _, id := range ids {
		var m metaInput
		if err := s.meta(path.Join(dir, "inputs", id), &m); err != nil {
			return err
		}
		if m.SourceType != "DATASET" {
			r.ModelInputs = append(r.ModelInputs, Ref{ModelID: m.SourceID})
			continue
		}
		at := path.Join(home, "datasets", m.SourceID)
		if !filepath.IsLocal(m.SourceID) {
			return errs.Invalidf("transfer.mlruns", "%s names the dataset %.60q", dir, m.SourceID)
		}
		if _, err := s.dir.Stat(path.Join(at, metaFile)); err != nil {
			continue // MLflow leaves those out too
		}
		var d metaDataset
		if err := s.meta(at, &d); err != nil {
			return err
		}
		in := Input{d.Name, d.Digest, d.SourceType, d.Source, d.Schema, d.Profile, m.Tags}
		if in.Tags == nil {
			in.Tags = map[string]string{}
		}
		r.Inputs = append(r.Inputs, in)
	}
	slices.SortFunc(r.Inputs, byInput)
	if ids, err = s.folders(path.Join(dir, "outputs")); err != nil {
		return err
	}
	for _, id := range ids {
		var m metaInput
		if err := s.meta(path.Join(dir, "outputs", id), &m); err != nil {
			return err
		}
		if m.ToType == "MODEL_OUTPUT" {
			r.ModelOutputs = append(r.ModelOutputs, Ref{m.ToID, m.Step})
		}
	}
	return nil
}

func (s *mlruns) Files(_ context.Context, o Owner) (Tree, error) { return s.roots.tree(o) }
