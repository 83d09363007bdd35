package infer

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// maxJSONDepth bounds the nesting of a request.
const maxJSONDepth = 64

var errJSONEnd = errors.New("the text ends too early")

// cursor walks through a JSON text without building values: a request is read straight into typed columns, which is
// several times faster than encoding/json on a batch.
type cursor struct {
	data []byte
	at   int
}

func (c *cursor) space() {
	for c.at < len(c.data) {
		switch c.data[c.at] {
		case ' ', '\n', '\r', '\t':
			c.at++
		default:
			return
		}
	}
}

// peek is the first byte of the next token, 0 at the end.
func (c *cursor) peek() byte {
	c.space()
	if c.at < len(c.data) {
		return c.data[c.at]
	}
	return 0
}

func (c *cursor) expect(b byte) error {
	if got := c.peek(); got != b {
		if got == 0 {
			return errJSONEnd
		}
		return errors.New(strconv.QuoteRune(rune(b)) + " was expected, got " + strconv.QuoteRune(rune(got)))
	}
	c.at++
	return nil
}

// next moves on within a list or an object: true when another element follows, after which the comma is consumed.
func (c *cursor) next(end byte) (bool, error) {
	switch c.peek() {
	case ',':
		c.at++
		if c.peek() == end {
			return false, errors.New("a value was expected after the comma")
		}
		return true, nil
	case end:
		c.at++
		return false, nil
	case 0:
		return false, errJSONEnd
	}
	return false, errors.New("a comma or " + strconv.QuoteRune(rune(end)) + " was expected, got " + strconv.QuoteRune(rune(c.data[c.at])))
}

// open enters a list or an object; empty is true when it ends at once.
func (c *cursor) open(start, end byte) (empty bool, err error) {
	if err := c.expect(start); err != nil {
		return false, err
	}
	if c.peek() == end {
		c.at++
		return true, nil
	}
	return false, nil
}

// text reads a string. The bytes are valid until the data changes.
func (c *cursor) text() ([]byte, error) {
	if err := c.expect('"'); err != nil {
		return nil, err
	}
	start := c.at
	i := bytes.IndexByte(c.data[start:], '"')
	if i < 0 {
		return nil, errJSONEnd
	}
	raw := c.data[start : start+i]
	if plainText(raw) {
		c.at = start + i + 1
		return raw, nil
	}
	for k := start; k < len(c.data); k++ {
		switch c.data[k] {
		case '\\':
			k++
		case '"':
			c.at = k + 1
			var s string
			if err := json.Unmarshal(c.data[start-1:c.at], &s); err != nil {
				return nil, errors.New("a text is not valid JSON")
			}
			return []byte(s), nil
		}
	}
	return nil, errJSONEnd
}

// plainText reports whether the bytes of a string stand for themselves.
func plainText(raw []byte) bool {
	high := false
	for _, b := range raw {
		if b == '\\' || b < ' ' {
			return false
		}
		high = high || b >= utf8.RuneSelf
	}
	return !high || utf8.Valid(raw)
}

// key reads the name of an object's field and its colon.
func (c *cursor) key() ([]byte, error) {
	k, err := c.text()
	if err != nil {
		return nil, err
	}
	return k, c.expect(':')
}

// word reads a number or a bare word (true, null, NaN).
func (c *cursor) word() []byte {
	c.space()
	start := c.at
	for c.at < len(c.data) {
		b := c.data[c.at]
		if b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '-' || b == '+' || b == '.' {
			c.at++
			continue
		}
		break
	}
	return c.data[start:c.at]
}

// skip passes over one value and gives its text.
func (c *cursor) skip() ([]byte, error) {
	c.space()
	start := c.at
	err := c.skipValue(0)
	return c.data[start:c.at], err
}

func (c *cursor) skipValue(depth int) error {
	if depth > maxJSONDepth {
		return errors.New("the text is nested too deeply")
	}
	switch b := c.peek(); b {
	case 0:
		return errJSONEnd
	case '"':
		_, err := c.text()
		return err
	case '[', '{':
		end := b + 2 // ']' and '}' follow their opening by two
		if empty, err := c.open(b, end); err != nil || empty {
			return err
		}
		for {
			if b == '{' {
				if _, err := c.key(); err != nil {
					return err
				}
			}
			if err := c.skipValue(depth + 1); err != nil {
				return err
			}
			if more, err := c.next(end); err != nil || !more {
				return err
			}
		}
	default:
		w := c.word()
		if !validWord(w) {
			if len(w) == 0 {
				return errors.New("a value was expected, got " + strconv.QuoteRune(rune(b)))
			}
			return errors.New(quote(string(w)) + " is no JSON value")
		}
		return nil
	}
}

// validWord accepts JSON's words and numbers, and the NaN and Infinity that Python's json module writes.
func validWord(w []byte) bool {
	switch string(w) {
	case "true", "false", "null", "NaN", "Infinity", "-Infinity":
		return true
	}
	return validNumber(w)
}

// validNumber checks the grammar of a JSON number, which is stricter than strconv's.
func validNumber(w []byte) bool {
	i := 0
	digits := func() bool {
		start := i
		for i < len(w) && w[i] >= '0' && w[i] <= '9' {
			i++
		}
		return i > start
	}
	if i < len(w) && w[i] == '-' {
		i++
	}
	if i < len(w) && w[i] == '0' {
		i++
	} else if !digits() {
		return false
	}
	if i < len(w) && w[i] == '.' {
		i++
		if !digits() {
			return false
		}
	}
	if i < len(w) && (w[i] == 'e' || w[i] == 'E') {
		i++
		if i < len(w) && (w[i] == '+' || w[i] == '-') {
			i++
		}
		if !digits() {
			return false
		}
	}
	return i == len(w) && i > 0
}

// describe says what a JSON value is, for people.
func describe(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '"':
		c := cursor{data: raw}
		s, _ := c.text()
		return "text " + quote(string(s))
	case '[':
		return "a list"
	case '{':
		return "an object"
	case 't', 'f':
		return string(raw)
	case 'n':
		return "null"
	}
	return "the number " + string(raw[:min(len(raw), 40)])
}
