// Package config is the one configuration of a server: defaults in code, then a YAML file, then MODELYARD_... variables, then flags;
// the later one wins. Unknown keys and variables are errors, and all problems are reported at once.
package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/secret"
	"github.com/modelyard/modelyard/internal/platform/yamlx"
)

// Config is everything that can be set. The tag key is the name in the file; MODELYARD_<KEY> and --<key> are made from it.
type Config struct {
	DataDir      string        `key:"data_dir" doc:"Folder that holds everything the server stores."`
	Listen       string        `key:"listen" doc:"Address to listen on, HOST:PORT. Any host but a loopback one needs a token."`
	Token        secret.String `key:"token" doc:"Admin token, at least 16 characters. Clients send it as a bearer token or as the password of basic authentication."`
	Hosts        []string      `key:"hosts" doc:"Host names that requests may name, comma-separated. On a loopback address localhost names are always allowed and others refused."`
	DatabaseURL  string        `key:"database_url" doc:"postgres://user@host/name for PostgreSQL; empty for the embedded SQLite store in the data folder."`
	LogLevel     string        `key:"log_level" doc:"debug, info, warn or error."`
	LogFormat    string        `key:"log_format" doc:"text or json."`
	Python       string        `key:"python" doc:"Python interpreter for pipeline steps and model workers; empty to look for one."`
	ONNXRuntime  string        `key:"onnxruntime" doc:"Path of the ONNX Runtime library; empty to look where modelyard runtime install puts it."`
	PublicURL    string        `key:"public_url" doc:"Address under which users reach this server, for links; empty for http://LISTEN."`
	PrivateCalls bool          `key:"private_calls" doc:"Let webhooks call private and loopback addresses. A server on a loopback address may always; metadata services are never called."`
	MaxUpload    int64         `key:"max_upload_mb" doc:"Largest artifact or dataset upload, in MiB."`
	TrashDays    int64         `key:"trash_days" doc:"Days that deleted things can be brought back before the daily purge removes them; 0 to keep them until somebody purges."`
	RawLogDays   int64         `key:"raw_log_days" doc:"Days that raw segments of the prediction log are kept once they are sealed to Parquet; 0 to keep them for ever."`
}

// Default is the configuration without any file, variable or flag.
func Default() Config {
	return Config{DataDir: "modelyard-data", Listen: "127.0.0.1:5000", LogLevel: "info", LogFormat: "text", MaxUpload: 10240, TrashDays: 30, RawLogDays: 90}
}

// Key describes one setting.
type Key struct {
	Name, Env, Flag, Doc, Default string
}

// Keys lists all settings in the order of the struct.
func Keys() []Key {
	t, d := reflect.TypeFor[Config](), reflect.ValueOf(Default())
	var out []Key
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("key")
		out = append(out, Key{Name: name, Env: envPrefix + strings.ToUpper(name), Flag: strings.ReplaceAll(name, "_", "-"),
			Doc: f.Tag.Get("doc"), Default: text(d.Field(i))})
	}
	return out
}

// Origin says where each setting came from: default, the file's path, a variable or a flag.
type Origin map[string]string

// Load builds the configuration. file may be "" (then modelyard.yaml in the working folder is read if it is there); environ holds
// NAME=value as os.Environ gives them; flags holds the flags that the user set, by key.
func Load(file string, environ []string, flags map[string]string) (Config, Origin, error) {
	c, origin, problems := Default(), Origin{}, &errs.Collector{}
	for _, k := range Keys() {
		origin[k.Name] = "default"
	}
	fromFile(&c, file, origin, problems)
	fromEnvironment(&c, environ, origin, problems)
	for _, k := range Keys() {
		if v, ok := flags[k.Name]; ok {
			set(&c, k.Name, v, "--"+k.Flag, origin, problems)
		}
	}
	c.validate(problems)
	return c, origin, problems.Err("config.load", "the configuration is not right")
}

const envPrefix = "MODELYARD_"

func fromEnvironment(c *Config, environ []string, origin Origin, problems *errs.Collector) {
	for _, entry := range environ {
		env, value, _ := strings.Cut(entry, "=")
		name, ours := strings.CutPrefix(env, envPrefix)
		if !ours || noSetting(name) || serviceLink(name, value) {
			continue
		}
		set(c, strings.ToLower(name), value, env, origin, problems)
	}
}

// noSetting reports whether a variable of ours, without its prefix, is none of the server's settings: the command line and the tools around it
// read some, steps of pipelines and workers are given some, and a server that one of them starts inherits them.
func noSetting(name string) bool {
	switch name {
	case "SERVER", "DEBUG", "WEBHOOK_SECRET", "BIN", "CRASH_KILLS", "OUTPUT", "PIPELINE", "PIPELINE_RUN", "STEP", "ATTEMPT", "PROBE_MEMORY":
		return true
	}
	for _, family := range []string{"PARAM_", "OUTPUT_", "TEST_", "BENCH_"} {
		if strings.HasPrefix(name, family) {
			return true
		}
	}
	return false
}

