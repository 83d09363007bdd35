// Package config is the command that shows the server's configuration.
package config

import (
	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/cli/up"
	"github.com/modelyard/modelyard/internal/platform/config"
)

// New is `modelyard config`.
func New(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show the server's configuration"}
	cmd.AddCommand(show(f))
	return cmd
}

type row struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

func show(f *cmdutil.Factory) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show each setting, its value and where it comes from",
		Long:  "Show each setting as `modelyard up` with the same flags would use it. Secrets are hidden.",
		Args:  cmdutil.Args(),
	}
	up.Flags(cmd, &file)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, origin, err := up.Load(cmd, file)
		if err != nil {
			return err
		}
		values := cfg.Values()
		var rows []row
		for _, k := range config.Keys() {
			rows = append(rows, row{k.Name, values[k.Name], origin[k.Name]})
		}
		return cmdutil.List(f, rows, rows, []cmdutil.Column[row]{
			{Head: "key", Cell: func(r row) string { return r.Key }},
			{Head: "value", Cell: func(r row) string { return r.Value }},
			{Head: "origin", Cell: func(r row) string { return r.Origin }},
		})
	}
	return cmd
}
