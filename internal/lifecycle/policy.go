package lifecycle

import (
	"slices"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Policy says when an endpoint's model is trained anew, and how the new version gets to production.
type Policy struct {
	Pipeline      string            `json:"pipeline" doc:"The pipeline that trains; its outputs must be model and version"`
	Params        map[string]string `json:"params,omitempty" doc:"Parameters of the run; {endpoint}, {alert_id}, {kind}, {event_time} and {event_date} are filled in"`
	On            []string          `json:"on" doc:"Kinds of alert that start it: drift, performance, quality, service"`
	CooldownHours float64           `json:"cooldown_hours" doc:"Hours of event time between two retrainings"`
	Gate          map[string]any    `json:"gate,omitempty" doc:"The gate that the new version must pass, as in POST /gates/check"`
	Rollout       Spec              `json:"rollout"`
	Paused        bool              `json:"paused,omitempty" doc:"Alerts start nothing while it is true"`

	Endpoint  string    `json:"endpoint,omitempty"`
	UpdatedAt time.Time `json:"updated_at"`
	UpdatedBy string    `json:"updated_by,omitempty"`
}

func (p Policy) cooldown() time.Duration { return time.Duration(p.CooldownHours * float64(time.Hour)) }

func (p Policy) hears(kind string) bool { return !p.Paused && slices.Contains(p.On, kind) }

func (p Policy) validate(gates Gates) error {
	var c errs.Collector
	if p.Pipeline == "" || len(p.Pipeline) > 200 {
		c.Add("pipeline", "expected the name of a pipeline")
	}
	if len(p.On) > 10 {
		c.Add("on", "expected at most 10 kinds of alert")
	}
	for _, k := range p.On {
		if !slices.Contains([]string{"drift", "performance", "quality", "service"}, k) {
			c.Add("on", "%q is not a kind: expected drift, performance, quality or service", k)
		}
	}
	if !(p.CooldownHours >= 0 && p.CooldownHours <= 24*366) {
		c.Add("cooldown_hours", "expected 0 to %d", 24*366)
	}
	if len(p.Params) > 50 {
		c.Add("params", "expected at most 50")
	}
	for k, v := range p.Params {
		if len(k) > 100 || len(v) > 2000 {
			c.Add("params."+k[:min(len(k), 100)], "expected at most 2000 characters")
		}
	}
	p.Rollout.validate(&c, "rollout.")
	if len(p.Gate) > 0 {
		if err := gates.Validate(p.Gate); err != nil {
			c.Add("gate", "%s", err.Error())
		}
	}
	return c.Err("lifecycle.policy", "the policy cannot be used")
}
