package backup

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

func asError(err error, target **errs.Error) bool { return errors.As(err, target) }

// Sink takes what Read finds.
type Sink interface {
	// Manifest comes first; its error ends the reading.
	Manifest(Manifest) error
	// Entry takes one entry of the data folder or the database. name is relative, clean and below the folder.
	Entry(name string, r io.Reader) error
}

// maxJSON bounds the manifest and the checksums in bytes.
const maxJSON = 1 << 30

// Read reads a backup to its end and checks every byte of it. What the sink was given is to be used only when Read returned nil: the
// last entry proves that the stream is whole. Kinds: Invalid (not a backup, damaged or cut off), Precondition (of a newer version).
func Read(r io.Reader, s Sink) (Manifest, error) {
	var m Manifest
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		return m, notBackup(err)
	}
	defer z.Close()
	in := tar.NewReader(z)
	seen := map[string]Entry{}
	for first := true; ; first = false {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return m, damaged("it ends before its checksums", nil)
		}
		if err != nil {
			if first {
				return m, notBackup(err)
			}
			return m, damaged("it cannot be read to its end", err)
		}
		name := head.Name
		if head.Typeflag != tar.TypeReg || !safe(name) {
			return m, damaged("it holds something that Modelyard does not write: "+name, nil)
		}
		if _, twice := seen[name]; twice {
			return m, damaged("it holds "+name+" twice", nil)
		}
		h := sha256.New()
		body := io.TeeReader(in, h)
		switch {
		case first && name != manifestName:
			return m, notBackup(nil)
		case first:
			if err := decode(body, head.Size, &m); err != nil {
				return m, notBackup(err)
			}
			if m.Format > Format {
				return m, errs.E(errs.Precondition, "backup.read", "the backup was written by a newer version of Modelyard ("+m.Program+")", nil).WithHint("upgrade this program")
			}
			if err := s.Manifest(m); err != nil {
				return m, err
			}
		case name == checksumsName:
			var end closing
			if err := decode(in, head.Size, &end); err != nil {
				return m, damaged("its checksums cannot be read", err)
			}
			m.Missing, m.Damaged = end.Missing, end.Damaged
			return m, compare(seen, end)
		default:
			if err := s.Entry(name, body); err != nil {
				return m, err
			}
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return m, damaged("it cannot be read to its end", err)
		}
		seen[name] = Entry{name, head.Size, hex.EncodeToString(h.Sum(nil))}
	}
}

func decode(r io.Reader, size int64, v any) error {
	if size > maxJSON {
		return errors.New("it is too large")
	}
	return json.NewDecoder(r).Decode(v)
}

func notBackup(err error) error {
	return errs.E(errs.Invalid, "backup.read", "this is no backup of Modelyard", err).WithHint("expected a file that modelyard backup wrote")
}

func damaged(what string, err error) error {
	return errs.E(errs.Invalid, "backup.read", "the backup is damaged: "+what, err).WithHint("use another backup; nothing was restored")
}

// safe accepts the names that Write makes: relative, clean, in one of the known places.
func safe(name string) bool {
	if name != path.Clean(name) || !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsAny(name, "\\\x00") {
		return false
	}
	top, _, _ := strings.Cut(name, "/")
	switch top {
	case manifestName, checksumsName, sqliteName:
		return top == name
	case tablesDir, blobsDir, filesDir:
		return top != name
	}
	return false
}

func compare(seen map[string]Entry, end closing) error {
	for _, w := range end.Entries {
		have, ok := seen[w.Name]
		if !ok {
			return damaged(w.Name+" is missing", nil)
		}
		if have != w {
			return damaged(w.Name+" is not what was written", nil)
		}
		if rest, ok := strings.CutPrefix(w.Name, blobsDir+"/"); ok {
			if d := strings.ReplaceAll(rest, "/", ""); d != w.SHA256 && !slices.Contains(end.Damaged, d) {
				return damaged(w.Name+" does not fit its name", nil)
			}
		}
	}
	if len(seen) != len(end.Entries) {
		return damaged("it holds more than was written", nil)
	}
	return nil
}

// Folder is a Sink that writes a data folder. Tables gets the pieces of PostgreSQL's tables; without it such a backup is refused.
type Folder struct {
	Root     *os.Root
	Database string // name of the SQLite file
	Tables   func(table string, r io.Reader) error
	OnStart  func(Manifest) error
}

// Manifest implements Sink.
func (f *Folder) Manifest(m Manifest) error {
	if f.OnStart == nil {
		return nil
	}
	return f.OnStart(m)
}

// Entry implements Sink.
func (f *Folder) Entry(name string, r io.Reader) error {
	top, rest, _ := strings.Cut(name, "/")
	switch top {
	case tablesDir:
		table, _, _ := strings.Cut(rest, "/")
		if f.Tables == nil {
			return damaged("it holds tables and no database is given", nil)
		}
		return f.Tables(table, r)
	case sqliteName:
		rest = f.Database
	case blobsDir:
		rest = name
	}
	rest = filepath.FromSlash(rest)
	if dir := filepath.Dir(rest); dir != "." {
		if err := f.Root.MkdirAll(dir, 0o700); err != nil {
			return failRestore(err)
		}
	}
	w, err := f.Root.OpenFile(rest, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return failRestore(err)
	}
	if _, err := io.Copy(w, r); err != nil {
		_ = w.Close()
		var pe *fs.PathError
		if errors.As(err, &pe) {
			return failRestore(err)
		}
		return damaged("it cannot be read to its end", err)
	}
	if err := errors.Join(w.Sync(), w.Close()); err != nil {
		return failRestore(err)
	}
	return nil
}

func failRestore(err error) error {
	if errs.IsDiskFull(err) {
		return errs.DiskFull("backup.restore", "there is no room to restore the backup", err)
	}
	return errs.E(errs.Unavailable, "backup.restore", "the backup cannot be written to the data folder", err)
}

// Nothing is a Sink that only checks.
type Nothing struct{}

// Manifest implements Sink.
func (Nothing) Manifest(Manifest) error { return nil }

// Entry implements Sink.
func (Nothing) Entry(string, io.Reader) error { return nil }
