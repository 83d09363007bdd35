package tracking

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// DefaultExperiment is the id of the experiment that runs without one belong to.
const DefaultExperiment = "0"

// Lifecycle says whether something was deleted. What is deleted can be restored.
type Lifecycle string

// The lifecycles.
const (
	Active  Lifecycle = "active"
	Deleted Lifecycle = "deleted"
)

// View selects by lifecycle.
type View string

// The views.
const (
	ViewActive  View = "active"
	ViewDeleted View = "deleted"
	ViewAll     View = "all"
)

func (v View) shows(l Lifecycle) bool { return v == ViewAll || string(v) == string(l) }

// Valid reports whether v is a known view.
func (v View) Valid() bool { return v == ViewActive || v == ViewDeleted || v == ViewAll }

// Tag is a key with a text.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Experiment groups runs.
type Experiment struct {
	ID        string
	Workspace string
	Name      string
	Lifecycle Lifecycle
	CreatedAt time.Time
	UpdatedAt time.Time
	Tags      []Tag
	num       int64
}

// Limits of what is recorded, the same as MLflow's: lengths in characters, counts per batch.
const (
	MaxKey             = 250
	MaxExperimentName  = 500
	MaxExperimentTag   = 20_000
	MaxParamValue      = 6000
	MaxTagValue        = 8000
	MaxBatch           = 1000
	MaxBatchMetrics    = 1000
	MaxBatchParams     = 100
	MaxBatchTags       = 100
	MaxDatasetName     = 500
	MaxDatasetDigest   = 36
	MaxDatasetSchema   = 1 << 20
	MaxDatasetSource   = 65_535
	MaxDatasetProfile  = 16 << 20
	MaxInputTagKey     = 255
	MaxInputTagValue   = 500
	MaxRunName         = 250
	MaxInputsPerCall   = 100
	MaxModelTagValue   = 8000
	MaxRunsPerPage     = 50_000
	MaxHistoryPerPage  = 25_000
	DefaultRunsPerPage = 1000
)

func parseExperimentID(id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != id {
		return 0, noExperiment(id)
	}
	return n, nil
}

func noExperiment(id string) error {
	return errs.NotFoundf("tracking.experiment", "No Experiment with id=%s exists", clip(id))
}

// clip bounds client text in messages.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	cut := most
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// checkText refuses text that is not UTF-8, holds NUL (PostgreSQL cannot store it) or is longer than most characters.
func checkText(c *errs.Collector, field, s string, most int) {
	switch {
	case !utf8.ValidString(s):
		c.Add(field, "expected UTF-8 text")
	case strings.IndexByte(s, 0) >= 0:
		c.Add(field, "expected text without NUL characters")
	case len(s) > most && utf8.RuneCountInString(s) > most:
		c.Add(field, "expected at most %d characters, got %d", most, utf8.RuneCountInString(s))
	}
}

// checkKey refuses keys that are empty, too long, or would climb out of a folder when a client stores them as files.
func checkKey(c *errs.Collector, field, key string, most int) {
	checkAnyKey(c, field, key, most)
	if key != "" && !cleanKey(key) {
		c.Add(field, "%q is not a valid key: expected letters, digits, spaces and _ - . : / without empty, . or .. parts", clip(key))
	}
}

// checkAnyKey refuses keys that are empty or too long.
func checkAnyKey(c *errs.Collector, field, key string, most int) {
	checkText(c, field, key, most)
	if key == "" {
		c.Add(field, "expected a key")
	}
}

func cleanKey(key string) bool {
	start := 0
	for i := 0; i <= len(key); i++ {
		if i < len(key) && key[i] != '/' {
			continue
		}
		if part := key[start:i]; part == "" || part == "." || part == ".." {
			return false
		}
		start = i + 1
	}
	for _, r := range key {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/_.- :", r) {
			return false
		}
	}
	return true
}

// NewExperiment describes an experiment to create.
type NewExperiment struct {
	Workspace string // "" for the one that the request works in
	Name      string
	Tags      []Tag
}

func (n NewExperiment) validate() error {
	var c errs.Collector
	if n.Name == "" {
		c.Add("name", "expected a name")
	}
	checkText(&c, "name", n.Name, MaxExperimentName)
	for _, t := range n.Tags {
		checkKey(&c, "tags.key", t.Key, MaxKey)
		checkText(&c, "tags.value", t.Value, MaxExperimentTag)
	}
	return c.Err("tracking.experiment", "the experiment is not valid")
}
