// Package host tells what the programs of bench/ must say of the machine that they ran on, and gives them ports.
package host

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// String describes the machine and how busy it is: "2 cores of ..., linux, load average 0.10 0.20 0.30".
func String() string {
	model := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.SplitSeq(string(b), "\n") {
			if _, v, ok := strings.Cut(line, ":"); ok && strings.HasPrefix(line, "model name") {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	busy := "unknown"
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		busy = strings.Join(strings.Fields(string(b))[:3], " ")
	}
	return fmt.Sprintf("%d cores of %s, %s, load average %s", runtime.NumCPU(), model, runtime.GOOS, busy)
}

// Flush is the median time of a 4 KiB append with fdatasync on the disk of dir: what a commit waits for.
func Flush(dir string) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "flush"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	var took []time.Duration
	for range 200 {
		at := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// Free is a loopback address that nobody listens on.
func Free(ctx context.Context) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String(), nil
}
