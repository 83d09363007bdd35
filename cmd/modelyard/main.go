// Command modelyard takes a machine-learning model from a notebook to production and keeps it healthy there.
package main

import (
	"os"

	"github.com/modelyard/modelyard/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
