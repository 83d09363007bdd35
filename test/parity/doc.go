// Package parity compares internal/num with scipy, scikit-learn, statsmodels and Evidently on the vectors in testdata, which
// make_vectors.py made. The tolerance of each comparison stands beside it.
package parity
