package predlog

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/modelyard/modelyard/internal/platform/backup"
)

// BackupFiles lists the segments of the log for a backup, flushed, each up to its last whole frame.
func (s *Service) BackupFiles(context.Context) ([]backup.File, error) {
	if err := s.w.flush(); err != nil {
		return nil, err
	}
	var out []backup.File
	for _, g := range s.w.list() {
		name := g.name()
		v := g.look("")
		size := v.size
		if v.closed {
			st, err := s.w.root.Stat(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // retention removed it
			}
			if err != nil {
				return nil, fail("predlog.backup", err)
			}
			size = st.Size()
		}
		out = append(out, backup.File{Name: filepath.Join("predictions", name), Size: size, Open: func() (io.ReadCloser, error) { return s.w.root.Open(name) }})
	}
	return out, nil
}
