package metric

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestWhatCannotBeScored(t *testing.T) {
	t.Parallel()
	if _, err := NewRegression(nil, nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := NewClassification([]string{"a"}, nil); err == nil {
		t.Error("different lengths were taken")
	}
	if _, err := NewRegression([]float64{1, math.NaN()}, []float64{1, 2}); err == nil || !strings.Contains(err.Error(), "row 1 is not finite") {
		t.Errorf("NaN: %v", err)
	}
	if _, err := LogLoss([]bool{true}, []float64{1.5}); err == nil {
		t.Error("a probability of 1.5 was taken")
	}
	if x, err := AUC([]bool{true, true}, []float64{0.1, 0.2}); err != nil || !math.IsNaN(x) {
		t.Errorf("AUC of one class: %v %v", x, err)
	}
}

func TestUndefinedScoresAreLeftOut(t *testing.T) {
	t.Parallel()
	r, err := NewRegression([]float64{2}, []float64{3})
	if err != nil {
		t.Fatal(err)
	}
	if _, there := r.Map()["r2"]; there || r.Map()["mae"] != 1 || r.Bias != 1 {
		t.Errorf("%v", r.Map())
	}
	constant, _ := NewRegression([]float64{2, 2}, []float64{2, 3})
	exact, _ := NewRegression([]float64{2, 2}, []float64{2, 2})
	if constant.R2 != 0 || exact.R2 != 1 {
		t.Errorf("R2 of a constant truth: %v and %v", constant.R2, exact.R2)
	}
}
