package transfer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// workers is how many runs or models are moved side by side.
const workers = 8

// Options say what is moved and how.
type Options struct {
	From, To     string   // how the report names the stores
	Experiments  []string // names; empty means all
	Since        int64    // runs and logged models from this time on, in milliseconds; 0 means all
	Prefix       string   // before the names of experiments
	ModelPrefix  string   // before the names of registered models and prompts
	IntoExisting bool     // use experiments and models of the same name
	NoArtifacts  bool
	Full         bool // also read again what has not changed since an earlier call
	KeepsIDs     bool // the target keeps ids and times: they are compared
	Progress     func(Progress)
}

// filtered reports whether only a part of the source is wanted.
func (o Options) filtered() bool { return len(o.Experiments) > 0 || o.Since > 0 }

// copier is one Copy.
type copier struct {
	src    Source
	dst    Target
	o      Options
	l      *ledger
	ids    *idMap
	placed map[string]string // experiment in the source -> in the target
	later  []movedRun        // runs that are tied to models, finished when those are there
	mu     sync.Mutex
}

// idMap translates ids of the source.
type idMap struct {
	mu sync.RWMutex
	to map[string]string // kind and id
}

func (m *idMap) set(kind, id, there string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.to[kind+" "+id] = there
}

func (m *idMap) get(kind, id string) (string, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	there, ok := m.to[kind+" "+id]
	return there, ok
}

// Copy moves everything that the options ask for and compares it. What cannot be moved is in the report; an error means that it could not
// go on. It can be called again after an error, or at any time: what is there already is passed over, what has changed is brought up to date.
func Copy(ctx context.Context, src Source, dst Target, o Options) (*Report, error) {
	c := &copier{src: src, dst: dst, o: o, l: newLedger(o.From, o.To, o.Progress), ids: &idMap{to: map[string]string{}}, placed: map[string]string{}}
	es, err := c.experiments(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range es {
		if err := c.runs(ctx, e); err != nil {
			return nil, err
		}
	}
	for _, e := range es {
		if err := c.loggedModels(ctx, e); err != nil {
			return nil, err
		}
	}
	if err := c.side(ctx, len(c.later), func(ctx context.Context, i int) error { return c.finishRun(ctx, c.later[i]) }); err != nil {
		return nil, err
	}
	if err := c.registry(ctx); err != nil {
		return nil, err
	}
	return c.l.finish(), c.dst.End(ctx)
}

// fatal reports whether an error ends the whole Copy: others are problems of one thing.
func fatal(ctx context.Context, err error) bool {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return true
	}
	switch client.KindOf(err) {
	case "unreachable", "unauthenticated", "forbidden", "exhausted":
		return true
	}
	var r *remoteError
	return !errors.As(err, &r) && (errs.Is(err, errs.Unavailable) || errs.Is(err, errs.Unauthenticated)) && !strings.HasPrefix(opOf(err), "transfer.files")
}

func opOf(err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Op
	}
	return ""
}

// side does n things, some at a time, and stops at the first error.
func (c *copier) side(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i := range n {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(ctx, i)
		})
	}
	return g.Wait()
}

// experiments chooses the experiments and finds or makes their places. All names that are taken are told at once, before any run is moved.
func (c *copier) experiments(ctx context.Context) ([]Experiment, error) {
	c.l.progress("reading experiments")
	all, err := c.src.Experiments(ctx)
	if err != nil {
		return nil, err
	}
	var es []Experiment
	for _, e := range all {
		if len(c.o.Experiments) == 0 || slices.Contains(c.o.Experiments, e.Name) {
			es = append(es, e)
		}
	}
	for _, name := range c.o.Experiments {
		if !slices.ContainsFunc(all, func(e Experiment) bool { return e.Name == name }) {
			return nil, errs.NotFoundf("transfer.copy", "the source has no experiment named %q", name).WithHint("names are compared letter by letter; leave --experiment out to move all")
		}
	}
	var kept []Experiment
	for _, e := range es {
		empty, err := c.emptyDefault(ctx, e)
		if err != nil {
			return nil, err
		}
		if !empty {
			kept = append(kept, e)
		}
	}
	if err := c.checkNames(ctx, kept); err != nil {
		return nil, err
	}
	es = kept[:0:0]
	for _, e := range kept {
		c.l.change(nounExperiment, func(n *Count) { n.Source++ })
		id, out, err := c.dst.Experiment(ctx, e, c.placing(e))
		if err != nil {
			if fatal(ctx, err) {
				return nil, err
			}
			c.l.problem(nounExperiment, e.Name, "%v", err)
			continue
		}
		es = append(es, e)
		c.placed[e.ID] = id
		c.l.did(nounExperiment, out)
	}
	return es, c.compareExperiments(ctx, es)
}

func (c *copier) placing(e Experiment) Placing {
	return Placing{Name: c.o.Prefix + e.Name, IntoExisting: c.o.IntoExisting}
}

// checkNames tells of all names that are taken, before anything is written.
func (c *copier) checkNames(ctx context.Context, es []Experiment) error {
	var taken []string
	for _, e := range es {
		as := c.placing(e)
		as.Check = true
		_, _, err := c.dst.Experiment(ctx, e, as)
		switch {
		case client.KindOf(err) == "conflict" || errs.Is(err, errs.Conflict):
			taken = append(taken, as.Name)
		case err != nil && fatal(ctx, err):
			return err
		}
	}
	if len(taken) == 0 {
		return nil
	}
	return errs.E(errs.Conflict, "transfer.copy", "the target has other experiments of these names: "+strings.Join(taken, ", "), nil).
		WithHint("add --into-existing to add to them, or --prefix TEXT to give the new ones other names")
}

// emptyDefault reports whether e is the Default experiment that every store has, with nothing in it.
func (c *copier) emptyDefault(ctx context.Context, e Experiment) (bool, error) {
	if e.ID != "0" {
		return false, nil
	}
	errSome := errors.New("something")
	err := c.src.Runs(ctx, e, func(r []Run) error {
		if len(r) > 0 {
			return errSome
		}
		return nil
	})
	if err == nil {
		err = c.src.LoggedModels(ctx, e, func(m []LoggedModel) error {
			if len(m) > 0 {
				return errSome
			}
			return nil
		})
	}
	if errors.Is(err, errSome) {
		return false, nil
	}
	return err == nil, err
}

func (c *copier) compareExperiments(ctx context.Context, es []Experiment) error {
	all, err := c.dst.Reader().Experiments(ctx)
	if err != nil {
		return err
	}
	there := map[string]Experiment{}
	for _, e := range all {
		there[e.ID] = e
	}
	for _, e := range es {
		got, ok := there[c.placed[e.ID]]
		diff := "it is not there"
		if ok {
			diff = differMaps("tag", e.Tags, got.Tags)
		}
		if diff == "" && e.Deleted && !got.Deleted && c.o.KeepsIDs && !c.o.IntoExisting {
			diff = "it is deleted in the source and not there"
		}
		if diff != "" && !c.o.IntoExisting {
			c.l.problem(nounExperiment, e.Name, "%s", diff)
			continue
		}
		c.l.change(nounExperiment, func(n *Count) { n.Same++ })
	}
	return nil
}
