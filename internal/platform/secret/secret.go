// Package secret holds strings that must not be printed.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
)

// String is a secret: every way of printing it shows "[redacted]".
type String string

const redacted = "[redacted]"

func (s String) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString hides the secret from %#v.
func (s String) GoString() string { return s.String() }

// LogValue hides the secret from logs.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON and YAML.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a secret from configuration.
func (s *String) UnmarshalText(b []byte) error { *s = String(b); return nil }

// Reveal is the secret itself; call it only where it is used.
func (s String) Reveal() string { return string(s) }

// Equal compares in constant time.
func (s String) Equal(other string) bool {
	a, b := sha256.Sum256([]byte(s)), sha256.Sum256([]byte(other))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
