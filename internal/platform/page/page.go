// Package page is cursor pagination: opaque tokens that carry the sort values of the last row (keyset paging).
package page

import (
	"encoding/base64"
	"encoding/json"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// MaxToken is the longest page token that is read, in bytes.
const MaxToken = 16 << 10

// Encode makes a token of a cursor.
func Encode(cursor any) string {
	b, err := json.Marshal(cursor)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// Decode reads a token into cursor; an empty token leaves it untouched. It returns Invalid for a token that we did not make.
func Decode(token string, cursor any) error {
	if token == "" {
		return nil
	}
	if len(token) > MaxToken {
		return errs.Invalidf("page.decode", "page_token is too long")
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(b, cursor)
	}
	if err != nil {
		return errs.E(errs.Invalid, "page.decode", "page_token is not one that this server gave out", err).
			WithHint("start again without page_token")
	}
	return nil
}

// Limit bounds a page size: 0 means def, more than most is most.
func Limit(n, def, most int) int {
	switch {
	case n <= 0:
		return def
	case n > most:
		return most
	}
	return n
}
