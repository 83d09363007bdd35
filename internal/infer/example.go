package infer

import (
	"os"
	"path/filepath"
)

// maxExampleBytes bounds an input example.
const maxExampleBytes = 64 << 20

// Example is the model's input example as a frame, nil when it was logged without one. Serving warms a model on it.
func (s Source) Example() (*Frame, error) {
	d := s.Description
	if d == nil || d.InputExample == nil || d.InputExample.ServingPath == "" {
		return nil, nil
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	body, err := readMember(root, filepath.FromSlash(d.InputExample.ServingPath), maxExampleBytes)
	if err != nil {
		return nil, err
	}
	bound, err := NewBinder(d.Signature, Limits{}).Invocations(body)
	if err != nil {
		return nil, err
	}
	return bound.Frame, nil
}
