// Package scorer keeps the scorers of MLflow's GenAI evaluation: numbered descriptions that clients write and read back to score traces
// with. This server never runs one.
//
// Tables: scorer, scorer_version.
// Publishes: nothing. Hears: nothing.
//
// Invariants: a scorer belongs to one experiment and is named once there; its versions count up from 1 and a number is not given twice
// while the scorer lives; a description that carries code to be run where it is read is refused.
package scorer
