package mlflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/tracking"
)

// integer is an int64 that comes as a number or a string and goes out as a number.
type integer int64

// UnmarshalJSON accepts 5, "5" and 5.0.
func (n *integer) UnmarshalJSON(b []byte) error {
	s := string(bytes.Trim(b, `"`))
	if s == "null" {
		return nil
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return fmt.Errorf("expected a whole number, got %.40s", s)
		}
		v = int64(f)
	}
	*n = integer(v)
	return nil
}

// boolean is a bool that may come as text, as R sends it.
type boolean bool

// UnmarshalJSON accepts true, "true", "TRUE" and the like.
func (v *boolean) UnmarshalJSON(b []byte) error {
	on, err := strconv.ParseBool(string(bytes.Trim(b, `"`)))
	if err != nil && string(b) != "null" {
		return fmt.Errorf("expected true or false, got %.40s", b)
	}
	*v = boolean(on)
	return nil
}

// double is a float64 that may be the strings NaN, Infinity and -Infinity.
type double float64

// UnmarshalJSON accepts numbers and numbers as strings.
func (d *double) UnmarshalJSON(b []byte) error {
	s := string(bytes.Trim(b, `"`))
	switch s {
	case "null":
		return fmt.Errorf("expected a number, got null")
	case "NaN", "nan":
		*d = double(math.NaN())
		return nil
	case "Infinity", "inf":
		*d = double(math.Inf(1))
		return nil
	case "-Infinity", "-inf":
		*d = double(math.Inf(-1))
		return nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return fmt.Errorf("expected a number, got %.40s", s)
	}
	*d = double(v)
	return nil
}

// MarshalJSON is protobuf's form of a double.
func (d double) MarshalJSON() ([]byte, error) { return d.append(nil), nil }

func (d double) append(b []byte) []byte {
	f := float64(d)
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Infinity"`...)
	}
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if f == math.Trunc(f) && math.Abs(f) < 1e6 { // 1.0, not 1: some clients tell a double from an integer by its form; larger ones have an exponent
		b = append(b, ".0"...)
	}
	return b
}

// view is MLflow's ViewType.
type view string

// UnmarshalJSON accepts the name or protobuf's number.
func (v *view) UnmarshalJSON(b []byte) error {
	*v = view(bytes.Trim(b, `"`))
	return nil
}

func (v view) of() (tracking.View, error) {
	switch v {
	case "", "1", "ACTIVE_ONLY", "null":
		return tracking.ViewActive, nil
	case "2", "DELETED_ONLY":
		return tracking.ViewDeleted, nil
	case "3", "ALL":
		return tracking.ViewAll, nil
	}
	return "", errs.Invalidf("mlflow.view", "Invalid value %.40q for the view type", string(v)).WithField("view_type", "expected ACTIVE_ONLY, DELETED_ONLY or ALL")
}

// keyValue is a tag or a parameter on the wire.
type keyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func tagsOf(in []keyValue) []tracking.Tag {
	out := make([]tracking.Tag, len(in))
	for i, t := range in {
		out[i] = tracking.Tag(t)
	}
	return out
}

func paramsOf(in []keyValue) []tracking.Param {
	out := make([]tracking.Param, len(in))
	for i, p := range in {
		out[i] = tracking.Param(p)
	}
	return out
}

// runTags and runParams are what a client logs to a run. Values that are too long are cut off, as MLflow does.
func runTags(in []keyValue) []tracking.Tag {
	out := tagsOf(in)
	for i := range out {
		out[i].Value = cut(out[i].Value, tracking.MaxTagValue)
	}
	return out
}

func runParams(in []keyValue) []tracking.Param {
	out := paramsOf(in)
	for i := range out {
		out[i].Value = cut(out[i].Value, tracking.MaxParamValue)
	}
	return out
}

// cut keeps the first most characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	n := 0
	for i := range s {
		if n == most {
			return s[:i]
		}
		n++
	}
	return s
}

func fromTags(in []tracking.Tag) []keyValue {
	out := make([]keyValue, len(in))
	for i, t := range in {
		out[i] = keyValue(t)
	}
	return out
}

