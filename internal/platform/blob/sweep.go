package blob

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/modelyard/modelyard/internal/platform/db"
)

// Swept is what a sweep found.
type Swept struct {
	Checked int64 `json:"checked"` // contents looked at
	Removed int64 `json:"removed"` // contents that nothing refers to; only counted in a dry run
	Bytes   int64 `json:"bytes"`   // what they take on disk
	Waiting int64 `json:"waiting"` // unnamed contents that an upload or a backup may still need; they go with a later sweep
}

func (s *Swept) add(o Swept) {
	s.Checked += o.Checked
	s.Removed += o.Removed
	s.Bytes += o.Bytes
	s.Waiting += o.Waiting
}

// Sweep removes all contents that no name refers to: what was deleted or replaced, and what uploads that broke off left behind. It runs
// beside uploads and downloads. With dry it removes nothing.
func (f *Files) Sweep(ctx context.Context, dry bool) (Swept, error) {
	var out Swept
	for i := range 256 {
		s, err := f.sweepShard(ctx, fmt.Sprintf("%02x", i), dry)
		out.add(s)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

func (f *Files) sweepShard(ctx context.Context, prefix string, dry bool) (Swept, error) {
	all, err := f.store.Shard(ctx, prefix)
	if err != nil || len(all) == 0 {
		return Swept{}, err
	}
	defer f.store.Reaping()()
	named, err := f.named(ctx, prefix)
	if err != nil {
		return Swept{}, err
	}
	n := int64(len(all))
	s, err := f.reap(ctx, slices.DeleteFunc(all, func(c Content) bool { return named[c.Digest] }), dry)
	s.Checked = n
	return s, err
}

// named are the digests with a prefix that have a name. Digests are lower-case hex, which every collation orders alike.
func (f *Files) named(ctx context.Context, prefix string) (map[Digest]bool, error) {
	rows, err := f.db.Query(ctx, "SELECT DISTINCT digest FROM file WHERE digest >= ? AND digest < ?", prefix, prefix+"g")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[Digest]bool{}
	for rows.Next() {
		var d string
		if err := rows.Scan(&d); err != nil {
			return nil, err
		}
		out[Digest(d)] = true
	}
	return out, rows.Err()
}

func (f *Files) reap(ctx context.Context, loose []Content, dry bool) (Swept, error) {
	var out Swept
	for _, c := range loose {
		if dry {
			out.Removed, out.Bytes = out.Removed+1, out.Bytes+c.Size
			continue
		}
		if err := ctx.Err(); err != nil {
			return out, err
		}
		n, removed, err := f.store.Reap(ctx, c.Digest)
		switch {
		case err != nil:
			return out, err
		case removed:
			out.Removed, out.Bytes = out.Removed+1, out.Bytes+n
		default:
			out.Waiting++
		}
	}
	return out, nil
}

// Collect removes those of the given contents that no name refers to any more: a sweep of what a purge let go.
func (f *Files) Collect(ctx context.Context, contents []Content) (Swept, error) {
	var out Swept
	defer f.store.Reaping()()
	for part := range slices.Chunk(contents, countBatch) {
		refs, err := f.References(ctx, part)
		if err != nil {
			return out, err
		}
		s, err := f.reap(ctx, slices.DeleteFunc(slices.Clone(part), func(c Content) bool { return refs[c.Digest] > 0 }), false)
		s.Checked = int64(len(part))
		out.add(s)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// countBatch bounds the digests in one statement.
const countBatch = 400

// References counts the names of each of some contents.
func (f *Files) References(ctx context.Context, contents []Content) (map[Digest]int64, error) {
	out := make(map[Digest]int64, len(contents))
	for part := range slices.Chunk(contents, countBatch) {
		args := make([]any, len(part))
		for i, c := range part {
			args[i] = string(c.Digest)
		}
		rows, err := f.db.Query(ctx, "SELECT digest, count(*) FROM file WHERE digest IN ("+db.Placeholders(len(args))+") GROUP BY digest", args...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var d string
			var n int64
			if err := rows.Scan(&d, &n); err != nil {
				_ = rows.Close()
				return nil, err
			}
			out[Digest(d)] = n
		}
		if err := rows.Close(); err != nil {
			return nil, err
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Drop forgets all names of a root inside the caller's transaction and gives what they referred to, one entry a name, for Collect.
func (f *Files) Drop(tx *db.Tx, root string) ([]Content, error) {
	dropped, err := f.DropAll(tx, []string{root})
	return dropped[root], err
}

// DropAll is Drop of several roots at once: it gives what each of them referred to.
func (f *Files) DropAll(tx *db.Tx, roots []string) (map[string][]Content, error) {
	out := map[string][]Content{}
	for part := range slices.Chunk(roots, countBatch) {
		args := make([]any, len(part))
		for i, root := range part {
			args[i] = root
		}
		in := " IN (" + db.Placeholders(len(args)) + ")"
		rows, err := tx.Query("SELECT root, digest, size FROM file WHERE root"+in, args...)
		if err != nil {
			return nil, err
		}
		if err := contentsByRoot(rows, out); err != nil {
			return nil, err
		}
		if _, err := tx.Exec("DELETE FROM file WHERE root"+in, args...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func contentsByRoot(rows *sql.Rows, out map[string][]Content) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var root, d string
		var c Content
		if err := rows.Scan(&root, &d, &c.Size); err != nil {
			return err
		}
		c.Digest = Digest(d)
		out[root] = append(out[root], c)
	}
	return rows.Err()
}

// Contents lists what a root refers to, one entry a name.
func (f *Files) Contents(ctx context.Context, root string) ([]Content, error) {
	rows, err := f.db.Query(ctx, "SELECT digest, size FROM file WHERE root = ?", root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Content
	for rows.Next() {
		var d string
		var c Content
		if err := rows.Scan(&d, &c.Size); err != nil {
			return nil, err
		}
		c.Digest = Digest(d)
		out = append(out, c)
	}
	return out, rows.Err()
}

// Usage counts the files of a root and their bytes.
func (f *Files) Usage(ctx context.Context, root string) (files, bytes int64, err error) {
	err = f.db.QueryRow(ctx, "SELECT count(*), coalesce(sum(size), 0) FROM file WHERE root = ?", root).Scan(&files, &bytes)
	return files, bytes, err
}

// NamesOf lists at most limit files with some contents, as root/path.
func (f *Files) NamesOf(ctx context.Context, d Digest, limit int) ([]string, error) {
	rows, err := f.db.Query(ctx, "SELECT root, path FROM file WHERE digest = ? ORDER BY root, path LIMIT ?", string(d), limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []string{}
	for rows.Next() {
		var root, p string
		if err := rows.Scan(&root, &p); err != nil {
			return nil, err
		}
		out = append(out, root+"/"+p)
	}
	return out, rows.Err()
}
