package lightgbm

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// link gives the function that turns raw scores into predictions (ObjectiveFunction::ConvertOutput), over rows of
// groups values. words are the objective line: a name and its settings, such as "binary sigmoid:1".
func link(words []string, groups int) (func([]float64), error) {
	if len(words) == 0 { // a custom objective: the library returns raw scores
		return func([]float64) {}, nil
	}
	sigmoid, err := setting(words, "sigmoid", 1)
	if err != nil {
		return nil, err
	}
	logistic := each(func(x float64) float64 { return 1 / (1 + math.Exp(-sigmoid*x)) })
	switch words[0] {
	case "regression", "regression_l2":
		for _, w := range words[1:] {
			if w == "sqrt" {
				return each(func(x float64) float64 { return math.Copysign(x*x, x) }), nil
			}
		}
		return func([]float64) {}, nil
	case "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg":
		return func([]float64) {}, nil
	case "poisson", "gamma", "tweedie":
		return each(math.Exp), nil
	case "binary", "multiclassova", "cross_entropy", "xentropy":
		return logistic, nil
	case "cross_entropy_lambda", "xentlambda":
		return each(func(x float64) float64 { return math.Log1p(math.Exp(x)) }), nil
	case "multiclass":
		return func(v []float64) {
			for ; len(v) >= groups; v = v[groups:] {
				softmax(v[:groups])
			}
		}, nil
	}
	return nil, fmt.Errorf("objective %.40q: %w", words[0], ErrUnsupported)
}

func setting(words []string, key string, missing float64) (float64, error) {
	for _, w := range words {
		if text, ok := strings.CutPrefix(w, key+":"); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return 0, fmt.Errorf("objective setting %.40q", w)
			}
			return v, nil
		}
	}
	return missing, nil
}

func each(f func(float64) float64) func([]float64) {
	return func(v []float64) {
		for i, x := range v {
			v[i] = f(x)
		}
	}
}

func softmax(v []float64) {
	top := v[0]
	for _, x := range v {
		top = max(top, x)
	}
	sum := 0.0
	for i, x := range v {
		v[i] = math.Exp(x - top)
		sum += v[i]
	}
	for i := range v {
		v[i] /= sum
	}
}
