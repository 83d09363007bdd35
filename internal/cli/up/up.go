// Package up is the command that runs the whole server.
package up

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/modelyard/modelyard/internal/app"
	"github.com/modelyard/modelyard/internal/cli/cmdutil"
	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/platform/telemetry"
)

// New is `modelyard up`.
func New(f *cmdutil.Factory) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start everything in one process",
		Long: `Start the server: tracking, registry, serving, monitoring, pipelines and the web UI in one process.

Everything is kept in the data folder. On a loopback address no account is needed; any other address needs an admin token.
GOGC and GOMEMLIMIT bound the memory as in any Go program; without them the garbage collector lets 64 MiB be allocated between two runs.`,
		Example: `  modelyard up
  modelyard up --data-dir /srv/modelyard --listen 127.0.0.1:8080
  MODELYARD_TOKEN=$(openssl rand -hex 24) modelyard up --listen 0.0.0.0:5000`,
		Args: cmdutil.Args(),
	}
	Flags(cmd, &file)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, _, err := Load(cmd, file)
		if err != nil {
			return err
		}
		return run(cmd.Context(), f, cfg)
	}
	return cmd
}

// Flags adds the configuration flags to a command.
func Flags(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "config", "", "configuration file (default ./modelyard.yaml if it is there)")
	for _, k := range config.Keys() {
		if k.Name == "token" { // a secret on a command line shows in the process list
			continue
		}
		cmd.Flags().String(k.Flag, "", k.Doc+" (default "+quoted(k.Default)+", or $"+k.Env+")")
	}
}

func quoted(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Load builds the configuration of a command with Flags.
func Load(cmd *cobra.Command, file string) (config.Config, config.Origin, error) {
	flags := map[string]string{}
	for _, k := range config.Keys() {
		if fl := cmd.Flags().Lookup(k.Flag); fl != nil && fl.Changed {
			flags[k.Name] = fl.Value.String()
		}
	}
	return config.Load(file, os.Environ(), flags)
}

func run(ctx context.Context, f *cmdutil.Factory, cfg config.Config) error {
	start := time.Now()
	log, err := telemetry.Logger(f.Err, cfg.LogLevel, cfg.LogFormat)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	var beforeCommit func()
	if d, err := time.ParseDuration(f.Getenv("MODELYARD_TEST_COMMIT_DELAY")); err == nil && d > 0 {
		beforeCommit = func() { time.Sleep(d) } // crash tests widen the gap between a write and its commit
	}
	early := f.Getenv("MODELYARD_TEST_ANSWER_EARLY") == "lose my data" // the mutant that crash tests must catch
	if early {
		log.Warn("this server answers before it commits, so that a crash test can catch it: it loses data when it is killed")
	}
	s, err := app.New(ctx, cfg, app.Options{Log: log, BeforeCommit: beforeCommit, AnswerEarly: early})
	if err != nil {
		return err
	}
	f.Progress("Modelyard %s is ready at %s after %s", app.Version(), s.URL(), time.Since(start).Round(time.Millisecond))
	f.Progress("  data    %s", s.Config().DataDir)
	f.Progress("  clients export MLFLOW_TRACKING_URI=%s", s.URL())
	f.Progress("  stop    Ctrl-C")
	if f.Getenv("GOGC") == "" && f.Getenv("GOMEMLIMIT") == "" {
		go giveRoom(ctx)
	}
	err = s.Serve(ctx)
	if err == nil {
		f.Progress("stopped")
		return nil
	}
	return fmt.Errorf("the server stopped: %w", err)
}
