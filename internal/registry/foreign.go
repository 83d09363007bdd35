package registry

import (
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/blob"
)

// A version may name a source that is not in this server. Clients read such a model by themselves and this server never does, so the version
// has no files here and cannot be served.

// Elsewhere reports whether a client may register a source as it stands: a folder in an object store.
func Elsewhere(source string) bool {
	scheme, rest, ok := strings.Cut(source, "://")
	if !ok || !slices.Contains([]string{"s3", "s3a", "gs", "abfs", "abfss", "wasb", "wasbs", "hdfs"}, scheme) || strings.ContainsAny(rest, "?#\\%;") {
		return false
	}
	store, folder, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/") // a bucket, container@account or host:port
	clean, err := blob.CleanPath(folder)
	return err == nil && clean == folder && store != "" && strings.Trim(store, ".") != ""
}

// foreignSource is what an import keeps of a source: any address that clients can use by themselves. A path would make them read their own disk.
func foreignSource(source string) string {
	scheme, _, ok := strings.Cut(source, ":/")
	if !ok || strings.EqualFold(scheme, "file") || strings.ContainsAny(scheme, `/\`) || len(scheme) == 1 {
		return ""
	}
	return source
}
