// Package proc runs commands as children that outlive their parent and can be adopted by the next one.
//
// Between the parent and the command sits a shim: our own binary, started again as `internal shim DIR`
// ([ShimMain]). It gives the command a session and a process group of its own, copies its output into a log of bounded
// size, enforces the wall-clock and memory limits on the whole process tree, and leaves what happened in DIR/state.json.
//
// Invariants:
//   - A file lock in DIR is taken before the shim starts and is held exactly as long as the shim lives, so that "is it
//     still running" has one answer that survives restarts and reused process ids.
//   - state.json is replaced atomically; an exit that was recorded is never lost, also when the disk is full.
//   - When the command is over, nothing that it started in the background is left (Linux: all descendants; elsewhere:
//     its process group).
//   - The log takes at most [Spec.LogCap] bytes of disk: its head and its tail stay, what was between is counted.
package proc
