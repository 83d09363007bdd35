// Package routing decides which version of a model answers a request: targets with weights and roles, by endpoint, in generations.
//
// It owns the tables routing_route and routing_generation and publishes routing.route.changed. It hears nothing.
//
// Invariants: a route has exactly one champion; the weights of champion and canaries add up to 100, a shadow has none; a generation never
// changes and its number rises by one; a caller's key goes to the same version as long as the weights allow, and a growing canary keeps
// the keys it had.
package routing
