package workspace

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// Workspace is one of those that share the server.
type Workspace struct {
	Name         string    `json:"name"`
	Description  string    `json:"description,omitempty"`
	ArtifactRoot string    `json:"default_artifact_root,omitempty"`
	CreatedAt    time.Time `json:"created_at"`
	UpdatedAt    time.Time `json:"updated_at"`

	closing bool
}

// Change says what to change; nil leaves it as it is.
type Change struct {
	Description  *string `json:"description,omitempty"`
	ArtifactRoot *string `json:"default_artifact_root,omitempty" doc:"empty, or mlflow-artifacts:/: this server keeps artifacts itself"`
}

// Limits.
const (
	MaxDescription = 10_000 // characters
	MaxWorkspaces  = 10_000
)

func (ch Change) check(c *errs.Collector) {
	if d := ch.Description; d != nil {
		switch {
		case !utf8.ValidString(*d) || strings.IndexByte(*d, 0) >= 0:
			c.Add("description", "expected UTF-8 text without NUL characters")
		case utf8.RuneCountInString(*d) > MaxDescription:
			c.Add("description", "expected at most %d characters", MaxDescription)
		}
	}
	if r := ch.ArtifactRoot; r != nil {
		if root := strings.TrimSpace(*r); root != "" && root != "mlflow-artifacts:" && root != "mlflow-artifacts:/" {
			c.Add("default_artifact_root", "this server keeps artifacts itself: leave it empty, or mlflow-artifacts:/")
		}
	}
}

func (ch Change) into(w *Workspace) {
	if ch.Description != nil {
		w.Description = *ch.Description
	}
	if ch.ArtifactRoot != nil {
		w.ArtifactRoot = strings.TrimSpace(*ch.ArtifactRoot)
	}
}

// Mode says what becomes of what is in a workspace that is deleted. The words are MLflow's.
type Mode string

// The modes.
const (
	Restrict   Mode = "RESTRICT"    // it must be empty
	SetDefault Mode = "SET_DEFAULT" // it goes to the default workspace
	Cascade    Mode = "CASCADE"     // it goes for good
)

// Valid reports whether m is known.
func (m Mode) Valid() bool { return m == Restrict || m == SetDefault || m == Cascade }

// Holder is a domain with things in workspaces. All functions are safe to call again after they failed.
type Holder struct {
	Noun  string // in the plural: experiments
	Names func(ctx context.Context, workspace string) ([]string, error)
	Move  func(ctx context.Context, from, to string) error
	Purge func(ctx context.Context, workspace string) error
}

func unknown(name string) error {
	return errs.NotFoundf("workspace.find", "Workspace '%.80s' not found", name).WithHint("make it with: modelyard workspace create <name>")
}

func reserved(name, what string) error {
	if name != space.Default {
		return nil
	}
	return errs.Invalidf("workspace.reserved", "The 'default' workspace is reserved and cannot be %s", what).WithField("name", "expected another workspace")
}
