// Package trash is where deleted things wait: it lists them, brings them back, and removes them for good with the contents that nothing
// else refers to. The domains mark and remove (platform/discard); this package knows how long things wait, what is kept because
// something living needs it, and when to sweep the blob store.
//
// It owns no tables. It publishes trash.purge.done and trash.contents.swept; each thing's own domain tells of its deletion, restoration
// and purge. It hears none. Once a day a job purges what has waited out the undo period and sweeps the blob store.
//
// Invariants: a dry run counts exactly what a purge at that moment would remove; what a living model version was made from is kept;
// a purge that is broken off at any point leaves nothing torn: things go one commit at a time, small ones some hundred in a commit, and contents whose name is gone are
// removed by the next sweep.
package trash
