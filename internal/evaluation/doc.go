// Package evaluation decides whether a model version is good enough: a gate is a named list of rules that a version must pass on a
// dataset version.
//
// Table: evaluation_result. Publishes: evaluation.gate.passed, evaluation.gate.failed (verdict insufficient_data is told by failed,
// with the verdict in the data). Hears nothing.
//
// Invariants: a result is final once its verdict is not "pending", and is written together with its event; "not enough data" is a
// verdict of its own, never a pass; champion and challenger are compared on the same rows; an alias is moved only by a gate that
// passed, at most once per result.
package evaluation
