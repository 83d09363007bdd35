package proc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Phase is how far a command has come.
type Phase string

// The phases of a command.
const (
	Starting Phase = "starting"
	Running  Phase = "running"
	Exited   Phase = "exited"
	// Lost means that the shim is gone and left no exit: it was killed, or the machine went down.
	Lost Phase = "lost"
)

// Reason says why a command ended other than by itself.
type Reason string

// The reasons. The empty one means that the command ended by itself.
const (
	TimedOut     Reason = "timeout"       // the wall-clock limit passed
	OutOfMemory  Reason = "memory_limit"  // the process tree held more memory than allowed
	Stopped      Reason = "stopped"       // Stop was called, or somebody sent SIGTERM to the shim
	Killed       Reason = "killed"        // Kill was called
	ParentGone   Reason = "parent_gone"   // the parent of a child with DieWithParent ended
	NotStarted   Reason = "start_failed"  // the command could not be started; State.Error says why
	ShimVanished Reason = "shim_vanished" // with Lost
)

// State is what is known of a command. It is the content of state.json in the state folder.
type State struct {
	Phase   Phase  `json:"phase"`
	ShimPID int    `json:"shim_pid"`
	PID     int    `json:"pid"`
	Birth   string `json:"birth"` // start time of PID as the kernel tells it; tells a reused pid apart
	// ShimBirth is the same for ShimPID.
	ShimBirth string    `json:"shim_birth"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// ExitCode is the exit status, 128 plus the signal number when a signal ended it, 127 when it was not found.
	ExitCode int    `json:"exit_code"`
	Signal   string `json:"signal,omitempty"` // "SIGKILL"... when a signal ended it
	Reason   Reason `json:"reason,omitempty"`
	Error    string `json:"error,omitempty"`
	// MaxRSS is the peak resident memory in bytes: of the largest single process, or of the whole tree where a memory
	// limit made us measure it and that was more.
	MaxRSS      int64         `json:"max_rss"`
	CPUUser     time.Duration `json:"cpu_user_ns"`
	CPUSystem   time.Duration `json:"cpu_system_ns"`
	MemoryLimit int64         `json:"memory_limit,omitempty"` // bytes
	// MemoryControl names what enforces MemoryLimit: "poll" (the tree is measured ten times a second), "none" when there is no limit.
	MemoryControl string `json:"memory_control"`
	LogBytes      int64  `json:"log_bytes"`   // bytes that the command printed; exact once it has exited
	LogDropped    int64  `json:"log_dropped"` // bytes of these that were not kept
}

// Ended reports whether the command is over, one way or the other.
func (s State) Ended() bool { return s.Phase == Exited || s.Phase == Lost }

// Success reports whether the command ended by itself with status 0.
func (s State) Success() bool { return s.Phase == Exited && s.ExitCode == 0 && s.Reason == "" }

// Describe says in a few words how the command ended, for logs and messages.
func (s State) Describe() string {
	switch {
	case s.Phase == Lost:
		return "was lost: its supervisor ended without recording an exit (killed, or the machine went down)"
	case !s.Ended():
		return "is " + string(s.Phase)
	case s.Reason == NotStarted:
		return "could not be started: " + s.Error
	case s.Reason == TimedOut:
		return "ran past its time limit and was stopped"
	case s.Reason == OutOfMemory:
		return fmt.Sprintf("used more memory than its limit of %d MiB and was killed", s.MemoryLimit>>20)
	case s.Reason == Stopped:
		return "was stopped"
	case s.Reason == Killed:
		return "was killed"
	case s.Reason == ParentGone:
		return "was ended because its parent ended"
	case s.Signal != "":
		return "was ended by signal " + s.Signal
	case s.ExitCode != 0:
		return fmt.Sprintf("exited with status %d", s.ExitCode)
	}
	return "succeeded"
}

const (
	stateFile    = "state.json"
	reserveFile  = "state.reserve" // written in place when the disk is too full for a new file
	specFile     = "spec.json"
	lockFile     = "lock"
	shimLogFile  = "shim.log"
	reserveBytes = 4096
)

// ReadState returns what is recorded in a state folder. fs.ErrNotExist: no command was started there.
// A command whose shim is gone without recording an exit is Lost.
func ReadState(stateDir string) (State, error) {
	st, err := readRecorded(stateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return State{}, err
	}
	if err == nil && st.Ended() {
		return st, nil
	}
	if err != nil {
		if _, statErr := os.Stat(filepath.Join(stateDir, lockFile)); statErr != nil {
			return State{}, fmt.Errorf("no command was started in %s: %w", stateDir, fs.ErrNotExist)
		}
		st = State{Phase: Starting}
	}
	held, err := lockHeld(stateDir)
	if err != nil {
		return State{}, err
	}
	if held {
		return st, nil
	}
	// The exit may have been recorded between the two looks.
	if again, err := readRecorded(stateDir); err == nil && again.Ended() {
		return again, nil
	}
	st.Phase, st.Reason, st.ExitCode = Lost, ShimVanished, -1
	return st, nil
}

func readRecorded(stateDir string) (State, error) {
	st, err := readStateFile(filepath.Join(stateDir, stateFile))
	if err == nil && st.Ended() {
		return st, nil
	}
	if reserved, rerr := readStateFile(filepath.Join(stateDir, reserveFile)); rerr == nil && reserved.Ended() {
		return reserved, nil
	}
	return st, err
}

func readStateFile(path string) (State, error) {
	var st State
	data, err := os.ReadFile(path)
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(data, &st); err != nil {
		return st, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return st, nil
}

// writeJSON replaces a file in one step; sync also survives a power cut.
func writeJSON(path string, v any, sync bool) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && sync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}
