package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"slices"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// The mark of something that was moved whole says whether its files were.
const (
	withFiles    = ":files"
	withoutFiles = ":nofiles"
)

func (c *copier) mark(of string) string {
	if c.o.NoArtifacts {
		return of + withoutFiles
	}
	return of + withFiles
}

// done reports whether everything but the files is known in the state that is wanted.
func (c *copier) done(known Known, of string) bool {
	return !c.o.Full && (known.Mark == of+withFiles || known.Mark == of+withoutFiles)
}

// newMark is the mark to be noted, "" when what is noted says as much or more.
func (c *copier) newMark(known Known, of string) string {
	if known.Mark == of+withFiles || known.Mark == c.mark(of) {
		return ""
	}
	return c.mark(of)
}

// movedRun is a run that was written, with what has to be compared.
type movedRun struct {
	run    Run
	there  Owner
	series map[string]seriesDigest // of the histories that were read
	mark   string                  // to be noted; "" when it is noted already
}

func (c *copier) runs(ctx context.Context, e Experiment) error {
	return c.src.Runs(ctx, e, func(page []Run) error {
		page = slices.DeleteFunc(page, func(r Run) bool { return r.Start < c.o.Since })
		ids := make([]string, len(page))
		for i, r := range page {
			ids[i] = r.ID
		}
		known, err := c.dst.Known(ctx, KindRun, ids)
		if err != nil {
			return err
		}
		c.l.change(nounRun, func(n *Count) { n.Source += int64(len(page)) })
		return c.side(ctx, len(page), func(ctx context.Context, i int) error {
			r := page[i]
			err := c.run(ctx, r, known[r.ID])
			c.l.progress("runs of " + e.Name)
			if err == nil || fatal(ctx, err) {
				return err
			}
			c.l.problem(nounRun, r.ID, "%v", err)
			return nil
		})
	})
}

func (c *copier) run(ctx context.Context, r Run, known Known) error {
	state := r.Mark()
	m := movedRun{run: r, there: Owner{Kind: KindRun, ID: known.ID}, mark: c.newMark(known, state)}
	if c.done(known, state) {
		c.l.did(nounRun, Unchanged)
	} else {
		m.series = map[string]seriesDigest{}
		id, out, err := c.dst.Run(ctx, c.placed[r.Experiment], r, known, func(key string, part func([]Point) error) error {
			var all []Point
			err := c.src.History(ctx, r, key, func(p []Point) error {
				all = append(all, p...)
				c.l.wrote(int64(len(p)), 0, 0)
				return part(p)
			})
			m.series[key] = digestSeries(all)
			return err
		})
		if err != nil {
			return err
		}
		m.there.ID, m.mark = id, c.mark(state)
		c.l.did(nounRun, out)
	}
	c.ids.set(KindRun, r.ID, m.there.ID)
	got, err := c.dst.Reader().Run(ctx, m.there.ID)
	if err != nil {
		return elsewhere("run", err)
	}
	m.there = got.Owner()
	if !c.o.NoArtifacts {
		if whole, err := c.files(ctx, r.Owner(), m.there); err != nil {
			return err
		} else if !whole {
			m.mark = "" // asked for again next time
		}
	}
	if !c.o.KeepsIDs && (len(r.ModelInputs)+len(r.ModelOutputs) > 0 || r.Tags[parentTag] != "") { // what it is tied to may come later
		c.mu.Lock()
		c.later = append(c.later, m)
		c.mu.Unlock()
		return nil
	}
	return c.finishRun(ctx, m)
}

// elsewhere explains why something that was moved is not to be seen in the target: it does not show what is in another workspace.
func elsewhere(noun string, err error) error {
	if !isMissing(err) {
		return err
	}
	return errs.E(errs.Conflict, "transfer.copy", "the "+noun+" is in the target already, in another workspace, or was deleted there", err)
}

// finishRun notes that a run is there whole, and compares it.
func (c *copier) finishRun(ctx context.Context, m movedRun) error {
	if m.mark != "" {
		if err := c.dst.Finish(ctx, Finished{Owner: m.there, Source: m.run.ID, Mark: m.mark, Run: &m.run, Translated: c.ids.get}); err != nil {
			if fatal(ctx, err) {
				return err
			}
			c.l.problem(nounRun, m.run.ID, "%v", err)
			return nil
		}
	}
	diff, err := c.compareRun(ctx, m)
	if err != nil {
		return err
	}
	if diff != "" {
		c.l.problem(nounRun, m.run.ID, "%s", diff)
		return nil
	}
	c.l.change(nounRun, func(n *Count) { n.Same++ })
	return nil
}

