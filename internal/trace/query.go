package trace

import (
	"slices"
	"strings"
	"unicode"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
)

// The search language of traces, read by platform/filter:
//
//	trace.status = 'ERROR' AND tag.env IN ('prod', 'stage') AND span.name LIKE 'call%' AND feedback.score > 0.5
//
// A value that is not there passes IS NULL alone; NOT is the plain opposite.

// The entities of traces beside filter's.
const (
	ofTrace       = filter.Attribute
	ofTag         = filter.Tag
	ofMetadata    = filter.Entity("metadata")
	ofSpan        = filter.Entity("span")
	ofFeedback    = filter.Entity("feedback")
	ofExpectation = filter.Entity("expectation")
	ofIssue       = filter.Entity("issue")
)

func dialect() filter.Dialect {
	return filter.Dialect{
		{
			Entity: ofTrace, Names: []string{"trace", "attribute", "attributes", "attr"}, Regexp: true,
			Keys: map[string]filter.Type{
				"timestamp_ms": filter.Number, "execution_time_ms": filter.Number, "end_time_ms": filter.Number, "request_id": filter.Text, "status": filter.Text,
				"client_request_id": filter.Text, "name": filter.Text, "run_id": filter.Text, "experiment_id": filter.Text, "session_id": filter.Text,
				"prompt": filter.Text, "text": filter.Text,
			},
			Aliases: map[string]string{"timestamp": "timestamp_ms", "request_time": "timestamp_ms", "execution_time": "execution_time_ms",
				"execution_duration": "execution_time_ms", "end_time": "end_time_ms", "trace_id": "request_id", "state": "status"},
		},
		{Entity: ofTag, Names: []string{"tag", "tags"}, Regexp: true},
		{Entity: ofMetadata, Names: []string{"metadata", "request_metadata"}, Regexp: true},
		{Entity: ofSpan, Names: []string{"span"}, Regexp: true, Unordered: true},
		{Entity: ofFeedback, Names: []string{"feedback"}, Type: filter.Either, Regexp: true, Unordered: true},
		{Entity: ofExpectation, Names: []string{"expectation"}, Type: filter.Either, Regexp: true, Unordered: true},
		{Entity: ofIssue, Names: []string{"issue"}, Keys: map[string]filter.Type{"id": filter.Text}, Unordered: true},
	}
}

// The tree of a filter with its tests made once.
type (
	node    interface{ node() }
	andNode struct{ parts []node }
	orNode  struct{ parts []node }
	notNode struct{ part node }
	compare struct {
		*filter.Compare
		texts   func(string) bool
		numbers func(float64) bool
	}
)

func (*andNode) node() {}
func (*orNode) node()  {}
func (*notNode) node() {}
func (*compare) node() {}

// parseFilter reads a filter; an empty one is nil, which everything passes.
func parseFilter(in string) (node, error) {
	if strings.IndexByte(in, 0) >= 0 {
		return nil, errs.Invalidf("trace.filter", "the filter is not valid: it has a NUL character")
	}
	tree, err := filter.Parse(in, dialect())
	if err != nil || tree == nil {
		return nil, err
	}
	return compile(tree)
}

func compile(n filter.Node) (node, error) {
	all := func(in []filter.Node) ([]node, error) {
		out := make([]node, len(in))
		for i := range in {
			var err error
			if out[i], err = compile(in[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	switch n := n.(type) {
	case *filter.And:
		parts, err := all(n.Parts)
		return &andNode{parts}, err
	case *filter.Or:
		parts, err := all(n.Parts)
		return &orNode{parts}, err
	case *filter.Not:
		part, err := compile(n.Part)
		return &notNode{part}, err
	case *filter.Compare:
		return &compare{n, n.Texts(), n.Numbers()}, checkCompare(n)
	}
	return nil, errs.E(errs.Internal, "trace.filter", "the filter has an unknown part", nil)
}

// equals lists the texts that = or IN compares with.
func equals(c *filter.Compare) []string {
	if c.Op == filter.In {
		return c.List
	}
	return []string{c.Text}
}

// checkCompare refuses what the language of traces does not have though the shared one does.
func checkCompare(c *filter.Compare) error {
	only := func(ops ...filter.Op) error {
		if slices.Contains(ops, c.Op) {
			return nil
		}
		names := make([]string, len(ops))
		for i, op := range ops {
			names[i] = string(op)
		}
		return errs.Invalidf("trace.filter", "the filter is not valid: %s does not compare with %s; use %s", c.Ref, c.Op, strings.Join(names, ", "))
	}
	switch {
	case c.Ref.Entity == ofSpan:
		attr, isAttr := strings.CutPrefix(c.Ref.Key, "attributes.")
		if (isAttr && attr == "") || (!isAttr && !slices.Contains([]string{"name", "type", "status", "content"}, c.Ref.Key)) {
			return errs.Invalidf("trace.filter", "the filter is not valid: unknown span key %.60q; expected name, type, status, content or attributes.<key>", c.Ref.Key)
		}
		if c.Ref.Key == "content" {
			return only(filter.Like, filter.ILike, filter.RLike)
		}
	case c.Ref.Entity == ofIssue:
		return only(filter.Eq, filter.In)
	case c.Ref.Entity == ofTrace && c.Ref.Key == "text":
		return only(filter.Like, filter.ILike, filter.RLike)
	case c.Ref.Entity == ofTrace && c.Ref.Key == "prompt":
		if err := only(filter.Eq, filter.In); err != nil {
			return err
		}
		if slices.ContainsFunc(equals(c), func(v string) bool { return strings.Count(v, "/") != 1 }) {
			return errs.Invalidf("trace.filter", "the filter is not valid: expected prompt = 'name/version'")
		}
	}
	return nil
}

// parseOrder reads sort keys such as "timestamp_ms DESC".
func parseOrder(items []string) ([]filter.Order, error) {
	orders, err := filter.ParseOrder(items, dialect())
	for _, o := range orders {
		switch {
		case o.Ref.Entity != ofTrace:
			if strings.ContainsAny(o.Ref.Key, "\"'\\?") || strings.ContainsFunc(o.Ref.Key, unicode.IsControl) { // it becomes a part of the SQL
				return nil, errs.Invalidf("trace.order", "traces do not sort by a key with quotes, a backslash, a question mark or a control character, such as %.60q", o.Ref.Key)
			}
		case slices.Contains([]string{"prompt", "text", "client_request_id", "session_id"}, o.Ref.Key):
			return nil, errs.Invalidf("trace.order", "traces sort by timestamp_ms, execution_time_ms, end_time_ms, status, request_id, name, run_id, experiment_id, tag.<key> or metadata.<key>, not by %s", o.Ref.Key)
		}
	}
	return orders, err
}
