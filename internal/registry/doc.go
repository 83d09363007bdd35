// Package registry owns registered models and their versions: numbered, described, tagged, aliased, with a copy of the model's files
// that never changes.
//
// Tables: registry_model, registry_number, registry_version, registry_tag, registry_alias, registry_history, registry_gate,
// registry_served.
// Publishes: registry.model.created, registry.model.renamed, registry.model.deleted, registry.model.restored, registry.model.purged,
// registry.version.created, registry.version.deleted, registry.version.restored, registry.version.purged, registry.alias.set,
// registry.alias.deleted, registry.tag.set, registry.tag.deleted.
// Hears: evaluation.gate.passed and .failed (verdicts beside a version), routing.route.changed, serving.endpoint.created and .deleted
// (which versions are served).
//
// Invariants: a version number is given once per model name and never again, not even after the version, or the model, is deleted;
// a version's row, its files and its event are written in one transaction; the files of a version never change and outlive its
// deletion until it is purged from the trash; a version that an endpoint is known to serve, and a model with such a version,
// cannot be deleted or renamed; each change of an alias leaves an entry with who, when, the version before and the reason.
package registry
