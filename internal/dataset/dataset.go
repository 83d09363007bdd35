package dataset

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/modelyard/modelyard/internal/num/sketch"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/table"
)

// Limits of what a client may send.
const (
	MaxName     = 256     // bytes of a dataset name
	MaxText     = 20_000  // bytes of a description
	MaxContract = 1 << 20 // bytes of a contract
)

// Dataset is a named table with versions.
type Dataset struct {
	Name          string    `json:"name"`
	Description   string    `json:"description"`
	LatestVersion int64     `json:"latest_version"` // 0: none yet
	VersionsCount int       `json:"versions_count"`
	Rows          int64     `json:"rows"`       // of the latest version
	SizeBytes     int64     `json:"size_bytes"` // of the latest version
	Contract      string    `json:"contract"`   // as it was written, YAML or JSON; "" when there is none
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// Column is one column of a version.
type Column struct {
	Name     string     `json:"name"`
	Type     table.Type `json:"type"`
	Nullable bool       `json:"nullable"`
}

// ContractResult says what the contract found. Verdict is pass, or none when the dataset had no contract.
type ContractResult struct {
	Verdict    string            `json:"verdict"`
	Violations []table.Violation `json:"violations"`
}

// Version is one version of a dataset.
type Version struct {
	Dataset     string         `json:"dataset"`
	Version     int64          `json:"version"`
	Digest      string         `json:"digest"` // SHA-256 of the uploaded bytes
	Format      Format         `json:"format"` // as it was uploaded
	SizeBytes   int64          `json:"size_bytes"`
	Rows        int64          `json:"rows"`
	Columns     []Column       `json:"columns"`
	Schema      *table.Schema  `json:"schema,omitempty"`  // in answers about one version
	Profile     *Profile       `json:"profile,omitempty"` // in answers about one version
	Contract    ContractResult `json:"contract"`
	Source      string         `json:"source,omitempty"` // where it came from, in the words of who uploaded it
	Target      string         `json:"target,omitempty"`
	TimeColumn  string         `json:"time_column,omitempty"`
	Description string         `json:"description"`
	DataPath    string         `json:"data_path"` // where the data is served; the source URL of MLflow datasets ends in it
	CreatedAt   time.Time      `json:"created_at"`
	CreatedBy   string         `json:"created_by"`
}

// Ref is name@version.
func (v Version) Ref() string { return v.Dataset + "@" + strconv.FormatInt(v.Version, 10) }

// Profile is what people see of a profile; Service.Profile gives the whole with its sketches.
type Profile struct {
	Rows    int             `json:"rows"`
	Columns []ColumnProfile `json:"columns"`
}

// ColumnProfile describes one column. Numbers are absent where the column has none.
type ColumnProfile struct {
	Name      string             `json:"name"`
	Type      table.Type         `json:"type"`
	Count     int                `json:"count"` // values that are there
	Missing   int                `json:"missing"`
	Distinct  int                `json:"distinct"`
	Min       any                `json:"min,omitempty"` // a number, or a time as text
	Max       any                `json:"max,omitempty"`
	Mean      *float64           `json:"mean,omitempty"`
	Std       *float64           `json:"std,omitempty"`
	Quantiles map[string]float64 `json:"quantiles,omitempty"` // p1 p5 p25 p50 p75 p95 p99
	Histogram *table.Histogram   `json:"histogram,omitempty"`
	Top       []sketch.Named     `json:"top,omitempty"`
}

// summary is the profile without its sketches, flat.
func summary(p *table.Profile) *Profile {
	out := &Profile{Rows: p.Rows, Columns: make([]ColumnProfile, 0, len(p.Columns))}
	for _, c := range p.Columns {
		s := ColumnProfile{Name: c.Name, Type: c.Type, Count: c.Count, Missing: c.Missing, Distinct: c.Distinct, Top: c.Top}
		if n := c.Numbers; n != nil && isFinite(n.Min, n.Max, n.Mean, n.Std) {
			s.Min, s.Max, s.Mean, s.Std, s.Histogram = n.Min, n.Max, &n.Mean, &n.Std, &n.Histogram
			s.Quantiles = map[string]float64{"p1": n.Q01, "p5": n.Q05, "p25": n.Q25, "p50": n.Q50, "p75": n.Q75, "p95": n.Q95, "p99": n.Q99}
		}
		if c.Times != nil {
			s.Min, s.Max = c.Times.Min, c.Times.Max
		}
		out.Columns = append(out.Columns, s)
	}
	return out
}

func isFinite(xs ...float64) bool {
	for _, x := range xs {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// CheckName checks a dataset name: Latin letters, digits and . _ - only, because it stands in URLs and in name@version.
func CheckName(name string) (string, error) {
	bad := func(format string, args ...any) (string, error) {
		return "", errs.Invalidf("dataset.name", "the dataset name is not allowed").WithField("name", format, args...)
	}
	if name == "" {
		return bad("expected a name, it is empty")
	}
	if len(name) > MaxName {
		return bad("expected at most %d bytes, it has %d", MaxName, len(name))
	}
	n := norm.NFC.String(name)
	if norm.NFKC.String(n) != n {
		return bad("%q holds a look-alike form of a plain character", name)
	}
	for _, r := range n {
		if !unicode.Is(unicode.Latin, r) && (r < '0' || r > '9') && !strings.ContainsRune("._-", r) {
			return bad("%q holds %q: expected Latin letters, digits and . _ -", name, r)
		}
	}
	if strings.HasPrefix(n, ".") || strings.HasPrefix(n, "-") || strings.HasSuffix(n, ".") {
		return bad("%q starts with a dot or a dash, or ends with a dot", name)
	}
	return n, nil
}

// fold is the form in which two names that people would mix up are equal.
func fold(name string) string { return norm.NFC.String(cases.Fold().String(name)) }

// ParseRef takes "name@3", "name@latest" or "name" (meaning latest) apart; version 0 means latest.
func ParseRef(ref string) (name string, version int64, err error) {
	name, v, _ := strings.Cut(ref, "@")
	if name, err = CheckName(name); err != nil {
		return "", 0, err
	}
	version, err = parseVersion(v)
	return name, version, err
}

// parseVersion reads a version; "" and "latest" are 0.
func parseVersion(v string) (int64, error) {
	if v == "" || v == "latest" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != v {
		return 0, errs.Invalidf("dataset.version", "%.40q is not a version of a dataset", v).WithField("version", "expected a whole number from 1, or latest")
	}
	return n, nil
}

// ParseSource finds the dataset version that a data URL of this server means, whatever host name it was reached under. It takes the
// plain URL, a path, name@version, or the JSON that MLflow keeps as the source of a dataset.
func ParseSource(source string) (name string, version int64, ok bool) {
	source = strings.TrimSpace(source)
	if len(source) > 8192 {
		return "", 0, false
	}
	if strings.HasPrefix(source, "{") {
		var s struct{ URL, URI, Path string }
		if err := json.Unmarshal([]byte(source), &s); err != nil {
			return "", 0, false
		}
		source = s.URL + s.URI + s.Path // one of them
	}
	return parseDataURL(source)
}
