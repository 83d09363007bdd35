package probe

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/infer/ortlib"
)

// TestMain lets the test binary be the child: with PROBE_CHILD set it does what the hidden command does.
func TestMain(m *testing.M) {
	switch os.Getenv("PROBE_CHILD") {
	case "":
		os.Exit(m.Run())
	case "hang":
		select {}
	}
	limit, _ := strconv.ParseUint(os.Getenv(MemoryVariable), 10, 64)
	if err := Child(os.Args[len(os.Args)-1], os.Getenv("MODELYARD_ONNXRUNTIME"), limit, os.Stdout); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

func prober(t *testing.T, mode string) Prober {
	t.Helper()
	library, err := ortlib.Find("", "")
	if err != nil {
		t.Skip(err)
	}
	return Prober{Command: []string{"/usr/bin/env", "PROBE_CHILD=" + mode, os.Args[0]}, Library: library}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	p := prober(t, "load")
	if err := p.Probe(t.Context(), "../testdata/onnx/mlp/model.onnx"); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(broken, []byte(strings.Repeat("no model ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	err := p.Probe(t.Context(), broken)
	if err == nil || !strings.Contains(strings.ToLower(err.Error()), "protobuf") {
		t.Fatalf("got %v", err)
	}
	p.MemoryLimit = 1 << 20
	if err := p.Probe(t.Context(), "../testdata/onnx/mlp/model.onnx"); err == nil {
		t.Fatal("a child without memory reported success")
	}
}

func TestProbeHang(t *testing.T) {
	t.Parallel()
	p := prober(t, "hang")
	p.Timeout = 200 * time.Millisecond
	err := p.Probe(t.Context(), "x")
	if err == nil {
		t.Fatal("a child that hangs reported success")
	}
}
