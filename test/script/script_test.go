// Package script holds the stories of the command line: one txtar file each in testdata, run by the real program against a server of
// its own. `fails 3 modelyard ...` wants exactly that exit code.
package script

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/modelyard/modelyard/internal/cli"
	"github.com/modelyard/modelyard/internal/platform/proc"
	"github.com/modelyard/modelyard/internal/testkit"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "internal" && os.Args[2] == "shim" { // a server in these tests starts its steps through this binary
		os.Exit(proc.ShimMain(os.Args[3:]))
	}
	testscript.Main(m, map[string]func(){"modelyard": func() { os.Exit(cli.Main(os.Args[1:])) }})
}

func TestStories(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			s := testkit.Start(e.T().(testing.TB))
			e.Setenv("MODELYARD_SERVER", s.URL)
			e.Setenv("MODELYARD_ONNXRUNTIME", "") // what this machine has is no part of a story
			e.Setenv("XDG_CACHE_HOME", e.WorkDir+"/cache")
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"fails": fails, "capture": capture, "logmodel": logModel, "post": post},
	})
}

// fails runs a command that must end with the given exit code.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails CODE command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		ts.Fatalf("exit code 0 or no start (%v), want %d", err, want)
	}
	if exit.ExitCode() != want {
		ts.Fatalf("exit code %d, want %d", exit.ExitCode(), want)
	}
}

// capture puts the first word of the last standard output into a variable.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	words := strings.Fields(ts.ReadFile("stdout"))
	if neg || len(args) != 1 || len(words) == 0 {
		ts.Fatalf("usage: capture NAME, after a command that printed something")
	}
	ts.Setenv(args[0], words[0])
}

// logModel logs the fixture named by its argument and puts its source into $SOURCE.
func logModel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: logmodel FIXTURE")
	}
	var made struct {
		Run struct {
			Info struct {
				ID string `json:"run_id"`
			} `json:"info"`
		} `json:"run"`
	}
	ts.Check(json.Unmarshal(request(ts, http.MethodPost, "/api/2.0/mlflow/runs/create", []byte(`{"experiment_id": "0"}`)), &made))
	id := made.Run.Info.ID
	dir := filepath.Join("../../internal/infer/testdata/parity", args[0])
	files, err := os.ReadDir(dir)
	ts.Check(err)
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		ts.Check(err)
		request(ts, http.MethodPut, "/api/2.0/mlflow-artifacts/artifacts/0/"+id+"/artifacts/model/"+f.Name(), b)
	}
	ts.Setenv("RUN_ID", id)
	ts.Setenv("SOURCE", "runs:/"+id+"/model")
}

func post(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: post PATH BODY")
	}
	_, err := ts.Stdout().Write(request(ts, http.MethodPost, args[0], []byte(args[1])))
	ts.Check(err)
}

func request(ts *testscript.TestScript, method, path string, body []byte) []byte {
	req, err := http.NewRequest(method, ts.Getenv("MODELYARD_SERVER")+path, bytes.NewReader(body)) //nolint:noctx // the server ends with the story
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode >= 300 {
		ts.Fatalf("%s %s: %s %s", method, path, resp.Status, b)
	}
	return b
}
