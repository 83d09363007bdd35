// Package yamlx reads YAML (and JSON, which is YAML) that people wrote. The parser below panics on some malformed tags and recurses as
// deep as a text nests; here neither ends the program.
package yamlx

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// MaxDepth is how deep brackets, braces and list marks on one line may nest.
const MaxDepth = 64

// maxAliases bounds how often a text may refer to an anchor of its own: each can multiply what is decoded.
const maxAliases = 16

// Decode reads a text into a struct. Keys that the struct does not have are errors, and so are anchors. The error says where and what, in
// plain text; the caller wraps it into an Invalid error of its own.
func Decode(text []byte, into any) error {
	return guard(func() error {
		if err := check(text, 0); err != nil {
			return err
		}
		return yaml.UnmarshalWithOptions(text, into, yaml.Strict())
	})
}

// DecodeLoose reads files of other tools: keys that are not known are passed over, and a few aliases are allowed.
func DecodeLoose(text []byte, into any) error {
	return guard(func() error {
		if err := check(text, maxAliases); err != nil {
			return err
		}
		return yaml.Unmarshal(text, into)
	})
}

// ToJSON writes a text as JSON, in the order of its keys.
func ToJSON(text []byte) (out []byte, err error) {
	err = guard(func() error {
		if err := check(text, 0); err != nil {
			return err
		}
		out, err = yaml.YAMLToJSON(text)
		return err
	})
	return out, err
}

// guard turns a panic of the parser into an error, and its errors into plain text with the place.
func guard(read func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("expected YAML or JSON, found text that cannot be read as either")
		}
	}()
	if err := read(); err != nil {
		return errors.New(yaml.FormatError(err, false, false))
	}
	return nil
}

// check refuses nesting and alias expansion that could exhaust memory or the stack, before anything is parsed.
func check(text []byte, aliases int) error {
	for line := range strings.Lines(string(text)) {
		run := 0
		for rest := strings.TrimLeft(line, " \t"); len(rest) > 1 && (rest[0] == '-' || rest[0] == '?') && (rest[1] == ' ' || rest[1] == '\t'); rest = strings.TrimLeft(rest[1:], " \t") {
			if run++; run > MaxDepth {
				return tooDeep()
			}
		}
	}
	depth := 0
	for _, t := range lexer.Tokenize(string(text)) {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.AnchorType:
			if aliases == 0 {
				return errors.New("anchors are not supported: write the values out")
			}
		case token.AliasType:
			if aliases--; aliases < 0 {
				return errors.New("too many aliases: write the values out")
			}
		}
		if depth > MaxDepth {
			return tooDeep()
		}
	}
	return nil
}

func tooDeep() error { return errors.New("nested too deeply: expected at most 64 levels") }
