// Package predlog is the log of predictions and labels: what was asked, what was answered, by which version, how fast, and later what
// turned out to be true.
//
// It owns DataDir/predictions (append-only segments) and the tables predlog_label (the newest label of each prediction),
// predlog_archive (hours sealed to Parquet in the blob store) and predlog_state. It publishes predlog.log.failed, predlog.log.recovered
// and predlog.raw.removed.
//
// One log per process holds all endpoints, so thousands of endpoints need one open file. A segment ends at 64 MiB or with the hour;
// it is a header and frames: length, CRC32C, type, stream number, time of the write, body. A stream frame names an endpoint, a version
// and its columns, once a segment; the values that follow need no names. A frame holds the rows of one request, column by column.
//
// Invariants: Append returns when the frame is in the kernel (one grouped write for all who wait), so kill -9 loses nothing that was
// answered; Run flushes to disk every second. A label is on disk before it is acknowledged. The order of the log is the order in which
// Follow tells; labels stand in the same order as predictions. What the log cannot take is counted and told, and predictions go on.
package predlog
