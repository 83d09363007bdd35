// Package runtime holds the commands on what runs models on this machine.
package runtime

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/internal/app"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/cli/up"
)

// New is `modelyard runtime`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{
		Use: "runtime", Short: "What runs models on this machine", Aliases: []string{"runtimes"},
		Long: `Models run in one of three ways:

  native        in this program: XGBoost, LightGBM, ONNX graphs of trees and linear models
  onnxruntime   by the ONNX Runtime library: every other ONNX graph. Install it with modelyard runtime install
  python        in a worker process with the environment the model asks for: scikit-learn, pyfunc and the rest`,
	}
	cmd.AddCommand(list(f), install(f))
	return cmd
}

func list(f *cmdutil.Factory) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "list", Short: "List the runtimes, with version and path", Args: cmdutil.Args(),
		Long: "List the runtimes that this machine has. It needs no server; the flags are those of modelyard up.",
	}
	up.Flags(cmd, &file)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, _, err := up.Load(cmd, file)
		if err != nil {
			return err
		}
		rows := app.Runtimes(cmd.Context(), cfg)
		return cmdutil.List(f, rows, rows, []cmdutil.Column[app.Runtime]{
			{Head: "name", Cell: func(r app.Runtime) string { return r.Name }},
			{Head: "state", Cell: func(r app.Runtime) string { return r.State }},
			{Head: "version", Cell: func(r app.Runtime) string { return r.Version }},
			{Head: "runs", Cell: func(r app.Runtime) string { return r.Runs }},
			{Head: "note", Cell: func(r app.Runtime) string { return r.Path + r.Note }},
		})
	}
	return cmd
}

func install(f *cmdutil.Factory) *cobra.Command {
	return &cobra.Command{
		Use: "install [onnxruntime]", Short: "Fetch the ONNX Runtime library", ValidArgs: app.Installable(),
		Long: `Fetch the ONNX Runtime library from its official PyPI wheel, with the pip or uv of this machine, so that your package index, proxy
and certificates apply. Version and SHA-256 are pinned: anything else is refused. It lands in your cache folder, where servers of
this user find it; no Python is needed to use it. Set MODELYARD_ONNXRUNTIME to use a library of your own instead.`,
		Example: "  modelyard runtime install\n  modelyard runtime list",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return cmdutil.Usage("unexpected argument %q", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "onnxruntime"
			if len(args) == 1 {
				name = args[0]
			}
			path, err := app.InstallRuntime(cmd.Context(), name, func(line string) { f.Progress("%s", line) })
			if err != nil {
				return err
			}
			if f.Structured() {
				return f.Document(map[string]string{"name": name, "path": path})
			}
			_, err = fmt.Fprintln(f.Out, path)
			return err
		},
	}
}