// serviceLink reports whether Kubernetes set the variable for a service called modelyard or modelyard-something.
func serviceLink(name, value string) bool {
	name = "_" + name
	return strings.HasSuffix(name, "_SERVICE_HOST") || strings.HasSuffix(name, "_SERVICE_PORT") || strings.Contains(name, "_SERVICE_PORT_") ||
		strings.Contains(name, "_PORT_") || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

func fromFile(c *Config, file string, origin Origin, problems *errs.Collector) {
	implicit := file == ""
	if implicit {
		file = "modelyard.yaml"
	}
	b, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		if !implicit || !os.IsNotExist(err) {
			problems.Add("config", "cannot read %s: %v", file, err)
		}
		return
	}
	values := map[string]any{}
	if err := yamlx.DecodeLoose(b, &values); err != nil {
		problems.Add(file, "not YAML: %v", err)
		return
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		v := fmt.Sprint(values[name])
		if list, ok := values[name].([]any); ok {
			parts := make([]string, len(list))
			for i, e := range list {
				parts[i] = fmt.Sprint(e)
			}
			v = strings.Join(parts, ",")
		}
		set(c, name, v, file, origin, problems)
	}
}

func set(c *Config, name, value, from string, origin Origin, problems *errs.Collector) {
	t, v := reflect.TypeFor[Config](), reflect.ValueOf(c).Elem()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("key") != name {
			continue
		}
		origin[name] = from
		f := v.Field(i)
		switch f.Kind() {
		case reflect.String:
			f.SetString(value)
		case reflect.Int64:
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				problems.Add(from, "%s is %q: expected a whole number", name, value)
				return
			}
			f.SetInt(n)
		case reflect.Bool:
			b, err := strconv.ParseBool(value)
			if err != nil {
				problems.Add(from, "%s is %q: expected true or false", name, value)
				return
			}
			f.SetBool(b)
		case reflect.Slice:
			var parts []string
			for p := range strings.SplitSeq(value, ",") {
				if p = strings.TrimSpace(p); p != "" {
					parts = append(parts, p)
				}
			}
			f.Set(reflect.ValueOf(parts))
		}
		return
	}
	hint := "modelyard config show lists them"
	if near := nearest(name); near != "" {
		hint = "did you mean " + near
		if strings.HasPrefix(from, envPrefix) {
			hint = "did you mean " + envPrefix + strings.ToUpper(near)
		}
	}
	problems.Add(from, "unknown key %q, %s", name, hint)
}

func text(v reflect.Value) string {
	if l, ok := v.Interface().([]string); ok {
		return strings.Join(l, ",")
	}
	return fmt.Sprint(v.Interface())
}

// Values gives each setting as text, secrets redacted.
func (c Config) Values() map[string]string {
	out, v := map[string]string{}, reflect.ValueOf(c)
	for i, k := range Keys() {
		out[k.Name] = text(v.Field(i))
	}
	return out
}

const (
	minToken   = 16
	maxDays    = 36500
	minRawDays = 31 // the window of labels, and a day
)

func (c Config) validate(p *errs.Collector) {
	if c.DataDir == "" {
		p.Add("data_dir", "expected a folder")
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		p.Add("listen", "%q: expected HOST:PORT, such as 127.0.0.1:5000", c.Listen)
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		p.Add("listen", "%q: the port must be 0 to 65535", c.Listen)
	} else if !loopback(host) && c.Token == "" {
		p.Add("token", "%s is reachable from other machines, so an admin token is needed: set MODELYARD_TOKEN (`openssl rand -hex 24` makes one), or listen on 127.0.0.1", c.Listen)
	}
	if c.Token != "" && len(c.Token.Reveal()) < minToken {
		p.Add("token", "expected at least %d characters", minToken)
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		p.Add("log_level", "%q: expected debug, info, warn or error", c.LogLevel)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		p.Add("log_format", "%q: expected text or json", c.LogFormat)
	}
	if c.TrashDays < 0 || c.TrashDays > maxDays {
		p.Add("trash_days", "expected 0 to %d", maxDays)
	}
	if c.RawLogDays < 0 || c.RawLogDays > maxDays || c.RawLogDays > 0 && c.RawLogDays < minRawDays {
		p.Add("raw_log_days", "expected 0, or %d to %d: labels may come for %d days", minRawDays, maxDays, minRawDays)
	}
	if c.MaxUpload < 1 {
		p.Add("max_upload_mb", "expected at least 1")
	}
}

// Loopback reports whether the server can only be reached from its own machine.
func (c Config) Loopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	return err == nil && loopback(host)
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// AllowedHosts are the host names to answer for; empty means all (a token protects then).
func (c Config) AllowedHosts() []string {
	var out []string
	for _, h := range c.Hosts {
		out = append(out, strings.ToLower(h))
	}
	if c.Loopback() {
		return append(out, "localhost", "127.0.0.1", "::1")
	}
	return out
}

func nearest(name string) string {
	best, most := "", 3
	for _, k := range Keys() {
		if d := distance(name, k.Name); d < most {
			best, most = k.Name, d
		}
	}
	return best
}

// distance is the edit distance of two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diag, row[j] = row[j], min(row[j]+1, row[j-1]+1, diag+cost)
		}
	}
	return row[len(b)]
}
