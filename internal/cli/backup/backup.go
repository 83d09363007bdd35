// Package backup is the command that saves everything a server keeps in one file.
package backup

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/platform/backup"
)

// New is `modelyard backup`.
func New(f *cmdutil.Factory) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "backup <file>", Short: "Save everything the server keeps in one file, while it serves",
		Long: `Ask the server for a backup and write it to a file: metadata as of one moment, all contents it refers to, the prediction log, keys
and what pipeline steps printed. Writers go on meanwhile. The file is checked as it comes and appears under its name only when it is
whole. It holds the keys that secrets are encrypted with: keep it as safe as the data folder.

modelyard restore reads it back; modelyard restore --check looks whether it is whole and says what it holds.`,
		Example: "  modelyard backup modelyard-$(date +%F).tar.zst\n  modelyard backup --server https://models.example.org backup.tar.zst",
		Args:    cmdutil.Args("<file>"),
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace a file that is there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := args[0]
		if _, err := os.Stat(name); err == nil && !force {
			return cmdutil.Usage("%s exists already: choose another name or add --force", name)
		}
		c, err := f.Client()
		if err != nil {
			return err
		}
		resp, err := c.Do(cmd.Context(), client.Request{Method: http.MethodPost, Path: "/api/v1/backup"})
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		m, size, err := save(resp.Body, name)
		if err != nil {
			return err
		}
		if f.Structured() {
			return f.Document(m)
		}
		f.Progress("%s", Describe(m))
		if n := len(m.Missing) + len(m.Damaged); n > 0 {
			f.Progress("warning: %d contents are missing and %d damaged in the server's own store; the backup holds everything else", len(m.Missing), len(m.Damaged))
		}
		_, err = fmt.Fprintf(f.Out, "%s (%s bytes)\n", name, strconv.FormatInt(size, 10))
		return err
	}
	return cmd
}

// save writes and checks the stream; the file appears when it is whole.
func save(r io.Reader, name string) (backup.Manifest, int64, error) {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".backup-*.part")
	if err != nil {
		return backup.Manifest{}, 0, err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	both := io.TeeReader(r, tmp)
	m, err := backup.Read(both, backup.Nothing{})
	if err == nil {
		_, err = io.Copy(io.Discard, both) // what closes the stream, behind the last entry
	}
	st, serr := tmp.Stat()
	err = errors.Join(err, serr, tmp.Sync(), tmp.Close())
	if err != nil {
		return m, 0, err
	}
	return m, st.Size(), os.Rename(tmp.Name(), name)
}

// Describe says in one line what a backup holds.
func Describe(m backup.Manifest) string {
	rows := map[string]int64{}
	for _, t := range m.Tables {
		rows[t.Name] = t.Rows
	}
	return fmt.Sprintf("written by Modelyard %s at %s (%s): %d runs in %d experiments, %d model versions, %d dataset versions, %d contents (%d bytes), %d events",
		m.Program, m.CreatedAt.Format("2006-01-02 15:04:05 MST"), m.Engine, rows["run"], rows["experiment"], rows["registry_version"], rows["dataset_version"], m.Contents, m.ContentBytes, m.Events)
}
