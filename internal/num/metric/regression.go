package metric

import (
	"math"

	"github.com/modelyard/modelyard/internal/num/stats"
)

// Regression holds the errors of numeric predictions.
type Regression struct {
	N    int     // rows
	MAE  float64 // mean absolute error, in the unit of the target
	MSE  float64 // mean squared error
	RMSE float64 // root of MSE
	R2   float64 // 1 - residual / total sum of squares; NaN below two rows; a constant truth gives 1 if hit exactly, else 0 (sklearn.r2_score)
	MAPE float64 // mean |error| / max(|truth|, 2^-52), a share and not per cent (sklearn); huge when a true value is 0
	Bias float64 // mean of prediction - truth
}

// NewRegression scores predictions of numbers.
func NewRegression(truth, prediction []float64) (Regression, error) {
	if err := check(truth, prediction); err != nil {
		return Regression{}, err
	}
	mean := stats.Mean(truth)
	var absolute, square, spread, relative, signed weighted
	for i, t := range truth {
		e := prediction[i] - t
		absolute.add(math.Abs(e))
		square.add(e * e)
		spread.add((t - mean) * (t - mean))
		relative.add(math.Abs(e) / max(math.Abs(t), 0x1p-52))
		signed.add(e)
	}
	n := float64(len(truth))
	r := Regression{N: len(truth), MAE: absolute.total() / n, MSE: square.total() / n, MAPE: relative.total() / n, Bias: signed.total() / n}
	r.RMSE, r.R2 = math.Sqrt(r.MSE), math.NaN()
	if len(truth) > 1 {
		switch {
		case spread.total() != 0:
			r.R2 = 1 - square.total()/spread.total()
		case square.total() == 0:
			r.R2 = 1
		default:
			r.R2 = 0
		}
	}
	return r, nil
}

// Map names the scores that are defined: mae, mse, rmse, r2, mape, bias.
func (r Regression) Map() map[string]float64 {
	return defined(map[string]float64{"mae": r.MAE, "mse": r.MSE, "rmse": r.RMSE, "r2": r.R2, "mape": r.MAPE, "bias": r.Bias})
}

// defined leaves out what is NaN or infinite, so that the map can be written as JSON.
func defined(scores map[string]float64) map[string]float64 {
	for name, x := range scores {
		if x-x != 0 {
			delete(scores, name)
		}
	}
	return scores
}
