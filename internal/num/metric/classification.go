package metric

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// maxClasses bounds a confusion table.
const maxClasses = 1000

// Class holds the scores of one class against all others (sklearn.precision_recall_fscore_support, zero_division=0).
type Class struct {
	Label     string
	Support   int     // rows that truly are of the class
	Precision float64 // of the rows predicted as the class, the share that is; 0 when none is
	Recall    float64 // of the rows of the class, the share predicted as it; 0 when there is none
	F1        float64 // harmonic mean of both; 0 when both are 0
}

// Classification holds the scores of predicted labels.
type Classification struct {
	N              int
	Accuracy       float64
	Classes        []Class // in the order of their labels
	Confusion      [][]int // [true][predicted], in the order of Classes
	MacroPrecision float64 // mean over classes
	MacroRecall    float64 // mean over classes
	MacroF1        float64 // mean over classes
	WeightedF1     float64 // mean over classes weighted by support
}

// NewClassification scores predicted labels. Labels that are seen on either side are classes, at most 1000.
func NewClassification(truth, prediction []string) (Classification, error) {
	if len(truth) != len(prediction) {
		return Classification{}, fmt.Errorf("metric: %d true labels but %d predictions", len(truth), len(prediction))
	}
	if len(truth) == 0 {
		return Classification{}, ErrEmpty
	}
	index := map[string]int{}
	for i := range truth {
		index[truth[i]], index[prediction[i]] = 0, 0
		if len(index) > maxClasses {
			return Classification{}, fmt.Errorf("metric: more than %d classes; are these labels?", maxClasses)
		}
	}
	labels := make([]string, 0, len(index))
	for label := range index {
		labels = append(labels, label)
	}
	slices.Sort(labels)
	c := Classification{N: len(truth), Confusion: make([][]int, len(labels))}
	for i, label := range labels {
		index[label] = i
		c.Confusion[i] = make([]int, len(labels))
	}
	for i := range truth {
		c.Confusion[index[truth[i]]][index[prediction[i]]]++
	}
	c.score(labels)
	return c, nil
}

func (c *Classification) score(labels []string) {
	right := 0
	k := float64(len(labels))
	for i, label := range labels {
		class := Class{Label: label}
		predicted := 0
		for j := range labels {
			class.Support += c.Confusion[i][j]
			predicted += c.Confusion[j][i]
		}
		hit := c.Confusion[i][i]
		right += hit
		class.Precision, class.Recall = ratio(hit, predicted), ratio(hit, class.Support)
		class.F1 = ratio(2*hit, predicted+class.Support)
		c.MacroPrecision += class.Precision / k
		c.MacroRecall += class.Recall / k
		c.MacroF1 += class.F1 / k
		c.WeightedF1 += class.F1 * float64(class.Support) / float64(c.N)
		c.Classes = append(c.Classes, class)
	}
	c.Accuracy = ratio(right, c.N)
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// Class finds the scores of a label.
func (c *Classification) Class(label string) (Class, bool) {
	for _, class := range c.Classes {
		if class.Label == label {
			return class, true
		}
	}
	return Class{}, false
}

// Map names the scores that hold for all classes together.
func (c *Classification) Map() map[string]float64 {
	return defined(map[string]float64{
		"accuracy": c.Accuracy, "precision": c.MacroPrecision, "recall": c.MacroRecall, "f1": c.MacroF1, "weighted_f1": c.WeightedF1,
	})
}

// AUC is the area under the ROC curve of scores for the positive class: the chance that a positive row scores above a negative one,
// ties counting half (Mann and Whitney; sklearn.roc_auc_score). NaN when only one class occurs.
func AUC(positive []bool, score []float64) (float64, error) {
	if err := checkScores(positive, score); err != nil {
		return math.NaN(), err
	}
	order := make([]int, len(score))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(score[i], score[j]) })
	var negatives, positives, wins float64
	for at := 0; at < len(order); {
		var tiedPositive, tiedNegative float64
		value := score[order[at]]
		for ; at < len(order) && score[order[at]] == value; at++ {
			if positive[order[at]] {
				tiedPositive++
			} else {
				tiedNegative++
			}
		}
		wins += tiedPositive * (negatives + tiedNegative/2)
		positives, negatives = positives+tiedPositive, negatives+tiedNegative
	}
	return wins / (positives * negatives), nil // 0/0 with one class
}

// probabilityFloor is where sklearn.log_loss clips probabilities: the spacing of float64 at 1.
const probabilityFloor = 0x1p-52

// LogLoss is the mean negative log-likelihood, in nats, of probabilities for the positive class (sklearn.log_loss).
func LogLoss(positive []bool, probability []float64) (float64, error) {
	if err := checkProbabilities(positive, probability); err != nil {
		return math.NaN(), err
	}
	var sum weighted
	for i, p := range probability {
		if !positive[i] {
			p = 1 - p
		}
		sum.add(-math.Log(min(max(p, probabilityFloor), 1-probabilityFloor)))
	}
	return sum.total() / float64(len(probability)), nil
}

// Brier is the mean squared difference of probability and outcome (sklearn.brier_score_loss).
func Brier(positive []bool, probability []float64) (float64, error) {
	if err := checkProbabilities(positive, probability); err != nil {
		return math.NaN(), err
	}
	var sum weighted
	for i, p := range probability {
		if positive[i] {
			p--
		}
		sum.add(p * p)
	}
	return sum.total() / float64(len(probability)), nil
}

func checkScores(positive []bool, score []float64) error {
	if len(positive) != len(score) {
		return fmt.Errorf("metric: %d labels but %d scores", len(positive), len(score))
	}
	if len(score) == 0 {
		return ErrEmpty
	}
	for i, s := range score {
		if math.IsNaN(s) {
			return fmt.Errorf("metric: score of row %d is not a number", i)
		}
	}
	return nil
}

func checkProbabilities(positive []bool, probability []float64) error {
	if err := checkScores(positive, probability); err != nil {
		return err
	}
	for i, p := range probability {
		if p < 0 || p > 1 {
			return fmt.Errorf("metric: probability of row %d must be from 0 to 1, got %v", i, p)
		}
	}
	return nil
}
