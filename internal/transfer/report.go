package transfer

import (
	"fmt"
	"sync"
	"time"
)

// Count is what became of one noun.
type Count struct {
	Noun      string `json:"noun"`
	Source    int64  `json:"source"`    // in the source, within what was asked for
	Created   int64  `json:"created"`   // of them, by this call
	Updated   int64  `json:"updated"`   // were there and have changed
	Unchanged int64  `json:"unchanged"` // were there as they are
	Same      int64  `json:"same"`      // are in the target and equal, read back and compared
	Problems  int64  `json:"problems"`
}

// Problem is something that is not in the target as it is in the source.
type Problem struct {
	Noun string `json:"noun"`
	Name string `json:"name"`
	What string `json:"what"`
}

// Report is the outcome of a Copy.
type Report struct {
	From     string    `json:"from"`
	To       string    `json:"to"`
	Counts   []Count   `json:"counts"`
	Points   int64     `json:"points"` // metric points that were written
	Files    int64     `json:"files"`  // files that were written
	Bytes    int64     `json:"bytes"`
	Seconds  float64   `json:"seconds"`
	Problems []Problem `json:"problems"`
	Notes    []string  `json:"notes"`
	// Hidden is how many problems are counted and not listed.
	Hidden int64 `json:"hidden_problems"`
}

// Complete reports whether everything that was asked for is in the target and equal.
func (r *Report) Complete() bool {
	for _, c := range r.Counts {
		if c.Problems > 0 || c.Same != c.Source {
			return false
		}
	}
	return true
}

// The nouns of a report.
const (
	nounExperiment = "experiments"
	nounRun        = "runs"
	nounFile       = "files"
	nounLogged     = "logged models"
	nounRegistered = "registered models"
	nounVersion    = "model versions"
	nounPrompt     = "prompts"
)

const maxProblems = 1000

// ledger counts while many workers move things.
type ledger struct {
	mu     sync.Mutex
	counts map[string]*Count
	report *Report
	start  time.Time
	tell   func(Progress)
}

// Progress is how far a Copy is.
type Progress struct {
	Doing  string
	Runs   int64
	Models int64
	Points int64
	Files  int64
	Bytes  int64
}

func newLedger(from, to string, tell func(Progress)) *ledger {
	l := &ledger{counts: map[string]*Count{}, report: &Report{From: from, To: to, Problems: []Problem{}, Notes: []string{}}, start: time.Now(), tell: tell}
	for _, n := range []string{nounExperiment, nounRun, nounFile, nounLogged, nounRegistered, nounVersion, nounPrompt} {
		l.counts[n] = &Count{Noun: n}
	}
	return l
}

func (l *ledger) change(noun string, f func(c *Count)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.counts[noun])
}

func (l *ledger) did(noun string, o Outcome) {
	l.change(noun, func(c *Count) {
		switch o {
		case Created:
			c.Created++
		case Updated:
			c.Updated++
		default:
			c.Unchanged++
		}
	})
}

func (l *ledger) problem(noun, name, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[noun].Problems++
	if len(l.report.Problems) >= maxProblems {
		l.report.Hidden++
		return
	}
	what := fmt.Sprintf(format, args...)
	if len(what) > 2000 {
		what = what[:2000] + "..."
	}
	l.report.Problems = append(l.report.Problems, Problem{noun, name, what})
}

func (l *ledger) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.report.Notes) < 100 {
		l.report.Notes = append(l.report.Notes, fmt.Sprintf(format, args...))
	}
}

func (l *ledger) wrote(points, files, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.Points += points
	l.report.Files += files
	l.report.Bytes += bytes
}

func (l *ledger) progress(doing string) {
	if l.tell == nil {
		return
	}
	l.mu.Lock()
	done := func(n string) int64 { c := l.counts[n]; return c.Created + c.Updated + c.Unchanged }
	p := Progress{doing, done(nounRun), done(nounLogged), l.report.Points, l.report.Files, l.report.Bytes}
	l.mu.Unlock()
	l.tell(p)
}

func (l *ledger) finish() *Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range []string{nounExperiment, nounRun, nounFile, nounLogged, nounRegistered, nounVersion, nounPrompt} {
		l.report.Counts = append(l.report.Counts, *l.counts[n])
	}
	l.report.Seconds = time.Since(l.start).Seconds()
	return l.report
}
