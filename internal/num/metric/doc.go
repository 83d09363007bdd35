// Package metric scores predictions against truth, with the definitions of scikit-learn.
//
// Inputs are slices of one length without NaN; what is wrong with them is an error, never a number that means nothing. A score that the
// data leave undefined (R2 of a constant truth, AUC of one class) is NaN and is said so at the field.
package metric

import (
	"errors"
	"fmt"
	"math"
)

// ErrEmpty says that there is nothing to score.
var ErrEmpty = errors.New("metric: no rows to score")

func check(truth, prediction []float64) error {
	if len(truth) != len(prediction) {
		return fmt.Errorf("metric: %d true values but %d predictions", len(truth), len(prediction))
	}
	if len(truth) == 0 {
		return ErrEmpty
	}
	for i := range truth {
		if t, p := truth[i], prediction[i]; t-t != 0 || p-p != 0 {
			return fmt.Errorf("metric: row %d is not finite: true value %v, prediction %v", i, t, p)
		}
	}
	return nil
}

// weighted is a sum that keeps its last digits (Neumaier).
type weighted struct{ sum, lost float64 }

func (w *weighted) add(x float64) {
	next := w.sum + x
	if math.Abs(w.sum) >= math.Abs(x) {
		w.lost += (w.sum - next) + x
	} else {
		w.lost += (x - next) + w.sum
	}
	w.sum = next
}

func (w *weighted) total() float64 { return w.sum + w.lost }
