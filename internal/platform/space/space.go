// Package space names the workspaces that share one server, and carries the one a request works in through its context.
//
// A request that carries a workspace sees and changes only what is in it. One that carries none (the native API, jobs, listeners) sees
// everything: workspaces keep the users of MLflow's clients apart, they are no permission.
//
// Experiments, webhooks and evaluation datasets keep their workspace beside them. Registered models, whose names are known all over the
// server (in events, addresses, endpoints), have it in their name: team-a:churn is the model that clients in team-a call churn, and churn
// alone is the one in the default workspace.
package space

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Default is the workspace of what names none. It always exists.
const Default = "default"

type key struct{}

// With puts the workspace that a request works in into its context.
func With(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, key{}, name)
}

// All takes the workspace out of the context, for what the server does in all of them.
func All(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, nil) }

// From is the workspace of the context; not ok when it sees everything.
func From(ctx context.Context) (name string, ok bool) {
	name, ok = ctx.Value(key{}).(string)
	return name, ok
}

// Of is the workspace in which the context makes and looks up names: the default one when it carries none.
func Of(ctx context.Context) string {
	if name, ok := From(ctx); ok {
		return name
	}
	return Default
}

// Sees reports whether the context may see what is in a workspace.
func Sees(ctx context.Context, name string) bool {
	mine, ok := From(ctx)
	return !ok || mine == name
}

const separator = ":"

// Full is the name that a registered model of a workspace has all over the server.
func Full(workspace, name string) string {
	if workspace == "" || workspace == Default {
		return name
	}
	return workspace + separator + name
}

// Split takes a full name apart.
func Split(full string) (workspace, name string) {
	if w, n, ok := strings.Cut(full, separator); ok {
		return w, n
	}
	return Default, full
}

// Bare is the name within its workspace.
func Bare(full string) string {
	_, name := Split(full)
	return name
}

// BareURI is the address of a model version (models:/team-a:churn/3) with the name as it is within its workspace; others stay as they are.
func BareURI(uri string) string {
	rest, ok := strings.CutPrefix(uri, "models:/")
	if !ok {
		return uri
	}
	name, version, _ := strings.Cut(rest, "/")
	if workspace, bare := Split(name); workspace != Default {
		return strings.TrimSuffix("models:/"+bare+"/"+version, "/")
	}
	return uri
}

var pattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// Check refuses names that workspaces cannot have; the rules and the words are MLflow's. It returns Invalid.
func Check(name string) error {
	const op = "space.name"
	switch {
	case len(name) < 2 || len(name) > 63:
		return errs.Invalidf(op, "Workspace name '%.80s' must be between 2 and 63 characters.", name).WithField("name", "expected 2 to 63 characters")
	case !pattern.MatchString(name):
		return errs.Invalidf(op, "Workspace name '%.80s' must match the pattern %s (lowercase alphanumeric with optional internal hyphens).", name, pattern).
			WithField("name", "expected a name such as team-a")
	case slices.Contains([]string{"workspaces", "api", "ajax-api", "static-files"}, name):
		return errs.Invalidf(op, "Workspace name '%s' is reserved and cannot be used.", name).WithField("name", "expected another name")
	}
	return nil
}
