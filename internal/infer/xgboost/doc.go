// Package xgboost reads the models that XGBoost saves (JSON and UBJSON, the formats of version 1.3 and later) and
// predicts with them: gbtree, dart and gblinear boosters, every built-in objective's link function, missing values and
// categorical splits. Answers equal the library's to 1e-6.
package xgboost
