package webhook

import (
	"regexp"
	"slices"
	"time"

	"github.com/modelyard/modelyard/internal/platform/egress"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// The bounds of webhooks.
const (
	MaxWebhooks    = 1000
	maxDescription = 5000
	maxSecret      = 1000
	// MaxPage is the largest page of a list.
	MaxPage = 1000
)

// Webhook is an address that is told of events.
type Webhook struct {
	ID          string
	Name        string
	Workspace   string // whose models it hears of
	Description string
	URL         string
	Events      []Event
	Active      bool
	CreatedAt   time.Time
	UpdatedAt   time.Time

	sealed []byte // the encrypted secret, empty without one
}

// NewWebhook describes a webhook to make. Without a secret what is sent is not signed.
type NewWebhook struct {
	Name, Description, URL, Secret string
	Events                         []Event
	Disabled                       bool
}

// Change says what to change; nil leaves a field as it is. An empty secret takes the signature away.
type Change struct {
	Name, Description, URL, Secret *string
	Events                         []Event
	Active                         *bool
}

var nameShape = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

func checkName(c *errs.Collector, name string) {
	if !nameShape.MatchString(name) {
		c.Add("name", "expected 1 to 63 letters, digits, dots, underscores and hyphens, beginning and ending with a letter or digit")
	}
}

func checkTexts(c *errs.Collector, description, secret string) {
	if len(description) > maxDescription {
		c.Add("description", "expected at most %d bytes", maxDescription)
	}
	if len(secret) > maxSecret {
		c.Add("secret", "expected at most %d bytes", maxSecret)
	}
}

func checkEvents(c *errs.Collector, asked []Event) {
	if len(asked) == 0 {
		c.Add("events", "expected at least one")
	}
	if len(asked) > 100 {
		c.Add("events", "expected at most 100")
		return
	}
	for _, e := range asked {
		if !slices.Contains(Events(), e) {
			c.Add("events", "%.60q is not sent: expected one of %v", string(e), Events())
		}
	}
}

func checkURL(url string) error { return egress.CheckURL("url", url) }

// once leaves out events that are named twice.
func once(in []Event) []Event {
	out := []Event{}
	for _, e := range in {
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}
