// Package script holds the stories of the command line: one txtar file each in testdata, run by the real program against a server of
// its own. `fails 3 modelyard ...` wants exactly that exit code.
package script

import (
	"errors"
	"os"
	"os/exec"
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
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"fails": fails, "capture": capture},
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
