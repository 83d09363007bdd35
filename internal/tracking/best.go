package tracking

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"unicode"

	"github.com/modelyard/modelyard/internal/platform/filter"
)

// TagBest begins the tags of an experiment that say what the best value of a metric is: mlflow-style "modelyard.best.<metric key>" with
// the value "min" or "max". Without such a tag the name of the metric decides, see lowerIsBetter.
const TagBest = "modelyard.best."

// lowerIsBetter reports whether the name of a metric speaks of something to keep small: one of its words (split at anything but letters
// and digits, and where a capital follows a small letter) is a known one, such as loss, error, rmse, latency or bytes.
func lowerIsBetter(key string) bool {
	small := []string{"loss", "losses", "error", "errors", "err", "mae", "mse", "rmse", "mape", "smape", "wape", "rmsle", "msle", "logloss", "mlogloss", "nll", "bce", "crossentropy",
		"perplexity", "ppl", "wer", "cer", "fid", "ece", "brier", "deviance", "latency", "duration", "time", "seconds", "ms", "cost", "regret", "fpr", "fnr", "distance",
		"divergence", "kl", "bytes", "memory", "mem", "drift", "misses", "penalty", "residual", "l1", "l2", "rank"}
	words := strings.FieldsFunc(splitCamel(key), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(small, strings.ToLower(w)) })
}

func splitCamel(s string) string {
	var b strings.Builder
	before := ' '
	for _, r := range s {
		if unicode.IsUpper(r) && unicode.IsLower(before) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		before = r
	}
	return b.String()
}

// bests says for each best() of a search which extreme it is in one experiment.
type bests map[filter.Ref]filter.Ref

// bestOf finds out for the best() among refs; nil when there is none.
func (st *store) bestOf(ctx context.Context, exp int64, refs []filter.Ref) (bests, error) {
	var out bests
	for _, r := range refs {
		if r.Of != filter.Best {
			continue
		}
		var told string
		err := st.db.QueryRow(ctx, "SELECT value FROM experiment_tag WHERE exp = ? AND key = ?", exp, TagBest+r.Key).Scan(&told)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		if out == nil {
			out = bests{}
		}
		is := r
		is.Of = filter.Max
		if told == "min" || (told != "max" && lowerIsBetter(r.Key)) {
			is.Of = filter.Min
		}
		out[r] = is
	}
	return out, nil
}

func (b bests) ref(r filter.Ref) filter.Ref {
	if is, ok := b[r]; ok {
		return is
	}
	return r
}

func (b bests) refs(in []filter.Ref) []filter.Ref {
	if b == nil {
		return in
	}
	out := make([]filter.Ref, len(in))
	for i, r := range in {
		out[i] = b.ref(r)
	}
	return out
}

// search is q with every best() replaced.
func (b bests) search(q search) search {
	if b == nil {
		return q
	}
	q.tree = b.node(q.tree)
	q.orders = slices.Clone(q.orders)
	for i := range q.orders {
		q.orders[i].Ref = b.ref(q.orders[i].Ref)
	}
	q.aggregates = b.refs(q.aggregates)
	return q
}

func (b bests) node(n filter.Node) filter.Node {
	parts := func(in []filter.Node) []filter.Node {
		out := make([]filter.Node, len(in))
		for i, p := range in {
			out[i] = b.node(p)
		}
		return out
	}
	switch n := n.(type) {
	case *filter.And:
		return &filter.And{Parts: parts(n.Parts)}
	case *filter.Or:
		return &filter.Or{Parts: parts(n.Parts)}
	case *filter.Not:
		return &filter.Not{Part: b.node(n.Part)}
	case *filter.Compare:
		c := *n
		c.Ref = b.ref(n.Ref)
		return &c
	}
	return n
}
