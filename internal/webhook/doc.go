// Package webhook tells other programs of what happens in the registry, the way MLflow does: the same events, payloads, headers and
// signature, so that receivers written for MLflow work unchanged. (Webhooks of our own events are alert's.)
//
// Tables: mlflow_webhook.
// Publishes: nothing.
// Hears: registry.model.created, registry.version.created, registry.tag.set and .deleted, registry.alias.set and .deleted.
//
// Invariants: a secret is stored encrypted and never given out again; each event is one durable job per webhook that asked for it,
// retried with back-off under the same delivery id and signed anew at each attempt; calls go through egress alone, and redirects are not
// followed. Delivery is at least once: receivers tell repeats by the delivery id.
package webhook
