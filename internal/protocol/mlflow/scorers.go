package mlflow

import (
	"context"
	"strconv"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/scorer"
	"github.com/modelyard/modelyard/internal/tracking"
)

func (e *Edge) scorerRoutes(at registrar) {
	const p = "/3.0/mlflow/scorers/"
	at("POST", p+"register", experimentWrite, call(e, e.registerScorer))
	at("GET", p+"list", experimentRead, call(e, e.listScorers))
	at("GET", p+"versions", experimentRead, call(e, e.scorerVersions))
	at("GET", p+"get", experimentRead, call(e, e.getScorer))
	at("DELETE", p+"delete", experimentWrite, call(e, e.deleteScorer))
}

type scorerIn struct {
	ExperimentID string   `json:"experiment_id"`
	Name         string   `json:"name"`
	Version      *integer `json:"version"`
	Serialized   string   `json:"serialized_scorer"`
}

// check wants a name and an experiment that is there and not deleted; it gives the version that is meant, 0 when none is.
func (e *Edge) checkScorer(ctx context.Context, in *scorerIn) (int64, error) {
	switch {
	case in.ExperimentID == "":
		return 0, missing("experiment_id")
	case in.Name == "":
		return 0, missing("name")
	}
	if err := e.activeExperiment(ctx, in.ExperimentID); err != nil || in.Version == nil {
		return 0, err
	}
	if *in.Version < 1 {
		return 0, errs.NotFoundf("mlflow.scorer", "Scorer with name '%.200s' and version %d not found for experiment %.100s.", in.Name, *in.Version, in.ExperimentID)
	}
	return int64(*in.Version), nil
}

func (e *Edge) activeExperiment(ctx context.Context, id string) error {
	x, err := e.d.Tracking.Experiment(ctx, id)
	if err == nil && x.Lifecycle != tracking.Active {
		err = errs.Invalidf("mlflow.experiment", "The experiment %s must be in the 'active' state. Current state is %s.", id, x.Lifecycle)
	}
	return err
}

type scorerVersion struct {
	ExperimentID integer `json:"experiment_id"`
	Name         string  `json:"scorer_name"`
	Version      integer `json:"scorer_version"`
	Serialized   string  `json:"serialized_scorer"`
	Created      integer `json:"creation_time"`
	ID           string  `json:"scorer_id"`
}

func fromScorer(v scorer.Version) scorerVersion {
	experiment, _ := strconv.ParseInt(v.ExperimentID, 10, 64) // ours are numbers
	return scorerVersion{integer(experiment), v.Name, integer(v.Number), v.Body, ms(v.CreatedAt), v.ScorerID}
}

type scorersReply struct {
	Scorers []scorerVersion `json:"scorers,omitempty"`
}

func fromScorers(vs []scorer.Version) scorersReply {
	var out scorersReply
	for _, v := range vs {
		out.Scorers = append(out.Scorers, fromScorer(v))
	}
	return out
}

type registeredScorer struct {
	Version      integer `json:"version"`
	ID           string  `json:"scorer_id"`
	ExperimentID string  `json:"experiment_id"`
	Name         string  `json:"name"`
	Serialized   string  `json:"serialized_scorer"`
	Created      integer `json:"creation_time"`
}

func (e *Edge) registerScorer(ctx context.Context, in *scorerIn) (registeredScorer, error) {
	if in.Serialized == "" {
		return registeredScorer{}, missing("serialized_scorer")
	}
	if _, err := e.checkScorer(ctx, in); err != nil {
		return registeredScorer{}, err
	}
	v, err := e.d.Scorers.Register(ctx, in.ExperimentID, in.Name, in.Serialized)
	return registeredScorer{integer(v.Number), v.ScorerID, v.ExperimentID, v.Name, v.Body, ms(v.CreatedAt)}, err
}

// maxScorerExperiments bounds the experiments of one list; without any, so many of the newest are looked at.
const maxScorerExperiments = 1000

func (e *Edge) listScorers(ctx context.Context, in *struct {
	ID  string   `json:"experiment_id"`
	IDs []string `json:"experiment_ids"`
}) (scorersReply, error) {
	switch {
	case in.ID != "" && len(in.IDs) > 0:
		return scorersReply{}, errs.Invalidf("mlflow.scorer", "Cannot specify both 'experiment_id' and 'experiment_ids'.")
	case len(in.IDs) > maxScorerExperiments:
		return scorersReply{}, errs.Invalidf("mlflow.scorer", "expected at most %d experiments", maxScorerExperiments).WithField("experiment_ids", "ask for fewer")
	case in.ID != "":
		if err := e.activeExperiment(ctx, in.ID); err != nil {
			return scorersReply{}, err
		}
		in.IDs = []string{in.ID}
	case len(in.IDs) == 0:
		xs, _, err := e.d.Tracking.SearchExperiments(ctx, tracking.Query{View: tracking.ViewActive, Limit: maxScorerExperiments})
		if err != nil {
			return scorersReply{}, err
		}
		for _, x := range xs {
			in.IDs = append(in.IDs, x.ID)
		}
	}
	mine := in.IDs[:0:0]
	for _, id := range in.IDs {
		ok, err := e.d.Tracking.Sees(ctx, id)
		if err != nil {
			return scorersReply{}, err
		}
		if ok {
			mine = append(mine, id)
		}
	}
	vs, err := e.d.Scorers.Latest(ctx, mine)
	return fromScorers(vs), err
}

func (e *Edge) scorerVersions(ctx context.Context, in *scorerIn) (scorersReply, error) {
	if _, err := e.checkScorer(ctx, in); err != nil {
		return scorersReply{}, err
	}
	vs, err := e.d.Scorers.Versions(ctx, in.ExperimentID, in.Name)
	return fromScorers(vs), err
}

type scorerReply struct {
	Scorer scorerVersion `json:"scorer"`
}

func (e *Edge) getScorer(ctx context.Context, in *scorerIn) (scorerReply, error) {
	number, err := e.checkScorer(ctx, in)
	if err != nil {
		return scorerReply{}, err
	}
	v, err := e.d.Scorers.Get(ctx, in.ExperimentID, in.Name, number)
	return scorerReply{fromScorer(v)}, err
}

func (e *Edge) deleteScorer(ctx context.Context, in *scorerIn) (none, error) {
	number, err := e.checkScorer(ctx, in)
	if err != nil {
		return none{}, err
	}
	return none{}, e.d.Scorers.Delete(ctx, in.ExperimentID, in.Name, number)
}