func (c *copier) loggedModels(ctx context.Context, e Experiment) error {
	return c.src.LoggedModels(ctx, e, func(page []LoggedModel) error {
		page = slices.DeleteFunc(page, func(m LoggedModel) bool {
			_, its := c.ids.get(KindRun, m.RunID)
			return m.Created < c.o.Since && !its
		})
		ids := make([]string, len(page))
		for i, m := range page {
			ids[i] = m.ID
		}
		known, err := c.dst.Known(ctx, KindModel, ids)
		if err != nil {
			return err
		}
		c.l.change(nounLogged, func(n *Count) { n.Source += int64(len(page)) })
		return c.side(ctx, len(page), func(ctx context.Context, i int) error {
			m := page[i]
			err := c.loggedModel(ctx, m, known[m.ID])
			c.l.progress("logged models of " + e.Name)
			if err == nil || fatal(ctx, err) {
				return err
			}
			c.l.problem(nounLogged, m.ID, "%v", err)
			return nil
		})
	})
}

func (c *copier) loggedModel(ctx context.Context, m LoggedModel, known Known) error {
	state, id := m.Mark(), known.ID
	note := c.newMark(known, state)
	if !c.done(known, state) {
		note = c.mark(state)
		m := m
		if !c.o.KeepsIDs {
			m = c.translated(m)
		}
		var out Outcome
		var err error
		if id, out, err = c.dst.LoggedModel(ctx, c.placed[m.Experiment], m, known); err != nil {
			return err
		}
		c.l.did(nounLogged, out)
	} else {
		c.l.did(nounLogged, Unchanged)
	}
	c.ids.set(KindModel, m.ID, id)
	got, err := c.dst.Reader().Model(ctx, id)
	if err != nil {
		return elsewhere("logged model", err)
	}
	if !c.o.NoArtifacts {
		whole, err := c.files(ctx, m.Owner(), got.Owner())
		if err != nil {
			return err
		}
		if !whole {
			note = "" // asked for again next time
		}
	}
	if note != "" {
		if err := c.dst.Finish(ctx, Finished{Owner: got.Owner(), Source: m.ID, Mark: note, Model: &m, Translated: c.ids.get}); err != nil {
			return err
		}
		if got, err = c.dst.Reader().Model(ctx, id); err != nil {
			return err
		}
	}
	if diff := c.differModels(m, got); diff != "" {
		c.l.problem(nounLogged, m.ID, "%s", diff)
		return nil
	}
	c.l.change(nounLogged, func(n *Count) { n.Same++ })
	return nil
}

// translated puts ids of the target into a model.
func (c *copier) translated(m LoggedModel) LoggedModel {
	m.RunID, _ = c.ids.get(KindRun, m.RunID)
	m.Metrics = slices.Clone(m.Metrics)
	for i, x := range m.Metrics {
		m.Metrics[i].RunID, _ = c.ids.get(KindRun, x.RunID)
	}
	return m
}

// files brings the files of a run or logged model, and compares. It reports whether all are there.
func (c *copier) files(ctx context.Context, from, to Owner) (whole bool, err error) {
	src, err := c.src.Files(ctx, from)
	var have []File
	if err == nil {
		have, err = src.List(ctx)
	}
	if err != nil {
		if fatal(ctx, err) {
			return false, err
		}
		c.l.change(nounFile, func(n *Count) { n.Source++ })
		c.l.problem(nounFile, from.ID, "%v", err)
		return false, nil
	}
	c.l.change(nounFile, func(n *Count) { n.Source += int64(len(have)) })
	if len(have) == 0 {
		return true, nil
	}
	dst, err := c.dst.Reader().Files(ctx, to)
	if err != nil {
		return false, err
	}
	before, err := byPath(ctx, dst)
	if err != nil {
		return false, err
	}
	sent := map[string]string{}
	failed := map[string]bool{}
	for _, f := range have {
		name := from.ID + "/" + f.Path
		old, there := before[f.Path]
		switch {
		case f.Refused != "":
			failed[f.Path] = true
			c.l.problem(nounFile, name, "%s", f.Refused)
			continue
		case there && old.Size == f.Size && !c.o.Full && (f.Digest == "" || old.Digest == "" || f.Digest == old.Digest):
			c.l.did(nounFile, Unchanged)
			continue
		}
		digest, err := c.file(ctx, src, to, f, old.Digest)
		if err != nil {
			if fatal(ctx, err) {
				return false, err
			}
			failed[f.Path] = true
			c.l.problem(nounFile, name, "%v", err)
			continue
		}
		if sent[f.Path] = digest; digest == old.Digest && there {
			c.l.did(nounFile, Unchanged)
			continue
		}
		c.l.wrote(0, 1, f.Size)
		if there {
			c.l.did(nounFile, Updated)
		} else {
			c.l.did(nounFile, Created)
		}
		c.l.progress("files of " + from.ID)
	}
	return c.compareFiles(ctx, from, dst, have, sent, failed)
}

