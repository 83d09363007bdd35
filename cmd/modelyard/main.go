// Command modelyard takes a machine-learning model from a notebook to production and keeps it healthy there.
package main

import (
	"os"
	"strconv"

	"github.com/modelyard/modelyard/internal/cli"
	"github.com/modelyard/modelyard/internal/infer/probe"
	"github.com/modelyard/modelyard/internal/platform/proc"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "internal" && os.Args[2] == "shim" { // before anything else: a shim has to be small
		os.Exit(proc.ShimMain(os.Args[3:]))
	}
	if len(os.Args) == 4 && os.Args[1] == "internal" && os.Args[2] == "onnx-probe" {
		limit, _ := strconv.ParseUint(os.Getenv(probe.MemoryVariable), 10, 64)
		if err := probe.Child(os.Args[3], os.Getenv("MODELYARD_ONNXRUNTIME"), limit, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(cli.Main(os.Args[1:]))
}
