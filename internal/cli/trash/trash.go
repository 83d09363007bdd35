// Package trash holds the commands on what was deleted.
package trash

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/internal/cli/cmdutil"
)

const root = "/api/v1/trash"

// New is `modelyard trash`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{
		Use: "trash", Short: "What was deleted: bring it back, or remove it for good",
		Long: `Deleted runs, experiments, logged models, registered models, versions, datasets and traces wait in the trash. They can be brought back
until they are purged: by hand, or by the server once they waited trash_days (30 by default; 0 keeps them until you purge).

This is also what mlflow gc is for. mlflow gc works on the database of an MLflow server and cannot work through a tracking
server, whichever it is: use modelyard trash purge instead.`,
	}
	cmd.AddCommand(list(f), restore(f), purge(f), sweep(f))
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	var kind, workspace string
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List what is in the trash", Args: cmdutil.Args()}
	cmd.Flags().StringVar(&kind, "kind", "", "only this kind: run, experiment, logged_model, model, model_version, prompt, prompt_version, dataset, dataset_version, trace")
	cmd.Flags().StringVar(&workspace, "workspace", "", "only what is in this workspace")
	cmd.Flags().IntVar(&limit, "limit", 200, "most things to show, 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q := url.Values{"page_size": {"200"}}
		if kind != "" {
			q.Set("kind", kind)
		}
		if workspace != "" {
			q.Set("workspace", workspace)
		}
		return f.ShowList(cmd.Context(), root, q, limit, "the trash is empty", cmdutil.Col("id", "id"), cmdutil.Col("name", "name"), cmdutil.Col("in", "parent"),
			cmdutil.AgoCol("deleted", "deleted_at"), cmdutil.Col("by", "deleted_by"), bytesCol("size", "bytes"), cmdutil.Col("used by", "used_by"))
	}
	return cmd
}

func bytesCol(head, path string) cmdutil.Column[cmdutil.Object] {
	return cmdutil.Column[cmdutil.Object]{Head: head, Cell: func(o cmdutil.Object) string { return size(o, path) }}
}

// size is a number of bytes for people.
func size(o cmdutil.Object, path string) string {
	n, ok := o.Get(path).(float64)
	if !ok {
		return ""
	}
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if n < 1024 {
			return strconv.FormatFloat(n, 'f', map[bool]int{true: 0, false: 1}[unit == "B"], 64) + " " + unit
		}
		n /= 1024
	}
	return strconv.FormatFloat(n, 'f', 1, 64) + " TiB"
}

func restore(f *cmdutil.Factory) *cobra.Command {
	var workspace string
	cmd := &cobra.Command{
		Use: "restore <kind:id>...", Short: "Bring things back", Example: "  modelyard trash restore run:0123456789abcdef0123456789abcdef",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmdutil.Usage("missing <kind:id>: modelyard trash list shows them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"ids": args}
			if workspace != "" {
				body["workspace"] = workspace
			}
			o, err := f.Send(cmd.Context(), http.MethodPost, root+"/restore", body)
			if err != nil {
				return err
			}
			if f.Structured() {
				return f.Document(o)
			}
			f.Progress("%s restored", o.Str("restored"))
			return nil
		},
	}
	cmd.Flags().StringVar(&workspace, "workspace", "", "only what is in this workspace")
	return cmd
}

func purge(f *cmdutil.Factory) *cobra.Command {
	var kinds []string
	var older, workspace string
	var dry bool
	cmd := &cobra.Command{
		Use: "purge [<kind:id>...]", Short: "Remove things for good, with the files that nothing else refers to",
		Long: `Remove what is in the trash for good. Without ids it takes what has waited longer than the undo period; --older-than says another age.
What a living model version was made from is kept.`,
		Example: "  modelyard trash purge --dry-run\n  modelyard trash purge --older-than 0s --yes\n  modelyard trash purge --kind run --older-than 7d\n  modelyard trash purge run:0123456789abcdef0123456789abcdef",
		Args:    cobra.ArbitraryArgs,
	}
	cmd.Flags().StringSliceVar(&kinds, "kind", nil, "only these kinds")
	cmd.Flags().StringVar(&older, "older-than", "", "only what was deleted longer ago, such as 30d, 12h or 0s for everything (default: the undo period, or 0s with ids)")
	cmd.Flags().StringVar(&workspace, "workspace", "", "only what is in this workspace")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would go, change nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body := map[string]any{"dry_run": true, "kinds": kinds, "ids": args, "older_than": older, "workspace": workspace}
		for k, v := range body {
			if s, ok := v.([]string); ok && len(s) == 0 || v == "" {
				delete(body, k)
			}
		}
		would, err := f.Send(cmd.Context(), http.MethodPost, root+"/purge", body)
		if err != nil {
			return err
		}
		if dry || would.Str("count") == "0" {
			return show(f, would, "would go")
		}
		if err := f.Confirm(fmt.Sprintf("remove %s things (%s of files) for good", would.Str("count"), size(would, "bytes"))); err != nil {
			return err
		}
		body["dry_run"] = false
		for {
			o, err := f.Send(cmd.Context(), http.MethodPost, root+"/purge", body)
			if err != nil {
				return err
			}
			if more, _ := o.Get("more").(bool); !more {
				return show(f, o, "went")
			}
			f.Progress("%s went, going on", o.Str("count"))
		}
	}
	return cmd
}

func show(f *cmdutil.Factory, o cmdutil.Object, went string) error {
	if f.Structured() {
		return f.Document(o)
	}
	rows := o.Items("items")
	err := cmdutil.List(f, rows, rows, []cmdutil.Column[cmdutil.Object]{cmdutil.Col("id", "id"), cmdutil.Col("name", "name"), cmdutil.Col("in", "parent"),
		cmdutil.AgoCol("deleted", "deleted_at"), cmdutil.Col("files", "files"), bytesCol("size", "bytes")})
	if err != nil {
		return err
	}
	for _, k := range o.Items("kept") {
		f.Progress("kept: %s %s, used by %s%s", k.Str("id"), k.Str("name"), k.Str("used_by"), k.Str("error"))
	}
	f.Progress("%s things with %s files (%s) %s; %s become free", o.Str("count"), o.Str("files"), size(o, "bytes"), went, size(o, "freed_bytes"))
	return nil
}

func sweep(f *cmdutil.Factory) *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use: "sweep", Short: "Remove file contents that nothing refers to (the server does it once a day)", Args: cmdutil.Args(),
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "count, remove nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := f.Send(cmd.Context(), http.MethodPost, root+"/sweep", map[string]any{"dry_run": dry})
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(o)
		}
		f.Progress("%s contents checked, %s removed (%s), %s still wait for an upload or a backup", o.Str("checked"), o.Str("removed"), size(o, "bytes"), o.Str("waiting"))
		return nil
	}
	return cmd
}
