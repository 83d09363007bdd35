// Package mlflow is the MLflow REST protocol: it translates what the official MLflow clients send into calls of tracking and registry,
// and their answers back. It keeps no state and decides nothing. Every path under /api/ has its twin under /ajax-api/.
//
// What is served: experiments, runs, metrics, logged models, artifacts (through the server, mlflow-artifacts:), registered models,
// model versions and aliases. What is left out (leftout.go) answers NOT_IMPLEMENTED with its path.
package mlflow
