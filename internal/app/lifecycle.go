package app

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/evaluation"
	"github.com/modelyard/modelyard/internal/lifecycle"
	"github.com/modelyard/modelyard/internal/monitor"
	"github.com/modelyard/modelyard/internal/pipeline"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/routing"
)

// What lifecycle needs of other domains, in their words.

type traffic struct{ routes *routing.Service }

func (t traffic) Route(ctx context.Context, endpoint string) (lifecycle.Route, error) {
	r, err := t.routes.Get(ctx, endpoint)
	if err != nil {
		return lifecycle.Route{}, err
	}
	out := lifecycle.Route{Model: r.Model}
	for _, x := range r.Targets {
		out.Targets = append(out.Targets, lifecycle.Target{Version: x.Version, Weight: x.Weight, Role: string(x.Role)})
	}
	return out, nil
}

func (t traffic) SetTargets(ctx context.Context, endpoint string, targets []lifecycle.Target, reason string) error {
	in := make([]routing.Target, len(targets))
	for i, x := range targets {
		in[i] = routing.Target{Version: x.Version, Weight: x.Weight, Role: routing.Role(x.Role)}
	}
	_, err := t.routes.SetTargets(ctx, endpoint, in, reason)
	return err
}

type candidates struct{ models *registry.Service }

func (c candidates) CheckVersion(ctx context.Context, model, version string) error {
	v, err := c.models.GetVersion(ctx, model, version)
	if err == nil && v.Status != registry.Ready {
		err = errs.E(errs.Precondition, "app.rollout", "version "+version+" of "+model+" is "+string(v.Status), nil).WithHint("only a version that is READY can be rolled out")
	}
	return err
}

func (c candidates) SetAlias(ctx context.Context, model, alias, version, reason string) error {
	return c.models.SetAlias(ctx, model, alias, version, reason)
}

type gatekeeper struct{ gates *evaluation.Service }

func (g gatekeeper) Validate(gate map[string]any) error {
	e, err := decodeGate(gate)
	if err != nil {
		return err
	}
	return e.Validate()
}

func (g gatekeeper) Check(ctx context.Context, gate map[string]any, model, version string) (lifecycle.GateOutcome, error) {
	e, err := decodeGate(gate)
	if err != nil {
		return lifecycle.GateOutcome{}, err
	}
	r, err := g.gates.Check(ctx, evaluation.CheckRequest{Gate: e, Model: model, Version: version})
	if err != nil {
		return lifecycle.GateOutcome{}, err
	}
	return outcomeOf(r), nil
}

func (g gatekeeper) Result(ctx context.Context, resultID string) (lifecycle.GateOutcome, error) {
	r, err := g.gates.Result(ctx, resultID)
	return outcomeOf(r), err
}

func outcomeOf(r evaluation.Result) lifecycle.GateOutcome {
	return lifecycle.GateOutcome{ResultID: r.ID, Verdict: string(r.Verdict), Reason: gateReason(r)}
}

func decodeGate(gate map[string]any) (evaluation.Gate, error) {
	var e evaluation.Gate
	b, err := json.Marshal(gate)
	if err != nil {
		return e, errs.E(errs.Invalid, "app.gate", "the gate cannot be read", err)
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields() // a rule that is misspelt would pass everything
	if err := d.Decode(&e); err != nil {
		return e, errs.E(errs.Invalid, "app.gate", "the gate cannot be read", err)
	}
	return e, nil
}

// gateReason is the sentence of the rules that did not pass.
func gateReason(r evaluation.Result) string {
	parts := []string{}
	for _, x := range r.Rules {
		if x.Verdict != evaluation.Pass {
			parts = append(parts, strings.TrimSuffix(x.Name+": "+x.Note, ": "))
		}
	}
	if len(parts) == 0 {
		return r.Note
	}
	return strings.Join(parts, "; ")
}

type training struct{ steps *pipeline.Service }

// recentRuns is how many runs are searched for one that was started already.
const recentRuns = 50

func (t training) Start(ctx context.Context, name string, params map[string]string, ref string) (lifecycle.PipelineRun, error) {
	had, err := t.steps.ListRuns(ctx, name, "", recentRuns)
	if err != nil {
		return lifecycle.PipelineRun{}, err
	}
	for _, r := range had {
		if r.Trigger.Ref == ref {
			return runOf(r), nil
		}
	}
	r, err := t.steps.StartRun(ctx, name, params, pipeline.Trigger{Kind: "alert", Ref: ref})
	return runOf(r), err
}

func (t training) Run(ctx context.Context, runID string) (lifecycle.PipelineRun, error) {
	r, err := t.steps.GetRun(ctx, runID)
	return runOf(r), err
}

func runOf(r pipeline.Run) lifecycle.PipelineRun {
	return lifecycle.PipelineRun{ID: r.ID, State: string(r.State), Outputs: r.Outputs, Error: r.Error}
}

// evidence gives lifecycle the monitor's comparison in its own words.
type evidence struct{ monitors *monitor.Service }

func (e evidence) Compare(ctx context.Context, endpoint, champion, challenger string, since time.Time) (lifecycle.Comparison, error) {
	c, err := e.monitors.Compare(ctx, endpoint, champion, challenger, since)
	return lifecycle.Comparison{
		Champion: lifecycle.Side(c.Champion), Challenger: lifecycle.Side(c.Challenger), Paired: c.Paired, Labelled: c.Labelled, Metric: c.Metric,
		ChampionLoss: c.ChampionLoss, ChallengerLoss: c.ChallengerLoss, DifferenceMean: c.DifferenceMean, DifferenceStd: c.DifferenceStd,
	}, err
}
