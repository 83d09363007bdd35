// Package tutorial runs docs/tutorial/your-own-model.md and the tour of the README as they are written.
package tutorial

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// block is one fenced block of commands: kind is what stands after ```sh.
type block struct{ kind, text string }

func blocks(t *testing.T, file string) []block {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	in := false
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		line := s.Text()
		switch {
		case in && line == "```":
			in = false
		case in:
			out[len(out)-1].text += line + "\n"
		case strings.HasPrefix(line, "```sh"):
			out, in = append(out, block{kind: strings.TrimSpace(strings.TrimPrefix(line, "```sh"))}), true
		}
	}
	return out
}

// TestYourOwnModel needs Python and a package index, as does TestReadme. The only change to the commands is the port, which must be free.
func TestYourOwnModel(t *testing.T) {
	t.Parallel()
	dir, env, addr := workplace(t)
	copyFiles(t, "../../examples/own-model", dir)
	follow(t, "../../docs/tutorial/your-own-model.md", dir, env, addr, "READY", "diabetes serves diabetes v1 100 %", "prediction_id", "bmi", "rolled back: v1 100 %")
}

// TestReadme runs the tour of the README; the make targets that stand before it are left out.
func TestReadme(t *testing.T) {
	t.Parallel()
	dir, env, addr := workplace(t)
	for _, example := range []string{"own-model", "bike-demand"} {
		copyFiles(t, "../../examples/"+example, filepath.Join(dir, "examples", example))
	}
	follow(t, "../../README.md", dir, env, addr, "bikes@1, 8645 rows", "diabetes serves diabetes v1 100 %", "prediction_id", "chain whole: true")
}

// workplace is a folder with bin/modelyard, an environment that finds it, and an address for the server.
func workplace(t *testing.T) (dir string, env []string, addr string) {
	t.Helper()
	if os.Getenv("MODELYARD_TEST_PYTHON") == "" {
		t.Skip("set MODELYARD_TEST_PYTHON to run what installs Python packages")
	}
	dir, addr = t.TempDir(), freeAddress(t)
	bin := filepath.Join(dir, "bin")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "modelyard"), "../../cmd/modelyard")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "MODELYARD_LISTEN="+addr, "MODELYARD_SERVER=http://"+addr), addr
}

func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(from, "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// follow runs the blocks of a page in one shell and looks for what must be in the output.
func follow(t *testing.T, page, dir string, env []string, addr string, wants ...string) {
	t.Helper()
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	for _, b := range blocks(t, page) {
		switch {
		case b.kind == "server":
			serve(t, dir, env, b.text, addr)
		case b.kind == "fails":
			script.WriteString("if " + strings.TrimSpace(b.text) + "; then echo 'this should have failed'; exit 1; fi\n")
		case !strings.HasPrefix(b.text, "make "):
			script.WriteString(b.text)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", strings.ReplaceAll(script.String(), "127.0.0.1:5000", addr))
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range wants {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output has no %q", want)
		}
	}
}

// freeAddress has a port that no outgoing connection is given meanwhile: those come from 32768 on.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr); err == nil {
			_ = ln.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// serve starts the server's block and waits until it is ready; it is stopped with the test.
func serve(t *testing.T, dir string, env []string, command, addr string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "bash", "-c", "exec "+command)
	cmd.Dir, cmd.Env = dir, env
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v\n%s", err, log.String())
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(2 * time.Minute) // a hang is a failure; a slow machine is not
	for {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the server did not become ready")
		}
	}
}
