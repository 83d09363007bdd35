// Package serving owns endpoints: it keeps the versions that their routes name loaded, and answers predictions.
//
// It owns the table serving_endpoint and DataDir/models (the files of loaded versions, by digest). It publishes
// serving.endpoint.created|deleted and serving.version.loaded|failed, and hears routing.route.changed.
//
// Invariants: a request works on one snapshot of route and loaded models and touches no metadata database; a version takes traffic only
// when it is loaded, verified and warmed; a version that cannot be loaded leaves the one that serves alone; a replaced version is closed
// when its last request is answered; every answer carries its prediction ids and version, and was logged before it was sent, or says
// logged: false.
package serving