func byPath(ctx context.Context, t Tree) (map[string]File, error) {
	list, err := t.List(ctx)
	out := make(map[string]File, len(list))
	for _, f := range list {
		out[f.Path] = f
	}
	return out, err
}

// file moves one file and gives the SHA-256 of what was read. A file of this machine is read first, so that contents which are there
// already need not be sent; of any other, what passes is hashed.
func (c *copier) file(ctx context.Context, src Tree, to Owner, f File, old string) (string, error) {
	if _, local := src.(*localTree); local && f.Digest == "" {
		r, err := src.Open(ctx, f.Path)
		if err != nil {
			return "", err
		}
		f.Digest, err = hashOf(r)
		if err != nil {
			return "", errs.E(errs.Invalid, "transfer.files", "cannot read the file", err)
		}
		if f.Digest == old {
			return old, nil
		}
	}
	var last *hashing
	err := c.dst.Put(ctx, to, f, func() (io.ReadCloser, error) {
		r, err := src.Open(ctx, f.Path)
		if err != nil {
			return nil, err
		}
		last = &hashing{r, sha256.New(), 0}
		return last, nil
	})
	switch {
	case err != nil:
		return "", err
	case last == nil: // linked
		return f.Digest, nil
	case last.n != f.Size:
		return "", errs.Invalidf("transfer.files", "the source says %d bytes and gave %d", f.Size, last.n)
	}
	return hex.EncodeToString(last.h.Sum(nil)), nil
}

func hashOf(r io.ReadCloser) (string, error) {
	h := sha256.New()
	_, err := io.Copy(h, r)
	_ = r.Close()
	return hex.EncodeToString(h.Sum(nil)), err
}

// hashing hashes what passes.
type hashing struct {
	r io.ReadCloser
	h hash.Hash
	n int64
}

func (x *hashing) Read(p []byte) (int, error) {
	n, err := x.r.Read(p)
	_, _ = x.h.Write(p[:n])
	x.n += int64(n)
	return n, err
}

func (x *hashing) Close() error { return x.r.Close() }

// compareFiles reads the target's list again: all files with their sizes, and the checksums of those that were sent.
func (c *copier) compareFiles(ctx context.Context, from Owner, dst Tree, have []File, sent map[string]string, failed map[string]bool) (bool, error) {
	now, err := byPath(ctx, dst)
	if err != nil {
		return false, err
	}
	same := int64(0)
	for _, f := range have {
		if failed[f.Path] {
			continue
		}
		got, ok := now[f.Path]
		want, checked := sent[f.Path]
		if !checked {
			want = f.Digest
		}
		if ok && checked && got.Digest == "" {
			r, err := dst.Open(ctx, f.Path)
			if err != nil {
				return false, err
			}
			if got.Digest, err = hashOf(r); err != nil {
				return false, errs.E(errs.Unavailable, "transfer.files", "cannot read back "+f.Path, err)
			}
		}
		switch {
		case !ok:
			c.l.problem(nounFile, from.ID+"/"+f.Path, "it is not there")
		case got.Size != f.Size:
			c.l.problem(nounFile, from.ID+"/"+f.Path, "it has %d bytes there, %d in the source", got.Size, f.Size)
		case want != "" && got.Digest != "" && want != got.Digest:
			c.l.problem(nounFile, from.ID+"/"+f.Path, "its checksum is %.12s there, %.12s in the source", got.Digest, want)
		default:
			same++
		}
	}
	c.l.change(nounFile, func(n *Count) { n.Same += same })
	return same == int64(len(have)), nil
}
