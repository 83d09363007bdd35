// Package workspace keeps the workspaces that share one server: names under which the users of MLflow's clients keep experiments, registered
// models, prompts, webhooks and evaluation datasets apart. What is in a workspace belongs to the domains; they tell it to the request's
// workspace (package platform/space) and offer themselves here as holders.
//
// Table: workspace.
// Publishes: workspace.created, workspace.updated, workspace.deleted. Hears: nothing.
//
// Invariants: the default workspace is always there and is never changed into another; a workspace that is being deleted takes no
// requests; its row goes last, so that a deletion that broke off is done by doing it again.
package workspace
