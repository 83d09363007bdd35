package mlflow

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/httpx"
)

// leftOut is a part of MLflow that this server does not have. Paths that begin with /2.0 or /3.0 are below both API bases; all mean what lies at
// them and below them, and one with a method before it that call alone.
type leftOut struct {
	what  string
	why   string
	paths []string
}

// leftOuts is the one list of what is left out: the routes, the documentation and the tests are made of it.
func leftOuts() []leftOut {
	return []leftOut{
		{"online trace stores", "MLflow's own server has them not either: they are calls of Databricks", []string{"/2.0/mlflow/unified-traces", "/2.0/mlflow/get-online-trace-details"}},
		{"accounts and roles of MLflow's basic-auth app", "who may do what is this server's own matter, see /api/v1/session", []string{"/2.0/mlflow/users", "/3.0/mlflow/users", "/3.0/mlflow/roles",
			"/2.0/mlflow/experiments/permissions", "/2.0/mlflow/registered-models/permissions", "/signup"}},
		{"the AI gateway", "models are served by endpoints", []string{"/3.0/mlflow/gateway", "/2.0/mlflow/gateway-proxy", "/2.0/mlflow/runs/create-promptlab-run", "/gateway"}},
		{"running scorers at the server", "scorers are kept, clients run them", []string{"/3.0/mlflow/scorers/online-config", "/3.0/mlflow/scorers/online-configs", "/3.0/mlflow/scorer/invoke", "/3.0/mlflow/genai/evaluate/invoke"}},
		{"issues found in traces", "they need models that judge, run by the server", []string{"/3.0/mlflow/issues"}},
		{"label schemas", "feedback is kept as assessments of traces", []string{"/3.0/mlflow/label-schemas"}},
		{"review queues", "feedback is kept as assessments of traces", []string{"/3.0/mlflow/review-queues"}},
		{"prompt optimisation", "it needs models that the server calls", []string{"/3.0/mlflow/prompt-optimization"}},
		{"MLflow's background jobs", "the jobs of this server are at /api/v1/jobs", []string{"/3.0/jobs", "/3.0/mlflow/jobs"}},
		{"the assistant, the MCP registry, the demo and the telemetry of MLflow's web page", "this server has a web page of its own",
			[]string{"/3.0/mlflow/assistant", "/3.0/mlflow/mcp-servers", "/3.0/mlflow/demo", "/3.0/mlflow/ui-telemetry"}},
		{"GraphQL", "only MLflow's web page asks by it", []string{"/graphql"}},
	}
}

func (e *Edge) leftOutRoutes(r *httpx.Router) {
	for _, part := range leftOuts() {
		h := e.notImplemented(part)
		for _, p := range part.paths {
			method, p, one := cutMethod(p)
			for _, p := range everyBase(p) {
				r.Handle(method, p, runWrite, h)
				if !one {
					r.Handle("", p+"/{rest...}", runWrite, h)
				}
			}
		}
	}
}

// cutMethod takes "POST /path" apart, which stands for that call alone; a path without a method is left out with all below it.
func cutMethod(p string) (method, path string, one bool) {
	if m, rest, ok := strings.Cut(p, " "); ok {
		return m, rest, true
	}
	return "", p, false
}

func bases() []string { return []string{"/api", "/ajax-api"} }

// everyBase is where a path lies.
func everyBase(p string) []string {
	if !underBases(p) {
		return []string{p}
	}
	var out []string
	for _, base := range bases() {
		out = append(out, base+p)
	}
	return out
}

func underBases(p string) bool { return strings.HasPrefix(p, "/2.0/") || strings.HasPrefix(p, "/3.0/") }

// notImplemented answers for a part of MLflow that is left out. 501 is not retried by the clients.
func (e *Edge) notImplemented(part leftOut) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		e.fail(w, req, &codedError{"NOT_IMPLEMENTED", http.StatusNotImplemented,
			fmt.Sprintf("%s %.200s is not implemented: this server does not have %s (%s)", req.Method, req.URL.Path, part.what, part.why)})
	}
}

// Endpoint is one route of the protocol, under /api; what begins with /2.0 or /3.0 has its twin under /ajax-api.
type Endpoint struct{ Method, Path string }

// Reference is the documentation of what is served and what is left out, in Markdown. Call it after Routes.
func (e *Edge) Reference() string {
	var b strings.Builder
	b.WriteString(`<!-- Generated from the code: go test ./internal/protocol/mlflow -run TestReference -update. Do not edit. -->

# MLflow's endpoints

The protocol is that of MLflow ` + Version + `. Every path under ` + "`/api/`" + ` is also served under ` + "`/ajax-api/`" + `, as MLflow does. Errors are MLflow's
(` + "`error_code`, `message`" + `). [How it works and where it differs](../explain/mlflow.md).

## Served

| method | path |
|---|---|
`)
	for _, x := range e.served {
		p := x.Path
		if underBases(p) {
			p = "/api" + p
		}
		fmt.Fprintf(&b, "| %s | `%s` |\n", x.Method, p)
	}
	b.WriteString("\n## Left out\n\nThese answer 501 with `NOT_IMPLEMENTED` and say what is missing, for the path and whatever lies below it.\n\n| what | why | paths |\n|---|---|---|\n")
	for _, part := range leftOuts() {
		paths := make([]string, len(part.paths))
		for i, p := range part.paths {
			method, p, _ := cutMethod(p)
			paths[i] = "`" + strings.TrimSpace(method+" "+everyBase(p)[0]) + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", part.what, part.why, strings.Join(paths, ", "))
	}
	return b.String()
}
