package infer

import (
	"slices"
	"strconv"
	"strings"
)

// maxProblems is how many problems of an input are listed.
const maxProblems = 20

// add notes a problem; its Message is written from its other fields when empty.
func (e *InputError) add(p Problem) {
	e.Total++
	if len(e.Problems) >= maxProblems {
		return
	}
	if p.Message == "" {
		p.Message = sentence(p)
	}
	e.Problems = append(e.Problems, p)
}

func (e *InputError) orNil() error {
	if e.Total == 0 {
		return nil
	}
	return e
}

func problem(field string, row int, code, expected, got string) *InputError {
	e := &InputError{}
	e.add(Problem{Field: field, Row: row, Code: code, Expected: expected, Got: got})
	return e
}

func sentence(p Problem) string {
	var s strings.Builder
	if p.Field != "" {
		s.WriteString("field " + quote(p.Field))
		if p.Row >= 0 {
			s.WriteString(" of row " + strconv.Itoa(p.Row))
		}
		s.WriteString(": ")
	} else if p.Row >= 0 {
		s.WriteString("row " + strconv.Itoa(p.Row) + ": ")
	}
	s.WriteString("expected " + p.Expected + ", got " + p.Got)
	return s.String()
}

// quote shortens and quotes a text of a user.
func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "..."
	}
	return strconv.Quote(s)
}

// sample lists up to eight keys.
func sample(index map[string]float64) string {
	keys := make([]string, 0, len(index))
	for k := range index {
		keys = append(keys, k)
	}
	keys = sorted(keys)
	more := ""
	if len(keys) > 8 {
		keys, more = keys[:8], ", ..."
	}
	for i, k := range keys {
		keys[i] = quote(k)
	}
	return strings.Join(keys, ", ") + more
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
