// Package restore is the command that makes a data folder from a backup.
package restore

import (
	"bufio"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/internal/app"
	"github.com/modelyard/modelyard/internal/cli/backup"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/cli/up"
)

// New is `modelyard restore`.
func New(f *cmdutil.Factory) *cobra.Command {
	var file string
	var force, check bool
	cmd := &cobra.Command{
		Use: "restore <file>", Short: "Make a data folder from a backup",
		Long: `Read a backup, check every byte of it and write a data folder. The folder appears only when all of it is there and sound; modelyard up
then starts on it. No server may run on the folder.

A folder that is not empty is refused. With --force it is moved aside, to a name that is printed. A backup of a PostgreSQL database is
restored into an empty database, named by --database-url.`,
		Example: "  modelyard restore backup.tar.zst --data-dir /srv/modelyard\n  modelyard restore backup.tar.zst --check",
		Args:    cmdutil.Args("<file>"),
	}
	up.Flags(cmd, &file)
	cmd.Flags().BoolVar(&force, "force", false, "move a folder that is not empty aside")
	cmd.Flags().BoolVar(&check, "check", false, "only read and check the backup and say what it holds")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, closeIn, err := open(f, args[0])
		if err != nil {
			return err
		}
		defer closeIn()
		if check {
			m, err := app.CheckBackup(in)
			if err != nil {
				return err
			}
			if f.Structured() {
				return f.Document(m)
			}
			f.Progress("the backup is whole: %s", backup.Describe(m))
			return nil
		}
		cfg, _, err := up.Load(cmd, file)
		if err != nil {
			return err
		}
		r, err := app.Restore(cmd.Context(), cfg, in, force)
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(r)
		}
		f.Progress("%s", backup.Describe(r.Manifest))
		if r.Before != "" {
			f.Progress("the folder that was there is now %s", r.Before)
		}
		f.Progress("restored to %s: start it with modelyard up --data-dir %s", r.DataDir, r.DataDir)
		return nil
	}
	return cmd
}

func open(f *cmdutil.Factory, name string) (io.Reader, func(), error) {
	if name == "-" {
		return f.In, func() {}, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	return bufio.NewReaderSize(file, 1<<20), func() { _ = file.Close() }, nil
}
