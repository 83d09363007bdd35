// Package alert tells people what needs them. It owns the tables alert, webhook and webhook_delivery.
//
// It hears verdicts of the monitor, versions that fail to load, rollouts that were rolled back, pipelines and retrainings that fail
// and a prediction log that cannot write. It publishes alert.opened, alert.acknowledged and alert.resolved.
//
// Invariants: at most one alert that is not resolved per subject and kind, repeats are counted on it; only a breach opens one, never a
// watch; who resolved it and why is kept. Webhooks: the secret is encrypted at rest and shown once, the body of an answer is never kept
// or shown, and no inner address is called (see platform/egress).
package alert
