package demo

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// entry is one thing that the server acknowledged.
type entry struct {
	What  string  `json:"what"` // prediction, label, run, version
	ID    string  `json:"id"`
	Value float64 `json:"value,omitempty"`
}

// ledger notes what the server acknowledged, so that the end of the story can check that all of it is there.
type ledger struct {
	f       *os.File
	entries []entry
	seen    map[string]bool
}

func openLedger(path string) (*ledger, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	l := &ledger{f: f, seen: map[string]bool{}}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		var e entry
		if json.Unmarshal(sc.Bytes(), &e) == nil { // a torn last line was not acknowledged to anybody
			l.entries = append(l.entries, e)
			l.seen[e.What+e.ID] = true
		}
	}
	return l, sc.Err()
}

func (l *ledger) add(what, id string, value float64) {
	e := entry{what, id, value}
	b, _ := json.Marshal(e)
	_, _ = fmt.Fprintf(l.f, "%s\n", b)
	l.entries = append(l.entries, e)
	l.seen[what+id] = true
}

func (l *ledger) once(what, id string) {
	if !l.seen[what+id] {
		l.add(what, id, 0)
	}
}

func (l *ledger) count(what string) int {
	n := 0
	for _, e := range l.entries {
		if e.What == what {
			n++
		}
	}
	return n
}
