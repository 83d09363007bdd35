package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind int

const (
	end    kind = iota
	word        // an identifier or keyword, as written
	quoted      // '...' or "...": a value, or a key when it stands where one is expected
	ticked      // `...`: always a key
	number
	sign  // = != > >= < <=
	open  // (
	shut  // )
	comma // ,
)

type token struct {
	kind kind
	text string // unquoted
	key  string // of a word such as tags.`a b`: the quoted rest; has says whether there is one
	has  bool
	pos  int // byte offset, for messages
}

// keyword is the upper-case form of a word that could be one, else "".
func (t token) keyword() string {
	if t.kind != word || t.has {
		return ""
	}
	return strings.ToUpper(t.text)
}

type lexer struct {
	in  string
	pos int
}

func wordStart(r rune) bool { return r == '_' || unicode.IsLetter(r) }

func wordPart(r rune) bool {
	return wordStart(r) || unicode.IsDigit(r) || strings.ContainsRune("./-:@#$", r)
}

func (l *lexer) next() (token, error) {
	for l.pos < len(l.in) {
		r, n := utf8.DecodeRuneInString(l.in[l.pos:])
		if !unicode.IsSpace(r) {
			break
		}
		l.pos += n
	}
	t := token{pos: l.pos}
	if l.pos >= len(l.in) {
		return t, nil
	}
	r, n := utf8.DecodeRuneInString(l.in[l.pos:])
	switch {
	case r == '(' || r == ')' || r == ',':
		l.pos += n
		t.kind, t.text = map[rune]kind{'(': open, ')': shut, ',': comma}[r], string(r)
		return t, nil
	case r == '\'' || r == '"':
		s, err := l.quotedText(r)
		t.kind, t.text = quoted, s
		return t, err
	case r == '`':
		s, err := l.quotedText(r)
		t.kind, t.text = ticked, s
		return t, err
	case strings.ContainsRune("=!<>", r):
		return l.operator(t)
	case r == '-' || r == '+' || r == '.' || unicode.IsDigit(r):
		return l.number(t), nil
	case wordStart(r):
		return l.word(t)
	}
	return t, l.fail(l.pos, "unexpected character %q", r)
}

// quotedText reads to the closing quote; a doubled quote inside stands for one.
func (l *lexer) quotedText(q rune) (string, error) {
	start := l.pos
	l.pos++
	var b strings.Builder
	for l.pos < len(l.in) {
		r, n := utf8.DecodeRuneInString(l.in[l.pos:])
		l.pos += n
		if r != q {
			b.WriteString(l.in[l.pos-n : l.pos])
			continue
		}
		if l.pos < len(l.in) && rune(l.in[l.pos]) == q {
			b.WriteRune(q)
			l.pos++
			continue
		}
		return b.String(), nil
	}
	return "", l.fail(start, "a quote is not closed that opens")
}

func (l *lexer) operator(t token) (token, error) {
	t.kind = sign
	for _, op := range []string{">=", "<=", "!=", "<>", "=", ">", "<"} {
		if strings.HasPrefix(l.in[l.pos:], op) {
			l.pos += len(op)
			t.text = op
			if op == "<>" {
				t.text = "!="
			}
			return t, nil
		}
	}
	return t, l.fail(l.pos, "unexpected character %q", l.in[l.pos])
}

func (l *lexer) number(t token) token {
	t.kind = number
	start := l.pos
	l.pos++
	for l.pos < len(l.in) {
		c := l.in[l.pos]
		exponentSign := (c == '-' || c == '+') && (l.in[l.pos-1] == 'e' || l.in[l.pos-1] == 'E')
		if c != '.' && !exponentSign && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') {
			break
		}
		l.pos++
	}
	t.text = l.in[start:l.pos]
	return t
}

func (l *lexer) word(t token) (token, error) {
	t.kind = word
	start := l.pos
	for l.pos < len(l.in) {
		r, n := utf8.DecodeRuneInString(l.in[l.pos:])
		if !wordPart(r) {
			break
		}
		l.pos += n
	}
	t.text = l.in[start:l.pos]
	if !strings.HasSuffix(t.text, ".") || l.pos >= len(l.in) {
		return t, nil
	}
	if q := rune(l.in[l.pos]); q == '`' || q == '"' || q == '\'' {
		key, err := l.quotedText(q)
		t.text, t.key, t.has = strings.TrimSuffix(t.text, "."), key, true
		return t, err
	}
	return t, nil
}
