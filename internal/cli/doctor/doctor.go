// Package doctor is the command that checks the set-up.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/app"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/cli/up"
)

// New is `modelyard doctor`.
func New(f *cmdutil.Factory) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the set-up and say how to mend it",
		Long: `Check what a server needs on this machine, and the server itself if one answers.

On this machine: the data folder, free disk space, the port, the database, the blob store, Python, uv and ONNX Runtime.
Of the server at --server: that it answers, its version, its clock, whether you are signed in, its stores and its background jobs.

Each check is ok, warn (something is missing that not everybody needs) or fail. Nothing is changed, and no data folder is made.
The exit code is 1 when a check fails. The flags are those of modelyard up: give the same ones to check the same set-up.`,
		Example: `  modelyard doctor
  modelyard doctor --data-dir /srv/modelyard --listen 127.0.0.1:8080
  modelyard doctor -o json | jq '.checks[] | select(.state != "ok")'`,
		Args: cmdutil.Args(),
	}
	up.Flags(cmd, &file)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, _, err := up.Load(cmd, file)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), 30*time.Second)
		defer cancel()
		var here, there []app.Check
		var g errgroup.Group
		g.Go(func() error { here = app.CheckMachine(ctx, cfg); return nil })
		g.Go(func() (err error) { there, err = server(ctx, f); return err })
		if err := g.Wait(); err != nil {
			return err
		}
		return report(f, append(here, there...))
	}
	return cmd
}

func report(f *cmdutil.Factory, checks []app.Check) error {
	count := map[string]int{}
	for _, c := range checks {
		count[c.State]++
	}
	raw := map[string]any{"ok": count[app.CheckFail] == 0, "checks": checks}
	if f.Structured() {
		if err := f.Document(raw); err != nil {
			return err
		}
	} else if err := cmdutil.List(f, checks, checks, []cmdutil.Column[app.Check]{
		{Head: "check", Cell: func(c app.Check) string { return c.Name }},
		{Head: "state", Cell: func(c app.Check) string { return c.State }},
		{Head: "detail", Cell: func(c app.Check) string { return c.Detail }},
	}); err != nil {
		return err
	}
	for _, c := range checks {
		if c.State != app.CheckOK && c.Hint != "" {
			f.Progress("%s: next: %s", c.Name, c.Hint)
		}
	}
	if n := count[app.CheckFail]; n > 0 {
		return fmt.Errorf("%d of %d checks failed", n, len(checks))
	}
	f.Progress("%d checks: %d ok, %d to look at", len(checks), count[app.CheckOK], count[app.CheckWarn])
	return nil
}

// server asks the server that the command would talk to. That none answers is a warning: one may not be wanted yet.
func server(ctx context.Context, f *cmdutil.Factory) ([]app.Check, error) {
	c, err := f.Client()
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	resp, err := c.Do(ctx, client.Request{Method: http.MethodGet, Path: "/api/v1/version"})
	if err != nil {
		state := app.CheckFail
		if client.KindOf(err) == "unreachable" {
			state = app.CheckWarn
		}
		return []app.Check{{Name: "server", State: state, Detail: err.Error(), Hint: "start one with modelyard up, or name it with --server or MODELYARD_SERVER"}}, nil
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	_ = resp.Body.Close()
	out := []app.Check{{Name: "server", State: app.CheckOK, Detail: c.Server() + " answers"}, skew(resp.Header.Get("Date"), sent)}
	checks := []func(context.Context, *client.Client) app.Check{version, stores, signedIn, jobs}
	found := make([]app.Check, len(checks))
	var g errgroup.Group
	for i, check := range checks {
		g.Go(func() error { found[i] = check(ctx, c); return nil })
	}
	_ = g.Wait()
	return append(out, found...), nil
}

// skew compares the server's clock with ours; the header has whole seconds.
func skew(date string, sent time.Time) app.Check {
	const name, most = "clock", 5 * time.Second
	at, err := http.ParseTime(date)
	if err != nil {
		return app.Check{Name: name, State: app.CheckWarn, Detail: "the server sends no date"}
	}
	off := at.Sub(sent).Abs().Round(time.Second)
	if off > most {
		return app.Check{Name: name, State: app.CheckWarn, Detail: fmt.Sprintf("the server's clock is %s off", off), Hint: "set both clocks with NTP: windows and label lag go by time"}
	}
	return app.Check{Name: name, State: app.CheckOK, Detail: fmt.Sprintf("within %s of the server's", most)}
}

func version(ctx context.Context, c *client.Client) app.Check {
	const name = "version"
	var v struct{ Version, Store string }
	if err := c.Get(ctx, "/api/v1/version", nil, &v); err != nil {
		return failure(name, err)
	}
	if v.Version != app.Version() {
		return app.Check{Name: name, State: app.CheckWarn, Detail: "the server is " + v.Version + ", this program " + app.Version(), Hint: "use the same version on both sides"}
	}
	return app.Check{Name: name, State: app.CheckOK, Detail: v.Version + " on " + v.Store}
}

func stores(ctx context.Context, c *client.Client) app.Check {
	resp, err := c.Do(ctx, client.Request{Method: http.MethodGet, Path: "/readyz"})
	if err != nil {
		return failure("readiness", err)
	}
	_ = resp.Body.Close()
	return app.Check{Name: "readiness", State: app.CheckOK, Detail: "the server's stores answer"}
}

func signedIn(ctx context.Context, c *client.Client) app.Check {
	const name = "sign-in"
	var s struct{ Authentication string }
	if err := c.Get(ctx, "/api/v1/session", nil, &s); err != nil {
		return failure(name, err)
	}
	if s.Authentication == "none" {
		return app.Check{Name: name, State: app.CheckOK, Detail: "no account is needed on this address"}
	}
	if err := c.Get(ctx, "/api/v1/jobs", url.Values{"limit": {"1"}}, nil); err != nil {
		return failure(name, err)
	}
	return app.Check{Name: name, State: app.CheckOK, Detail: "the token is accepted"}
}

// jobs looks at the queue: what has waited for long, and what gave up.
func jobs(ctx context.Context, c *client.Client) app.Check {
	const name, slow = "jobs", time.Minute
	type job struct {
		Kind  string    `json:"kind"`
		RunAt time.Time `json:"run_at"`
		Error string    `json:"error"`
	}
	read := func(state string) ([]job, error) {
		var list struct{ Items []job }
		return list.Items, c.Get(ctx, "/api/v1/jobs", url.Values{"state": {state}}, &list)
	}
	failed, err := read("failed")
	if err != nil {
		return failure(name, err)
	}
	if len(failed) > 0 {
		return app.Check{Name: name, State: app.CheckWarn, Detail: fmt.Sprintf("%d gave up, such as %s: %s", len(failed), failed[0].Kind, failed[0].Error), Hint: "modelyard job list --state failed, then modelyard job retry <id>"}
	}
	ready, err := read("ready")
	if err != nil {
		return failure(name, err)
	}
	now := time.Now()
	ready = slices.DeleteFunc(ready, func(j job) bool { return now.Sub(j.RunAt) < slow })
	if len(ready) > 0 {
		return app.Check{Name: name, State: app.CheckWarn, Detail: fmt.Sprintf("%d wait for more than %s", len(ready), slow), Hint: "modelyard job list --state ready"}
	}
	return app.Check{Name: name, State: app.CheckOK, Detail: "none failed, none waits for long"}
}

func failure(name string, err error) app.Check {
	c := app.Check{Name: name, State: app.CheckFail, Detail: err.Error()}
	var e *client.Error
	if errors.As(err, &e) {
		c.Hint = e.Hint
	}
	return c
}
