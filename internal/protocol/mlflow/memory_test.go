package mlflow_test

import (
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/modelyard/modelyard/internal/testkit"
)

// TestArtifactsAreStreamed sends and fetches a file and looks at how much memory was asked for in all, by the server and the client in this process.
func TestArtifactsAreStreamed(t *testing.T) { //nolint:paralleltest // it counts what the whole process allocates
	const size = 64 << 20
	s := testkit.Start(t)
	path := "/api/2.0/mlflow-artifacts/artifacts/0/" + newRun(t, s) + "/artifacts/big"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, method := range []string{http.MethodPut, http.MethodGet} {
		var body io.Reader
		if method == http.MethodPut {
			body = io.LimitReader(zeros{}, size)
		}
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || (method == http.MethodGet && n != size) {
			t.Fatalf("%s: %d, %d bytes, %v", method, resp.StatusCode, n, err)
		}
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > size/8 {
		t.Errorf("%d MiB were allocated for %d MiB each way", used>>20, size>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
