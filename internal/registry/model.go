package registry

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// Limits of what a client may write.
const (
	MaxName        = 256     // characters of a model name
	MaxAlias       = 255     // characters of an alias
	MaxDescription = 100_000 // characters
	MaxTagKey      = 250     // characters
	MaxTagValue    = 100_000 // characters
	MaxTags        = 1000    // tags of one model or version
	MaxReason      = 2000    // characters
)

// Model is a registered model.
type Model struct {
	Name          string            `json:"name"`
	Workspace     string            `json:"workspace" doc:"of names with one, such as team-a:churn"`
	Description   string            `json:"description"`
	Tags          map[string]string `json:"tags"`
	Aliases       map[string]string `json:"aliases"`                  // alias -> version
	LatestVersion string            `json:"latest_version,omitempty"` // the highest number that is not deleted
	VersionsCount int               `json:"versions_count"`
	CreatedAt     time.Time         `json:"created_at"`
	UpdatedAt     time.Time         `json:"updated_at"`

	id string // internal, survives renaming
}

// NewModel describes a model to register.
type NewModel struct {
	Name        string            `json:"name" doc:"letters of any script, digits, spaces and . _ - ( ) +, at most 256 characters; in another workspace than the default one <workspace>:<name>"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// ModelChange changes a model; nil leaves a field as it is. Tags are merged: a null value removes the tag.
type ModelChange struct {
	Name        *string            `json:"name,omitempty" doc:"renames the model"`
	Description *string            `json:"description,omitempty"`
	Tags        map[string]*string `json:"tags,omitempty"`
}

// CheckName checks a model name and gives it in Unicode normal form NFC. Names go into URLs, URIs (models:/name@alias), shells and
// file names and are compared by people, so the characters are few: letters, digits, inner spaces and . _ - ( ) +. Latin letters do not stand
// beside Cyrillic or Greek ones, which look alike (Unicode TS 39, "moderately restrictive"). A name in another workspace than the default
// one has it before it, with a colon. It returns Invalid.
func CheckName(name string) (string, error) {
	workspace, bare := space.Split(name)
	if bare == name {
		return checkBare(name)
	}
	if err := space.Check(workspace); err != nil {
		return "", errs.E(errs.Invalid, "registry.name", "the model name is not allowed", err).WithField("name", "expected <name>, or <workspace>:<name>")
	}
	bare, err := checkBare(bare)
	return space.Full(workspace, bare), err
}

func checkBare(name string) (string, error) {
	bad := func(format string, args ...any) (string, error) {
		return "", errs.Invalidf("registry.name", "the model name is not allowed").WithField("name", format, args...)
	}
	if name == "" {
		return bad("expected a name, it is empty")
	}
	if size := utf8.RuneCountInString(name); size > MaxName {
		return bad("expected at most %d characters, it has %d", MaxName, size)
	}
	n := norm.NFC.String(name)
	if norm.NFKC.String(n) != n {
		return bad("%q holds a look-alike form of a plain character", name)
	}
	latin, alike, before := false, false, ' '
	for _, r := range n {
		if !mayFollow(before, r) {
			return bad("%q holds %q: expected letters, digits, spaces and . _ - ( ) +", name, r)
		}
		latin = latin || unicode.Is(unicode.Latin, r)
		alike = alike || unicode.In(r, unicode.Cyrillic, unicode.Greek)
		before = r
	}
	if latin && alike {
		return bad("%q mixes Latin letters with others that look like them", name)
	}
	if strings.Trim(n, " ") != n || strings.HasSuffix(n, ".") || strings.HasPrefix(n, ".") || strings.HasPrefix(n, "-") {
		return bad("%q starts with a dot, a dash or a space, or ends with a dot or a space", name)
	}
	return n, nil
}

// mayFollow reports whether a character may stand in a name, behind another.
func mayFollow(before, r rune) bool {
	switch {
	case unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point): // cannot be seen
		return false
	case unicode.Is(unicode.M, r): // for scripts that write with marks; a Latin letter and its accent are one character in NFC
		return unicode.In(before, unicode.L, unicode.M) && !unicode.Is(unicode.Latin, before)
	}
	return unicode.In(r, unicode.L, unicode.Nd) || strings.ContainsRune(" ._-()+", r)
}

// fold is the form in which two names that people would mix up are equal.
func fold(name string) string { return norm.NFC.String(cases.Fold().String(name)) }

// CheckAlias checks an alias: letters, digits, _ and -, not "latest" and not a version number such as 3 or v3.
func CheckAlias(alias string) error {
	bad := func(format string, args ...any) error {
		return errs.Invalidf("registry.alias", "the alias is not allowed").WithField("alias", format, args...)
	}
	switch {
	case alias == "":
		return bad("expected an alias such as champion, it is empty")
	case utf8.RuneCountInString(alias) > MaxAlias:
		return bad("expected at most %d characters, it has %d", MaxAlias, utf8.RuneCountInString(alias))
	case strings.HasPrefix(alias, "-"):
		return bad("%q starts with a dash", alias)
	case strings.EqualFold(alias, "latest"):
		return bad("latest always means the newest version and cannot be set")
	}
	for _, r := range alias {
		if r > unicode.MaxASCII || r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return bad("%q holds %q: expected letters, digits, _ and -", alias, r)
		}
	}
	if rest := strings.TrimPrefix(strings.ToLower(alias), "v"); rest != "" && strings.Trim(rest, "0123456789") == "" {
		return bad("%q looks like a version number", alias)
	}
	return nil
}

func checkText(c *errs.Collector, field, v string, most int) {
	if size := utf8.RuneCountInString(v); size > most {
		c.Add(field, "expected at most %d characters, it has %d", most, size)
	}
	if strings.ContainsRune(v, 0) || !validUTF8(v) {
		c.Add(field, "expected UTF-8 text without NUL")
	}
}

func validUTF8(s string) bool { return strings.ToValidUTF8(s, "") == s }

func checkTags(c *errs.Collector, tags map[string]string) {
	if len(tags) > MaxTags {
		c.Add("tags", "expected at most %d tags, there are %d", MaxTags, len(tags))
	}
	for k, v := range tags {
		checkTag(c, k, v)
	}
}

func checkTag(c *errs.Collector, key, value string) {
	if key == "" {
		c.Add("tags", "a tag has an empty key")
	}
	checkText(c, "tags.key", key, MaxTagKey)
	checkText(c, "tags."+key, value, MaxTagValue)
}
