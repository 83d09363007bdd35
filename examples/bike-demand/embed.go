// Package bikedemand is the example that `modelyard demo` tells: the files of this folder.
package bikedemand

import "embed"

// Files are the example's data, pipeline, contract, gate and policy.
//
//go:embed bikes.csv pipeline.yaml data.py train.py requirements.txt contract.yaml gate.yaml policy.yaml
var Files embed.FS
