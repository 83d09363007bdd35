// Package stats holds the statistics that monitoring, gates and canary judgements rest on: quantiles, moments,
// distributions and tests. It is pure: no storage, no clock, no randomness but what is passed in.
//
// Simple quantities (mean, quantile) of an empty sample are NaN. Tests return ErrTooFew when the samples cannot
// carry a verdict and ErrInvalid when an argument is out of range, so that "not enough data" stays a case of its own.
package stats

import "errors"

var (
	// ErrTooFew says that a sample is too small for the test that was asked for.
	ErrTooFew = errors.New("stats: not enough observations")
	// ErrInvalid says that an argument is outside its range.
	ErrInvalid = errors.New("stats: argument out of range")
)
