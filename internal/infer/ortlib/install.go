package ortlib

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Install fetches the pinned release into cacheDir ("" means [CacheDir]) and gives the library's path. It does nothing
// when the library is there and whole. progress, which may be nil, gets one plain line for each step.
func Install(ctx context.Context, cacheDir string, progress func(string)) (string, error) {
	if progress == nil {
		progress = func(string) {}
	}
	r, ok := Pinned(runtime.GOOS, runtime.GOARCH)
	if !ok {
		return "", fmt.Errorf("there is no ONNX Runtime wheel for %s/%s: install the library another way and set MODELYARD_ONNXRUNTIME to its path", runtime.GOOS, runtime.GOARCH)
	}
	path, err := target(cacheDir, r)
	if err != nil {
		return "", err
	}
	if sum, err := checksum(path); err == nil && sum == r.SHA256 {
		progress("ONNX Runtime " + r.Version + " is installed already")
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(path), ".download-*")
	if err != nil {
		return "", fmt.Errorf("make a download folder: %w", err)
	}
	defer os.RemoveAll(work)
	library := filepath.Join(work, "library")
	if err := fetch(ctx, r, work, library, progress); err != nil {
		return "", err
	}
	progress("checking its SHA-256")
	sum, err := checksum(library)
	if err != nil {
		return "", err
	}
	if sum != r.SHA256 {
		return "", fmt.Errorf("the downloaded library has SHA-256 %s, %s was expected: the package index served something else, nothing was installed", sum, r.SHA256)
	}
	if err := os.Chmod(library, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(library, path); err != nil {
		return "", fmt.Errorf("put the library in place: %w", err)
	}
	progress("installed " + path)
	return path, nil
}

// fetch gets the wheel with whichever tool is there and takes the library out of it.
func fetch(ctx context.Context, r Release, work, library string, progress func(string)) error {
	tools := [][]string{}
	for _, python := range []string{"python3", "python"} {
		if path, err := exec.LookPath(python); err == nil {
			tools = append(tools, append([]string{path, "-m", "pip", "download"}, pipArguments(r, work)...))
		}
	}
	if path, err := exec.LookPath("uv"); err == nil {
		tools = append(tools, []string{
			path, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", "3.11",
			"--python-platform", r.UV, "--target", filepath.Join(work, "tree"), "onnxruntime==" + r.Version,
		})
	}
	if len(tools) == 0 {
		return errors.New("neither python3 with pip nor uv was found: install one of them, or set MODELYARD_ONNXRUNTIME to the path of libonnxruntime")
	}
	var failures []error
	for _, tool := range tools {
		progress("downloading onnxruntime " + r.Version + " with " + filepath.Base(tool[0]))
		command := exec.CommandContext(ctx, tool[0], tool[1:]...)
		text, err := command.CombinedOutput()
		if err == nil {
			err = takeMember(r, work, library)
		} else {
			err = fmt.Errorf("%s: %w: %s", strings.Join(tool[:min(4, len(tool))], " "), err, lastLine(string(text)))
		}
		if err == nil {
			return nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("onnxruntime %s could not be downloaded: %w", r.Version, errors.Join(failures...))
}

func pipArguments(r Release, work string) []string {
	return []string{
		"--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--python-version", "3.11",
		"--implementation", "cp", "--abi", "cp311", "--platform", r.Platform, "--dest", work, "onnxruntime==" + r.Version,
	}
}

// takeMember finds the library in what the tool left: a wheel (pip) or an unpacked one (uv).
func takeMember(r Release, work, library string) error {
	if err := os.Rename(filepath.Join(work, "tree", filepath.FromSlash(r.Member)), library); err == nil {
		return nil
	}
	wheels, _ := filepath.Glob(filepath.Join(work, "onnxruntime-*.whl"))
	if len(wheels) != 1 {
		return fmt.Errorf("the download left %d wheels, one was expected", len(wheels))
	}
	z, err := zip.OpenReader(wheels[0])
	if err != nil {
		return err
	}
	defer z.Close()
	member, err := z.Open(r.Member)
	if err != nil {
		return fmt.Errorf("the wheel has no %s: %w", r.Member, err)
	}
	defer member.Close()
	f, err := os.OpenFile(library, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.LimitReader(member, r.Size+1))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	line := lines[len(lines)-1]
	return line[:min(len(line), 300)]
}
