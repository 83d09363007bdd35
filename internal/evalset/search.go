package evalset

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
	"github.com/modelyard/modelyard/internal/platform/page"
	"github.com/modelyard/modelyard/internal/platform/space"
)

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

// Query is a search of datasets.
type Query struct {
	ExperimentIDs []string // none: of all experiments
	Filter        string
	OrderBy       []string
	Limit         int // 1 to MaxPage; 0: DefaultPage
	PageToken     string
}

func dialect() filter.Dialect {
	return filter.Dialect{
		{
			Entity: filter.Attribute, Names: []string{"attribute", "attributes", "dataset"}, Regexp: true,
			Keys: map[string]filter.Type{"name": filter.Text, "created_time": filter.Number, "last_update_time": filter.Number, "created_by": filter.Text,
				"last_updated_by": filter.Text, "dataset_id": filter.Text},
		},
		{Entity: filter.Tag, Names: []string{"tags", "tag"}, Regexp: true, Unordered: true},
	}
}

// passes makes the test of a filter.
func passes(n filter.Node) func(d *Dataset) bool {
	switch n := n.(type) {
	case *filter.And:
		return func(d *Dataset) bool {
			return !slices.ContainsFunc(n.Parts, func(p filter.Node) bool { return !passes(p)(d) })
		}
	case *filter.Or:
		return func(d *Dataset) bool {
			return slices.ContainsFunc(n.Parts, func(p filter.Node) bool { return passes(p)(d) })
		}
	case *filter.Not:
		return func(d *Dataset) bool { return !passes(n.Part)(d) }
	case *filter.Compare:
		texts, numbers := n.Texts(), n.Numbers()
		return func(d *Dataset) bool {
			if f, ok := d.number(n.Ref.Key); ok && n.Ref.Entity == filter.Attribute {
				return n.Op != filter.IsNull && numbers(f)
			}
			v, there := d.text(n.Ref)
			if !there {
				return n.Op == filter.IsNull
			}
			return n.Op != filter.IsNull && texts(v)
		}
	}
	return func(*Dataset) bool { return true }
}

func (d *Dataset) number(key string) (float64, bool) {
	switch key {
	case "created_time":
		return float64(d.CreatedAt.UnixMilli()), true
	case "last_update_time":
		return float64(d.UpdatedAt.UnixMilli()), true
	}
	return 0, false
}

func (d *Dataset) text(r filter.Ref) (string, bool) {
	if r.Entity == filter.Tag {
		v, ok := d.Tags[r.Key]
		return v, ok
	}
	switch r.Key {
	case "name":
		return d.Name, true
	case "dataset_id":
		return d.ID, true
	case "created_by":
		return d.CreatedBy, d.CreatedBy != ""
	case "last_updated_by":
		return d.UpdatedBy, d.UpdatedBy != ""
	}
	return "", false
}

type cursor struct {
	Offset int `json:"o"`
}

// Search finds datasets, by default the newest first. There are few of them, so they are all read and tried here. Kinds: Invalid.
func (s *Service) Search(ctx context.Context, q Query) ([]Dataset, string, error) {
	var c errs.Collector
	checkExperiments(&c, q.ExperimentIDs)
	if err := c.Err("evalset.search", "the search is not valid"); err != nil {
		return nil, "", err
	}
	if strings.IndexByte(q.Filter, 0) >= 0 {
		return nil, "", errs.Invalidf("evalset.search", "the filter has a NUL character")
	}
	tree, err := filter.Parse(q.Filter, dialect())
	if err != nil {
		return nil, "", err
	}
	orders, err := filter.ParseOrder(q.OrderBy, dialect())
	if err != nil {
		return nil, "", err
	}
	var from cursor
	if err := page.Decode(q.PageToken, &from); err != nil {
		return nil, "", err
	}
	where, args := "", []any{}
	if len(q.ExperimentIDs) > 0 {
		where = "WHERE id IN (SELECT evalset_id FROM evalset_experiment WHERE experiment_id IN (" + strings.Repeat("?, ", len(q.ExperimentIDs)-1) + "?))"
		for _, e := range q.ExperimentIDs {
			args = append(args, e)
		}
	}
	all, err := s.st.list(ctx, where, args...)
	if err != nil {
		return nil, "", err
	}
	pass := passes(tree)
	all = slices.DeleteFunc(all, func(d Dataset) bool { return !space.Sees(ctx, d.Workspace) || !pass(&d) })
	slices.SortFunc(all, func(a, b Dataset) int { return compare(&a, &b, orders) })
	start := min(max(from.Offset, 0), len(all))
	end := min(start+page.Limit(q.Limit, DefaultPage, MaxPage), len(all))
	next := ""
	if end < len(all) {
		next = page.Encode(cursor{end})
	}
	return all[start:end], next, nil
}

func compare(a, b *Dataset, orders []filter.Order) int {
	for _, o := range orders {
		c := 0
		if f, ok := a.number(o.Ref.Key); ok {
			g, _ := b.number(o.Ref.Key)
			c = int(min(1, max(-1, f-g)))
		} else {
			v, _ := a.text(o.Ref)
			w, _ := b.text(o.Ref)
			c = strings.Compare(v, w)
		}
		if o.Desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
		return c
	}
	return strings.Compare(b.ID, a.ID)
}

type recordCursor struct {
	At int64  `json:"a"`
	ID string `json:"i"`
}

// Records reads a page of the records of a dataset, the oldest first. Kinds: Invalid, NotFound.
func (s *Service) Records(ctx context.Context, id string, limit int, token string) ([]Record, string, error) {
	if _, err := s.Get(ctx, id); err != nil {
		return nil, "", err
	}
	var from recordCursor
	if err := page.Decode(token, &from); err != nil {
		return nil, "", err
	}
	if from.ID != "" && !idPattern.MatchString(from.ID) {
		return nil, "", errs.Invalidf("evalset.records", "page_token is not one that this server gave out")
	}
	limit = page.Limit(limit, 1000, MaxRecordPage)
	out, err := s.st.records(ctx, id, from, limit+1)
	if err != nil || len(out) <= limit {
		return out, "", err
	}
	last := out[limit-1]
	return out[:limit], page.Encode(recordCursor{clock.Micros(last.CreatedAt), last.ID}), nil
}
