package transfer

import (
	"context"
	"io"
)

// Outcome says what was done with one thing.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
)

// Known is what a sink has of a run or logged model already: its id there, and the mark of the state that was moved whole, "" when it
// was begun and not finished.
type Known struct{ ID, Mark string }

// Placing says how an experiment is placed in a sink.
type Placing struct {
	Name         string // there
	IntoExisting bool   // use one of that name that came from elsewhere
	Check        bool   // only see whether it can be placed
}

// Sink writes a store. Everything can be written again without harm.
type Sink interface {
	// Experiment finds or makes the experiment that e goes into, under a name of the caller's choice.
	Experiment(ctx context.Context, e Experiment, as Placing) (id string, out Outcome, err error)
	// Known looks up runs or logged models by their ids in the source.
	Known(ctx context.Context, kind string, ids []string) (map[string]Known, error)
	// Run writes a run and all its points, without its models; history gives the points of a metric.
	Run(ctx context.Context, experiment string, r Run, known Known, history func(key string, part func([]Point) error) error) (id string, out Outcome, err error)
	// LoggedModel writes a logged model without its files.
	LoggedModel(ctx context.Context, experiment string, m LoggedModel, known Known) (id string, out Outcome, err error)
	// Put stores one file of a run or logged model by the id it has in the sink. f.Digest is set when it is known without reading the file: a
	// sink that has such contents need not open it.
	Put(ctx context.Context, o Owner, f File, open func() (io.ReadCloser, error)) error
	// Finish notes that a run or logged model was moved whole, with the models that it is tied to.
	Finish(ctx context.Context, f Finished) error
}

// Finished is what Finish is told.
type Finished struct {
	Owner      Owner // with its id in the sink
	Source     string
	Mark       string
	Run        *Run         // for runs; ids are those of the source
	Model      *LoggedModel // for logged models
	Translated func(kind, id string) (string, bool)
}

// RegistrySink writes the model registry.
type RegistrySink interface {
	// Model makes a registered model or brings it up to date; aliases are set once the versions are there.
	Model(ctx context.Context, m RegisteredModel, name string, intoExisting bool) (Outcome, error)
	// Version makes a version: files is where its files are in the sink, "" for none. It gives the number there.
	Version(ctx context.Context, model string, v Version, files string) (number string, out Outcome, err error)
	// Aliases points aliases at versions by their numbers in the sink.
	Aliases(ctx context.Context, m RegisteredModel, name string, aliases map[string]string) (changed bool, err error)
}

// Target is a store that things are moved into: written through its sinks, compared through its reader.
type Target interface {
	Sink
	RegistrySink
	// Reader reads the target back.
	Reader() Reader
	// End closes what had to stay open while things were written.
	End(ctx context.Context) error
}

// Reader reads single things back.
type Reader interface {
	Source
	Run(ctx context.Context, id string) (Run, error)
	Model(ctx context.Context, id string) (LoggedModel, error)
}
