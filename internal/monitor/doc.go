// Package monitor watches what endpoints do: drift of each input and of the prediction, quality of the inputs, labelled error, errors and
// latency, each with a verdict.
//
// It owns the tables monitor (settings, reference sketches, checkpoint), monitor_bucket (a day of event time or a number of rows) and
// monitor_window (what was judged). It publishes monitor.window.closed and monitor.verdict.changed and hears
// serving.endpoint.created, serving.endpoint.deleted and routing.route.changed: a monitor exists as soon as its endpoint does, and
// compares with the dataset that the version in charge was trained on.
//
// It reads the prediction log by its cursor. Rows are counted in buckets of event time; a window is the newest buckets together and is
// judged whenever event time passes into the next bucket. A late row counts in its own bucket; a late label also corrects the error of
// the windows that hold its row.
//
// Verdicts. A feature is judged by the size of its drift (PSI on ten groups of equal reference share; Jensen-Shannon distance for
// categories) and only if a test (Kolmogorov-Smirnov, chi-square) says that chance does not explain it. Inputs as a whole are in breach
// when the share of features in breach reaches Drift.Share or the drift of one is at least Drift.Strong times its limit. Performance
// is the mean loss of the version in charge against a reference times a factor. A state changes when two of the last three judged
// windows agree, so that one odd window calls nobody.
//
// Invariants: cursor, open buckets, windows and events are written in one transaction, so a crash neither loses nor counts twice; every
// sketch, list and map is bounded; one goroutine an endpoint changes what is counted.
package monitor
