// Package lifecycle takes new versions to production by itself: rollouts that are judged step by step, and retraining when an alert
// asks for it. It owns the tables rollout, retraining, retraining_wait and lifecycle_policy.
//
// It hears alert.opened, alert.resolved, pipeline.run.ended, evaluation.gate.*, monitor.window.closed, serving.version.failed, serving.endpoint.deleted and
// routing.route.changed. It publishes lifecycle.rollout.started, step_judged, promoted, rolled_back, halted and aborted, and
// lifecycle.retraining.started and ended.
//
// Invariants: one unfinished rollout and one unfinished retraining per endpoint; a rollout has checks; a decision (promote, roll
// back, abort) is written down before it is carried out, and carrying it out twice is the same as once, so that a restart at any
// moment goes on where it was; traffic that somebody changed by hand is never changed back.
//
// What it needs of other domains is stated by the interfaces in needs.go; the composition fits them.
package lifecycle
