// Package ortlib finds the ONNX Runtime library on this machine and installs the pinned release of it.
//
// The library is a member of the official PyPI wheel. It is fetched with the user's own pip or uv, so their package
// index, proxy and certificates apply, its SHA-256 is checked against the one pinned here, and it lands in the user's
// cache folder in one atomic step. No Python is needed to use it afterwards.
package ortlib

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Release is what Install fetches for one platform.
type Release struct {
	Version  string
	Platform string // pip's name
	UV       string // uv's name
	Member   string // the library inside the wheel
	SHA256   string // of the library
	Size     int64
}

// Pinned is the release for a platform, false where no wheel exists.
func Pinned(goos, goarch string) (Release, bool) {
	switch goos + "/" + goarch {
	case "linux/amd64":
		return Release{
			Version: "1.31.1", Platform: "manylinux_2_28_x86_64", UV: "x86_64-manylinux_2_28",
			Member: "onnxruntime/capi/libonnxruntime.so.1.31.1", SHA256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3", Size: 29352200,
		}, true
	case "linux/arm64":
		return Release{
			Version: "1.31.1", Platform: "manylinux_2_28_aarch64", UV: "aarch64-manylinux_2_28",
			Member: "onnxruntime/capi/libonnxruntime.so.1.31.1", SHA256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467", Size: 25265040,
		}, true
	case "darwin/arm64":
		return Release{
			Version: "1.31.1", Platform: "macosx_14_0_arm64", UV: "aarch64-apple-darwin",
			Member: "onnxruntime/capi/libonnxruntime.1.31.1.dylib", SHA256: "f8b06155feece624e55e49124340eea279da812529ae6fbc46a9f2be9c9cad2e", Size: 33037336,
		}, true
	case "darwin/amd64": // the last release with a wheel for it
		return Release{
			Version: "1.23.2", Platform: "macosx_13_0_x86_64", UV: "x86_64-apple-darwin",
			Member: "onnxruntime/capi/libonnxruntime.1.23.2.dylib", SHA256: "8330f6d9d53f81d564c88de6520113b25db9537872e70a0fb7942fea202f08b1", Size: 30819512,
		}, true
	}
	return Release{}, false
}

// ErrNotFound says that no ONNX Runtime library is on this machine.
var ErrNotFound = errors.New("ONNX Runtime is not installed: run `modelyard runtime install`, or set MODELYARD_ONNXRUNTIME to the path of libonnxruntime")

// Find looks for the library: explicit (a flag or setting) first, then MODELYARD_ONNXRUNTIME, the cache folder, the
// active Python environment, and node_modules of the working directory. cacheDir "" means [CacheDir].
func Find(explicit, cacheDir string) (string, error) {
	for _, path := range []string{explicit, os.Getenv("MODELYARD_ONNXRUNTIME")} {
		if path != "" {
			if _, err := os.Stat(path); err != nil {
				return "", errors.Join(errors.New("the ONNX Runtime library that was set cannot be read"), err)
			}
			return path, nil
		}
	}
	if r, ok := Pinned(runtime.GOOS, runtime.GOARCH); ok {
		if path, err := installed(cacheDir, r); err == nil {
			return path, nil
		}
	}
	for _, pattern := range patterns() {
		found, _ := filepath.Glob(pattern)
		slices.Sort(found)
		for _, path := range slices.Backward(found) {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return path, nil
			}
		}
	}
	return "", ErrNotFound
}

// patterns are the places where other installations keep the library.
func patterns() []string {
	library := "libonnxruntime.so.*"
	if runtime.GOOS == "darwin" {
		library = "libonnxruntime.*.dylib"
	}
	var out []string
	for _, env := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if prefix := os.Getenv(env); prefix != "" && !strings.ContainsAny(prefix, "*?[") {
			out = append(out, filepath.Join(prefix, "lib", "python3*", "site-packages", "onnxruntime", "capi", library))
		}
	}
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	return append(out, filepath.Join("node_modules", "onnxruntime-node", "bin", "napi-v*", runtime.GOOS, arch, library))
}

// CacheDir is where Install puts the library by default: modelyard/runtime in the user's cache folder.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "modelyard", "runtime"), nil
}

// installed is the path of the pinned release in the cache folder.
func installed(cacheDir string, r Release) (string, error) {
	path, err := target(cacheDir, r)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() != r.Size {
		return "", errors.New("the installed library has the wrong size")
	}
	return path, nil
}

func target(cacheDir string, r Release) (string, error) {
	if cacheDir == "" {
		var err error
		if cacheDir, err = CacheDir(); err != nil {
			return "", err
		}
	}
	return filepath.Join(cacheDir, "onnxruntime-"+r.Version, filepath.Base(r.Member)), nil
}
