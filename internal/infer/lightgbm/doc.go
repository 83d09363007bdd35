// Package lightgbm reads the models that LightGBM saves (its text format, and the same text inside the skops archive
// that MLflow 3 writes for the scikit-learn classes) and predicts with them. Answers equal the library's to 1e-6.
package lightgbm