func fromParams(in []tracking.Param) []keyValue {
	out := make([]keyValue, len(in))
	for i, p := range in {
		out[i] = keyValue(p)
	}
	return out
}

func millis(t time.Time) integer {
	if t.IsZero() {
		return 0
	}
	return integer(t.UnixMilli())
}

func fromMillis(ms integer) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// missing is MLflow's error for a field that must be there.
func missing(field string) error {
	return errs.Invalidf("mlflow.decode", "Missing value for required parameter '%s'. See the API docs for more information about request parameters.", field)
}

// maxDepth bounds the nesting of bodies; ours need four.
const maxNesting = 64

// decode fills in from the body, or from the query when there is none (as GET has it, and clients that send DELETE without a body), and from
// the path values that the struct names by a path tag. A GET without a query may have a body.
func decode(req *http.Request, limit int64, in any) error {
	var body []byte
	if req.Method != http.MethodGet || req.URL.RawQuery == "" {
		var err error
		if body, err = httpx.ReadBody(req, limit); err != nil {
			return tooLarge(err, limit)
		}
	}
	if body = bytes.TrimSpace(body); len(body) > 0 {
		if body[0] == '"' { // old clients send their JSON as a JSON string
			var inner string
			if json.Unmarshal(body, &inner) == nil {
				body = []byte(inner)
			}
		}
		if err := decodeJSON(body, in); err != nil {
			return err
		}
	} else if err := decodeQuery(req, in); err != nil {
		return err
	}
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("path"); name != "" {
			v.Field(i).SetString(req.PathValue(name))
		}
	}
	return nil
}

func decodeJSON(body []byte, in any) error {
	if !utf8.Valid(body) {
		return errs.Invalidf("mlflow.decode", "the body is not UTF-8").WithHint("send JSON in UTF-8")
	}
	if tooDeep(body) {
		return errs.Invalidf("mlflow.decode", "the body is nested deeper than %d levels", maxNesting)
	}
	err := json.Unmarshal(body, in)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &wrong):
		return errs.E(errs.Invalid, "mlflow.decode", "Malformed request body", err)
	case wrong.Field == "":
		return errs.Invalidf("mlflow.decode", "Malformed request body: expected a JSON object, got %s", wrong.Value)
	}
	return errs.Invalidf("mlflow.decode", "Invalid value for parameter '%s' supplied: Hint: Value was of type '%s'. See the API docs for more information about request parameters.",
		wrong.Field, wrong.Value)
}

// tooLarge is MLflow's own answer to a body that is too large; other errors pass as they are.
func tooLarge(err error, limit int64) error {
	if errs.Is(err, errs.Exhausted) {
		return errs.E(errs.Invalid, "mlflow.decode", fmt.Sprintf("the request is larger than %d bytes", limit), nil).WithHint("log it in smaller batches")
	}
	return err
}

func tooDeep(b []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// query reads the query string; URL.Query would leave out parts that cannot be read, such as those with a semicolon, without a word.
func query(req *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return nil, errs.E(errs.Invalid, "mlflow.decode", "the query string cannot be read", err)
	}
	return q, nil
}

func decodeQuery(req *http.Request, in any) error {
	q, err := query(req)
	if err != nil {
		return err
	}
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		values, ok := q[name]
		if !ok || len(values) == 0 {
			continue
		}
		f := v.Field(i)
		switch {
		case f.Kind() == reflect.String:
			f.SetString(values[0])
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.String:
			f.Set(reflect.ValueOf(values))
		default:
			text := values[0]
			if f.Kind() == reflect.Pointer || f.CanAddr() {
				var err error
				if u, ok := f.Addr().Interface().(json.Unmarshaler); ok { // its own text, which need not be JSON
					err = u.UnmarshalJSON([]byte(text))
				} else {
					err = json.Unmarshal([]byte(text), f.Addr().Interface())
				}
				if err != nil {
					return errs.Invalidf("mlflow.decode", "Invalid value %.40q for parameter '%s'", text, name).WithField(name, "expected a number, true or false")
				}
			}
		}
	}
	return nil
}
