package tracking

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// homes knows the experiments that are in another workspace than the default one, which are few, so that what a request may see is told
// without asking the store. The process is the only one that writes to it.
type homes struct {
	mu    sync.Mutex
	known map[int64]string // nil: to be read
	turn  int              // grows with each forget
}

// forget makes the next look read again. It is called after the commit that changed something.
func (h *homes) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known = nil
	h.turn++
}

func (h *homes) look() (map[int64]string, int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known, h.turn
}

// keep keeps what was read unless something has changed meanwhile.
func (h *homes) keep(known map[int64]string, turn int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.turn == turn {
		h.known = known
	}
}

// residents tells the workspaces of the experiments that are not in the default one.
func (st *store) residents(ctx context.Context) (map[int64]string, error) {
	known, turn := st.homes.look()
	if known != nil {
		return known, nil
	}
	known, err := st.strangers(ctx)
	if err == nil {
		st.homes.keep(known, turn)
	}
	return known, err
}

// sight is what a request may see. A transaction gets it beforehand.
type sight struct {
	scoped bool
	mine   string
	known  map[int64]string
}

func (st *store) sight(ctx context.Context) (sight, error) {
	mine, scoped := space.From(ctx)
	if !scoped {
		return sight{}, nil
	}
	known, err := st.residents(ctx)
	return sight{true, mine, known}, err
}

func (v sight) sees(exp int64) bool {
	if !v.scoped {
		return true
	}
	if home, ok := v.known[exp]; ok {
		return home == v.mine
	}
	return v.mine == space.Default
}

// sees returns nil when the request may see an experiment, else hidden: as if there were none.
func (st *store) sees(ctx context.Context, exp int64, hidden error) error {
	v, err := st.sight(ctx)
	if err == nil && !v.sees(exp) {
		err = hidden
	}
	return err
}

// experimentNumber reads the id of an experiment that the request may see. NotFound for others.
func (st *store) experimentNumber(ctx context.Context, eid string) (int64, error) {
	num, err := parseExperimentID(eid)
	if err != nil {
		return 0, err
	}
	return num, st.sees(ctx, num, noExperiment(eid))
}

// Sees reports whether the request may see what is in an experiment.
func (s *Service) Sees(ctx context.Context, eid string) (bool, error) {
	if _, scoped := space.From(ctx); !scoped {
		return true, nil
	}
	_, err := s.st.experimentNumber(ctx, eid)
	if errs.Is(err, errs.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// SeesAll reports whether the request may see every experiment there is.
func (s *Service) SeesAll(ctx context.Context) bool {
	v, err := s.st.sight(ctx)
	return err == nil && (!v.scoped || v.mine == space.Default && len(v.known) == 0)
}

// NamesInWorkspace lists the names of a workspace's experiments, deleted ones too.
func (s *Service) NamesInWorkspace(ctx context.Context, workspace string) ([]string, error) {
	return s.st.namesInWorkspace(ctx, workspace)
}

// MoveWorkspace puts all experiments of a workspace into another. Kinds: Conflict when a name is taken there.
func (s *Service) MoveWorkspace(ctx context.Context, from, to string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(s.st.homes.forget)
		taken, err := s.st.inBoth(tx, from, to)
		if err != nil {
			return err
		}
		if len(taken) > 0 {
			return errs.E(errs.Conflict, "tracking.workspace", "the workspace "+to+" has an experiment "+strconv.Quote(clip(taken[0]))+" too", nil).WithHint("rename one of the two")
		}
		_, err = tx.Exec("UPDATE experiment SET workspace = ?, updated_at = ? WHERE workspace = ?", to, clock.Micros(s.now()), from)
		return err
	})
}

// PurgeWorkspace removes all experiments of a workspace for good, with their runs, logged models and files. Doing it again goes on where
// it stopped.
func (s *Service) PurgeWorkspace(ctx context.Context, workspace string, emit discard.Emit) error {
	all, err := s.st.experiments(ctx)
	if err != nil {
		return err
	}
	for _, e := range slices.DeleteFunc(all, func(e Experiment) bool { return e.Workspace != workspace }) {
		if e.Lifecycle == Active {
			if err := s.DeleteExperiment(ctx, e.ID); err != nil {
				return err
			}
		}
		if err := s.purgeExperiment(ctx, e.ID, emit); err != nil {
			return err
		}
	}
	return nil
}
