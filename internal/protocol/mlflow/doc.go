// Package mlflow is the MLflow REST protocol: it translates what the official MLflow clients send into calls of tracking and registry,
// and their answers back. It keeps no state but the key that it signs addresses with, and decides nothing. Every path under /api/ has its twin under /ajax-api/.
//
// What is served and what is left out (leftout.go, it answers NOT_IMPLEMENTED and says what is missing) is in docs/reference/mlflow.md, made
// from the routes. How it differs from MLflow's own server is in docs/explain/mlflow.md.
package mlflow
