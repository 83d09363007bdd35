// Package pipeline runs durable pipelines: steps are commands in processes of their own, which survive a restart of the server and are
// taken over by the next one.
//
// It owns the tables pipeline, pipeline_run and pipeline_step and the folder pipelines/ of the data folder (one folder a run: the shared
// working folder, and a state folder for each attempt of a step). It publishes pipeline.run.started, pipeline.run.ended,
// pipeline.step.started, pipeline.step.ended and pipeline.applied, and hears nothing.
//
// Invariants: a step's row says running before its process starts, and its attempt's state folder is used once, so that a crash between
// the two is seen and mended; a run ends exactly once.
package pipeline
