package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// roots are the folders of this machine that files of a local store may be read from, and nothing outside them: addresses inside a store
// are data, and a link that leads elsewhere is an error.
type roots []*root

type root struct {
	dir string // absolute
	*os.Root
}

// openRoots opens those of the folders that are there; wanted ones must be.
func openRoots(maybe, wanted []string) (roots, error) {
	var out roots
	for i, dir := range append(append([]string(nil), maybe...), wanted...) {
		abs, err := filepath.Abs(dir)
		if err == nil {
			if real, rerr := filepath.EvalSymlinks(abs); rerr == nil {
				abs = real
			}
		}
		var r *os.Root
		if err == nil {
			r, err = os.OpenRoot(abs)
		}
		if err != nil {
			if i < len(maybe) && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, errors.Join(errs.E(errs.NotFound, "transfer.open", "the folder "+dir+" cannot be read", err), out.close())
		}
		out = append(out, &root{abs, r})
	}
	return out, nil
}

func (rs roots) close() error {
	var err error
	for _, r := range rs {
		err = errors.Join(err, r.Close())
	}
	return err
}

// tree finds the folder of an owner's files: where the store says, or at its usual place below one of the roots, for stores that were moved.
func (rs roots) tree(o Owner) (Tree, error) {
	usual := []string{path.Join(o.Experiment, o.ID, "artifacts")}
	if o.Kind == KindModel {
		usual = []string{path.Join(o.Experiment, "models", o.ID, "artifacts")}
	}
	usual = append(usual, path.Join(trash, usual[0]))
	below, viaProxy := proxied(o.URI)
	abs, isLocal := localPath(o.URI)
	if !viaProxy && !isLocal && o.URI != "" {
		return nil, errs.Invalidf("transfer.files", "the files lie at %.300q, which is not read from here", o.URI).
			WithHint("import through the MLflow server, which can read them: --from http://...")
	}
	for _, r := range rs {
		candidates := usual
		if viaProxy {
			candidates = append([]string{below}, usual...)
		} else if rel, ok := r.rel(abs); ok {
			candidates = append([]string{rel}, usual...)
		}
		for _, c := range candidates {
			if info, err := r.Stat(c); err == nil && info.IsDir() {
				return &localTree{r.Root, c}, nil
			}
		}
	}
	if isLocal {
		for _, r := range rs {
			if _, ok := r.rel(abs); ok {
				return noFiles{}, nil // nothing was logged
			}
		}
		if _, err := os.Stat(abs); err != nil {
			return noFiles{}, nil //nolint:nilerr // not there at all
		}
	} else if len(rs) > 0 {
		return noFiles{}, nil
	}
	return nil, errs.E(errs.Precondition, "transfer.files", "the files lie at "+o.URI+", outside the folders that are read", nil).
		WithHint("name the folder with --artifacts")
}

// rel gives a path inside the root.
func (r *root) rel(abs string) (string, bool) {
	if abs == "" {
		return "", false
	}
	rel, err := filepath.Rel(r.dir, abs)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// localPath is the absolute path that an artifact address means, when it means one.
func localPath(uri string) (string, bool) {
	p := uri
	if rest, ok := strings.CutPrefix(uri, "file:"); ok {
		u, err := url.Parse("file:" + rest)
		if err != nil || (u.Host != "" && u.Host != "localhost") {
			return "", false
		}
		p = u.Path
	} else if scheme, _, ok := strings.Cut(uri, ":"); ok && !strings.Contains(scheme, "/") && len(scheme) > 1 {
		return "", false
	}
	if p == "" {
		return "", false
	}
	abs, err := filepath.Abs(p)
	if err != nil {
		return "", false
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	return abs, true
}

type noFiles struct{}

func (noFiles) List(context.Context) ([]File, error) { return nil, nil }
func (noFiles) Open(_ context.Context, p string) (io.ReadCloser, error) {
	return nil, errs.NotFoundf("transfer.files", "no file %q", p)
}

// localTree is a folder below a root.
type localTree struct {
	root *os.Root
	dir  string
}

func (t *localTree) List(ctx context.Context) ([]File, error) {
	return walk(ctx, func(ctx context.Context, dir string) ([]entry, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		names, err := fs.ReadDir(t.root.FS(), path.Join(t.dir, dir))
		if err != nil {
			return nil, errs.E(errs.Unavailable, "transfer.files", "cannot read the folder "+dir, err)
		}
		out := make([]entry, 0, len(names))
		for _, n := range names {
			p := path.Join(dir, n.Name())
			info, err := t.root.Stat(path.Join(t.dir, p)) // fails for a link that leaves the root
			e := entry{Path: p}
			switch {
			case err != nil:
				e.refused = "it leads out of the folder or cannot be read"
			case info.IsDir() && n.Type()&fs.ModeSymlink != 0:
				e.refused = "it is a link to a folder: such links are not followed"
			case !info.IsDir() && !info.Mode().IsRegular():
				e.refused = "it is neither a file nor a folder"
			default:
				e.Dir, e.Size = info.IsDir(), integer(info.Size())
			}
			out = append(out, e)
		}
		return out, nil
	})
}

func (t *localTree) Open(_ context.Context, p string) (io.ReadCloser, error) {
	f, err := t.root.Open(path.Join(t.dir, p))
	if err != nil {
		return nil, errs.E(errs.Unavailable, "transfer.files", "cannot read the file "+p, err)
	}
	return f, nil
}
