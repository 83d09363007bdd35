// Command modelyard takes a machine-learning model from a notebook to production and keeps it healthy there.
package main

import (
	"os"

	"github.com/modelyard/modelyard/internal/cli"
	"github.com/modelyard/modelyard/internal/platform/proc"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "internal" && os.Args[2] == "shim" { // before anything else: a shim has to be small
		os.Exit(proc.ShimMain(os.Args[3:]))
	}
	os.Exit(cli.Main(os.Args[1:]))
}
