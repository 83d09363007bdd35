package registry

import "testing"

func TestElsewhere(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]bool{
		"s3://bucket/team/model": true, "s3://bucket/model/": true, "gs://bucket": true, "hdfs://namenode:8020/models/m": true,
		"abfss://box@account.dfs.core.windows.net/m": true, "s3://": false, "s3:///m": false, "s3://../m": false, "s3://b/../m": false, "s3://b//m": false, "s3://b/%2e%2e/m": false,
		"s3://b/m?versionId=1": false, "S3://b/m": false, "s3:/b/m": false, "https://host/m": false, "file:///m": false, "/m": false, "runs:/x/m": false, "": false,
	} {
		if Elsewhere(source) != want {
			t.Errorf("%q: %v", source, !want)
		}
	}
}
