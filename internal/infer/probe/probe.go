// Package probe loads an unknown ONNX file in a short-lived child of the same binary, so that a file that crashes the
// native library cannot take the server down.
package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/infer/onnx"
	"github.com/modelyard/modelyard/internal/infer/ort"
	"github.com/modelyard/modelyard/internal/infer/ortlib"
)

// Verdict is the one line of JSON that the child writes to its standard output.
type Verdict struct {
	OK      bool     `json:"ok"`
	Error   string   `json:"error,omitempty"`
	Inputs  []string `json:"inputs,omitempty"`
	Outputs []string `json:"outputs,omitempty"`
	Engine  string   `json:"engine,omitempty"`
}

// Child does the work of the hidden command `modelyard internal onnx-probe PATH`: it loads the graph with the library at
// libraryPath ("" looks in the usual places) and writes a [Verdict]. memoryLimit bounds its address space in bytes; 0
// sets no limit.
func Child(path, libraryPath string, memoryLimit uint64, stdout *os.File) error {
	return json.NewEncoder(stdout).Encode(examine(path, libraryPath, memoryLimit))
}

func examine(path, libraryPath string, memoryLimit uint64) Verdict {
	fail := func(err error) Verdict { return Verdict{Error: err.Error()} }
	if memoryLimit > 0 {
		if err := limitMemory(memoryLimit); err != nil {
			return fail(fmt.Errorf("set the memory limit: %w", err))
		}
	}
	library, err := ortlib.Find(libraryPath, "")
	if err != nil {
		return fail(err)
	}
	lib, err := ort.Open(library)
	if err != nil {
		return fail(err)
	}
	session, err := lib.NewSession(path)
	if err != nil {
		return fail(err)
	}
	v := Verdict{OK: true, Engine: "onnxruntime " + lib.Version, Inputs: names(session.Inputs()), Outputs: names(session.Outputs())}
	if err := session.Close(); err != nil {
		return fail(err)
	}
	return v
}

func names(ports []onnx.Port) []string {
	var out []string
	for _, p := range ports {
		out = append(out, p.Name)
	}
	return out
}

// Prober starts children.
type Prober struct {
	// Command is the program and its arguments before the path; nil means this binary with "internal onnx-probe".
	Command []string
	// Library is the path of ONNX Runtime, handed on as MODELYARD_ONNXRUNTIME; empty hands nothing on.
	Library string
	// Timeout ends a child that hangs; 0 means 60 seconds.
	Timeout time.Duration
	// MemoryLimit bounds the child's address space in bytes, handed on as MODELYARD_PROBE_MEMORY; 0 means 8 GiB.
	MemoryLimit uint64
}

// MemoryVariable is the environment variable that carries Prober.MemoryLimit to the child.
const MemoryVariable = "MODELYARD_PROBE_MEMORY"

// Probe has a child load the ONNX file at path; nil means that it survived. Its signature fits infer.Options.Probe.
func (p Prober) Probe(ctx context.Context, path string) error {
	command := p.Command
	if command == nil {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		command = []string{self, "internal", "onnx-probe"}
	}
	timeout, limit := p.Timeout, p.MemoryLimit
	if timeout <= 0 {
		timeout = time.Minute
	}
	if limit == 0 {
		limit = 8 << 30
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it was still loading after %s", timeout))
	defer cancel()
	arguments := append(append([]string{}, command[1:]...), path)
	child := exec.CommandContext(ctx, command[0], arguments...)
	child.WaitDelay = 2 * time.Second
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%d", MemoryVariable, limit))
	if p.Library != "" {
		child.Env = append(child.Env, "MODELYARD_ONNXRUNTIME="+p.Library)
	}
	var stdout, stderr bounded
	child.Stdout, child.Stderr = &stdout, &stderr
	err := child.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var v Verdict
	if json.Unmarshal(stdout.Bytes(), &v) == nil && (v.OK || v.Error != "") {
		if v.OK && err == nil {
			return nil
		}
		if v.Error != "" {
			return errors.New(v.Error)
		}
	}
	if err == nil {
		err = errors.New("it gave no verdict")
	}
	return fmt.Errorf("the trial load failed, the file or the library is broken: %w%s", err, tail(stderr.String()))
}

// bounded keeps the first 64 KiB that are written to it.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := 64<<10 - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func tail(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	lines := strings.Split(s, "\n")
	line := lines[0]
	return ": " + line[:min(300, len(line))]
}
