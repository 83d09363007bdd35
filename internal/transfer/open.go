package transfer

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// From names a store to read.
type From struct {
	Server             // its URL is the address, the SQLite file or the folder
	Artifacts []string // more folders that hold files of a local store: <experiment>/<run>/artifacts/...
}

// Open opens the store at http(s)://..., sqlite:///path or a path of a SQLite file or mlruns folder. Close it when it is an io.Closer.
func Open(ctx context.Context, f From) (Source, error) {
	scheme, rest, hasScheme := strings.Cut(f.URL, "://")
	switch {
	case hasScheme && (scheme == "http" || scheme == "https"):
		return OpenServer(ctx, f.Server)
	case hasScheme && scheme == "sqlite":
		p := strings.TrimPrefix(rest, "/") // sqlite:///relative, sqlite:////absolute
		if p, _, _ = strings.Cut(p, "?"); p == "" {
			return nil, errs.Invalidf("transfer.open", "%q names no file", f.URL).WithHint("expected sqlite:///mlflow.db, or sqlite:////path/mlflow.db")
		}
		if _, err := os.Stat(p); err != nil && !filepath.IsAbs(p) { // sqlite:///path/mlflow.db, meant as an absolute path
			if _, err := os.Stat("/" + p); err == nil {
				p = "/" + p
			}
		}
		return OpenSQLite(ctx, p, f.Workspace, f.Artifacts)
	case hasScheme && scheme == "file":
		return openPath(ctx, rest, f)
	case hasScheme:
		return nil, errs.Invalidf("transfer.open", "stores at %s:// cannot be read directly", scheme).
			WithHint("start MLflow on it (mlflow server --backend-store-uri ...) and import from that server's address")
	}
	return openPath(ctx, f.URL, f)
}

func openPath(ctx context.Context, p string, f From) (Source, error) {
	info, err := os.Stat(p)
	if err != nil {
		return nil, errs.E(errs.NotFound, "transfer.open", "there is no store at "+p, err).WithHint("expected a server's address, sqlite:///mlflow.db or an mlruns folder")
	}
	if info.IsDir() {
		if f.Workspace != "" && f.Workspace != space.Default {
			return nil, errs.Invalidf("transfer.open", "the folder %s has no workspaces", p).WithHint("leave the source's workspace out: only servers and SQLite files of MLflow 3.10 and newer have them")
		}
		return OpenFolder(p, f.Artifacts)
	}
	return OpenSQLite(ctx, p, f.Workspace, f.Artifacts)
}
