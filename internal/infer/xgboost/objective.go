package xgboost

import (
	"fmt"
	"math"
)

// family is how an objective relates margins to predictions.
type family int

const (
	unknown family = iota
	identity
	logistic
	exponential
	hinge
	softmax
)

func familyOf(objective string) family {
	switch objective {
	case "reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror",
		"reg:quantileerror", "reg:expectileerror", "rank:pairwise", "rank:ndcg", "rank:map", "binary:logitraw":
		return identity
	case "reg:logistic", "binary:logistic":
		return logistic
	case "count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft":
		return exponential
	case "binary:hinge":
		return hinge
	case "multi:softprob", "multi:softmax":
		return softmax
	}
	return unknown
}

// toMargin is the inverse link that the library applies to base_score (ObjFunction::ProbToMargin).
func toMargin(objective string, base float64) float64 {
	switch familyOf(objective) {
	case logistic:
		return float64(float32(-math.Log(1/base - 1)))
	case exponential:
		return float64(float32(math.Log(base)))
	default:
		return base
	}
}

// link gives the function that turns margins into predictions (ObjFunction::PredTransform), over rows of groups values.
func link(objective string, groups int) (func([]float64), error) {
	switch familyOf(objective) {
	case identity:
		return func([]float64) {}, nil
	case logistic:
		return each(func(x float64) float64 { return 1 / (1 + math.Exp(min(-x, 88.7)) + 1e-16) }), nil
	case exponential:
		return each(math.Exp), nil
	case hinge:
		return each(func(x float64) float64 {
			if x > 0 {
				return 1
			}
			return 0
		}), nil
	case softmax:
		return func(v []float64) {
			for ; len(v) >= groups; v = v[groups:] {
				softmaxRow(v[:groups])
			}
		}, nil
	case unknown:
	}
	return nil, fmt.Errorf("objective %.40q: %w", objective, ErrUnsupported)
}

func each(f func(float64) float64) func([]float64) {
	return func(v []float64) {
		for i, x := range v {
			v[i] = float64(float32(f(x)))
		}
	}
}

func softmaxRow(v []float64) {
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
		v[i] = float64(float32(v[i] / sum))
	}
}
