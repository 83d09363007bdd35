// Package tree evaluates ensembles of decision trees: the engine below the XGBoost, LightGBM and ONNX readers.
//
// A row is first expanded into slots (a feature's value as some nodes want to see it: negated, with missing values as
// zero, with zeros as missing). Every numeric node is then one comparison "slot <= threshold" whose false side also
// takes NaN, so the walk has no branch that depends on the data, and four walks run interleaved.
package tree
