package dataset

import (
	"bufio"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/page"
	"github.com/modelyard/modelyard/internal/table"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "dataset", FS: migrations} }

// Deps of a Service.
type Deps struct {
	DB      *db.DB
	Events  *events.Log
	Files   *blob.Files
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer // may be nil
	// MaxUpload bounds one upload in bytes; default 1 GiB.
	MaxUpload int64
	// Users says what still needs a version (0: any version) of a dataset: such a one is not deleted. May be nil.
	Users func(ctx context.Context, name string, version int64) ([]string, error)
}

// Service is the store of datasets. Errors are of kind Invalid, NotFound, Conflict or Exhausted unless the store itself fails.
type Service struct {
	d       Deps
	readers chan struct{} // how many tables are read at a time
	frames  *frameCache
	metrics *metrics
}

const parallelReads = 2

// New makes the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.MaxUpload == 0 {
		d.MaxUpload = 1 << 30
	}
	return &Service{d: d, readers: make(chan struct{}, parallelReads), frames: newFrameCache(cacheBytes), metrics: newMetrics(d.Metrics)}
}

// Upload describes data to add.
type Upload struct {
	Dataset     string
	Format      Format // "": found out from the contents
	Target      string // the column that models predict
	TimeColumn  string // the column that holds the event time
	Source      string // where it came from
	Description string
}

func (u *Upload) check() error {
	name, err := CheckName(u.Dataset)
	if err != nil {
		return err
	}
	u.Dataset = name
	var c errs.Collector
	if u.Format != "" && !u.Format.Valid() {
		c.Add("format", "expected csv, parquet or jsonl, found %.40q", string(u.Format))
	}
	for field, text := range map[string]string{"target": u.Target, "time_column": u.TimeColumn, "source": u.Source, "description": u.Description} {
		checkText(&c, field, text)
	}
	return c.Err("dataset.upload", "the upload is not as expected")
}

// Add stores data as the next version of a dataset, which it makes when there is none of that name. Created is false when the dataset
// has these very bytes already: then that version is returned. It returns Invalid, naming every violation, when the data cannot be read
// or breaks the contract, and Exhausted when it is too large; no version exists then.
func (s *Service) Add(ctx context.Context, u Upload, r io.Reader) (v Version, created bool, err error) {
	if err := u.check(); err != nil {
		return Version{}, false, err
	}
	br := bufio.NewReaderSize(&bounded{r: r, left: s.d.MaxUpload}, 64<<10)
	if u.Format == "" {
		u.Format = sniff(br)
	}
	digest, size, err := s.d.Files.Store().Put(ctx, br)
	if err != nil {
		if errs.Is(unwrapOnce(err), errs.Exhausted) { // the store calls it a broken upload; it was ours to break
			err = unwrapOnce(err)
		}
		return Version{}, false, err
	}
	if size == 0 {
		return Version{}, false, errs.Invalidf("dataset.upload", "the upload is empty").WithField("body", "expected a table as CSV, Parquet or JSON lines")
	}
	if have, err := s.byDigest(ctx, u.Dataset, digest); err == nil || !errs.Is(err, errs.NotFound) {
		return have, false, err
	}
	draft, err := s.examine(ctx, u, digest, size)
	if err != nil {
		return Version{}, false, err
	}
	if len(draft.Contract.Violations) > 0 {
		return Version{}, false, s.refuse(ctx, u.Dataset, digest, draft.Contract.Violations)
	}
	return s.store(ctx, draft)
}

// draft is a version that does not exist yet.
type draft struct {
	Version
	profile  *table.Profile
	contract string // the one it was checked against
}

// examine reads the stored upload and describes it.
func (s *Service) examine(ctx context.Context, u Upload, digest blob.Digest, size int64) (draft, error) {
	frame, err := s.read(ctx, digest, size, u.Format)
	if errs.Is(err, errs.Invalid) {
		if e := s.tellRefused(ctx, u.Dataset, digest, []table.Violation{{Rule: "readable", Expected: "a table as " + string(u.Format), Found: err.Error()}}); e != nil {
			return draft{}, e
		}
	}
	if err != nil {
		return draft{}, err
	}
	var c errs.Collector
	for field, name := range map[string]string{"target": u.Target, "time_column": u.TimeColumn} {
		if _, ok := frame.Column(name); name != "" && !ok {
			c.Add(field, "expected a column of the data, there is no %.200q", name)
		}
	}
	if frame.Rows() == 0 {
		c.Add("body", "expected at least one row")
	}
	if err := c.Err("dataset.upload", "the upload is not as expected"); err != nil {
		return draft{}, err
	}
	d := draft{profile: table.NewProfile(frame, table.ProfileOptions{})}
	d.Version = Version{Dataset: u.Dataset, Digest: string(digest), Format: u.Format, SizeBytes: size, Rows: int64(frame.Rows()), Schema: table.InferSchema(frame),
		Source: u.Source, Target: u.Target, TimeColumn: u.TimeColumn, Description: u.Description, CreatedBy: actor.From(ctx).ID}
	d.Contract = ContractResult{Verdict: "none", Violations: []table.Violation{}}
	ds, err := s.Get(ctx, u.Dataset)
	if errs.Is(err, errs.NotFound) {
		return d, nil
	}
	if err != nil || ds.Contract == "" {
		return d, err
	}
	k, err := table.ParseContract([]byte(ds.Contract))
	if err != nil {
		return d, errs.E(errs.Internal, "dataset.contract", "the stored contract of "+ds.Name, err)
	}
	d.contract, d.Contract.Verdict = ds.Contract, "pass"
	if vs := k.Check(frame, s.d.Clock.Now()); len(vs) > 0 {
		d.Contract = ContractResult{Verdict: "fail", Violations: vs}
	}
	return d, nil
}

const maxListedViolations = 100

// refuse tells of violations by an event and gives the error that names them.
func (s *Service) refuse(ctx context.Context, name string, digest blob.Digest, vs []table.Violation) error {
	if err := s.tellRefused(ctx, name, digest, vs); err != nil {
		return err
	}
	rules := fmt.Sprintf("%d rules of the contract are", len(vs))
	if len(vs) == 1 {
		rules = "a rule of the contract is"
	}
	e := errs.Invalidf("dataset.contract", "the data was refused: %s broken", rules).WithHint("mend the data, or change the contract of dataset %s", name)
	for _, v := range vs[:min(len(vs), maxListedViolations)] {
		e = e.WithField(violationField(v), "%s: expected %s, found %s", v.Rule, v.Expected, v.Found)
	}
	return e
}

func violationField(v table.Violation) string {
	if v.Column == "" {
		return v.Rule
	}
	return v.Column
}

func (s *Service) tellRefused(ctx context.Context, name string, digest blob.Digest, vs []table.Violation) error {
	s.metrics.refused.Inc()
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		return s.d.Events.Append(ctx, tx, "dataset.version.refused", events.Resource{Kind: "dataset", ID: name},
			map[string]any{"dataset": name, "digest": digest, "violations": vs[:min(len(vs), maxListedViolations)]})
	})
}

// store writes the version, its file and its event together.
func (s *Service) store(ctx context.Context, d draft) (Version, bool, error) {
	schema, err := json.Marshal(d.Schema)
	if err != nil {
		return Version{}, false, errs.E(errs.Internal, "dataset.store", "the schema", err)
	}
	profile, err := json.Marshal(d.profile)
	if err != nil {
		return Version{}, false, errs.E(errs.Internal, "dataset.store", "the profile", err)
	}
	contract, err := json.Marshal(d.Contract)
	if err != nil {
		return Version{}, false, errs.E(errs.Internal, "dataset.store", "the result of the contract", err)
	}
	created := false
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		created = false
		if err := s.ensure(tx, d.Dataset, ""); err != nil {
			return err
		}
		number, contractNow, found, err := nextVersion(tx, d.Dataset, d.Digest)
		if err != nil || found { // the same bytes came twice at once
			return err
		}
		if contractNow != d.contract {
			return errs.E(errs.Conflict, "dataset.store", "the contract of "+d.Dataset+" was changed while the data was checked", nil).WithHint("upload the data again")
		}
		created = true
		if err := s.insertVersion(tx, d.Version, number, string(schema), string(profile), string(contract)); err != nil {
			return err
		}
		file := blob.File{Path: "data." + string(d.Format), Size: d.SizeBytes, Digest: blob.Digest(d.Digest), CreatedAt: s.d.Clock.Now()}
		if err := s.d.Files.Link(tx, Root(d.Dataset, number), file); err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, "dataset.version.created", events.Resource{Kind: "dataset_version", ID: fmt.Sprintf("%s/%d", d.Dataset, number)},
			map[string]any{"dataset": d.Dataset, "version": number, "digest": d.Digest, "rows": d.Rows})
	})
	if err != nil {
		return Version{}, false, err
	}
	if created {
		s.metrics.created.Inc()
	}
	v, err := s.byDigest(ctx, d.Dataset, blob.Digest(d.Digest))
	return v, created, err
}

// Root is the blob.Files root of a version; its one file is data.<format>.
func Root(name string, version int64) string { return fmt.Sprintf("dataset/%s/%d", name, version) }

// SetContract gives a dataset (made when there is none of that name) a contract in YAML or JSON; empty text removes it. Versions that
// exist are not checked again. It returns Invalid when the contract does not parse.
func (s *Service) SetContract(ctx context.Context, name string, text string) (Dataset, error) {
	name, err := CheckName(name)
	if err != nil {
		return Dataset{}, err
	}
	if len(text) > MaxContract {
		return Dataset{}, errs.E(errs.Exhausted, "dataset.contract", fmt.Sprintf("the contract is larger than %d bytes", MaxContract), nil)
	}
	if text != "" {
		if _, err := table.ParseContract([]byte(text)); err != nil {
			return Dataset{}, errs.E(errs.Invalid, "dataset.contract", "the contract is not valid", err).WithField("contract", "%v", err)
		}
	}
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.ensure(tx, name, ""); err != nil {
			return err
		}
		if err := s.putContract(tx, name, text, actor.From(ctx).ID); err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, "dataset.contract.changed", events.Resource{Kind: "dataset", ID: name}, map[string]any{"dataset": name, "removed": text == ""})
	})
	if err != nil {
		return Dataset{}, err
	}
	return s.Get(ctx, name)
}

// List gives one page of datasets by name and the token of the next page ("" at the end).
func (s *Service) List(ctx context.Context, size int, token string) ([]Dataset, string, error) {
	var after struct{ Name string }
	if err := page.Decode(token, &after); err != nil {
		return nil, "", err
	}
	limit := page.Limit(size, 100, 1000)
	out, err := s.queryDatasets(ctx, "d.name > ? ORDER BY d.name LIMIT ?", after.Name, limit+1)
	if err != nil || len(out) <= limit {
		return out, "", err
	}
	out = out[:limit]
	after.Name = out[limit-1].Name
	return out, page.Encode(after), nil
}

// ListVersions gives one page of the versions of a dataset, newest first, without schema and profile.
func (s *Service) ListVersions(ctx context.Context, name string, size int, token string) ([]Version, string, error) {
	if _, err := s.Get(ctx, name); err != nil {
		return nil, "", err
	}
	var before struct{ Version int64 }
	if err := page.Decode(token, &before); err != nil {
		return nil, "", err
	}
	limit := page.Limit(size, 100, 1000)
	out, err := s.queryVersions(ctx, "dataset = ? AND (? = 0 OR number < ?) ORDER BY number DESC LIMIT ?", name, before.Version, before.Version, limit+1)
	if err != nil || len(out) <= limit {
		return out, "", err
	}
	out = out[:limit]
	before.Version = out[limit-1].Version
	return out, page.Encode(before), nil
}

// FindBySource finds the version that a data URL of this server means, under whatever host name; see ParseSource. NotFound when it is
// none of ours.
func (s *Service) FindBySource(ctx context.Context, source string) (Version, error) {
	name, version, ok := ParseSource(source)
	if !ok {
		return Version{}, errs.NotFoundf("dataset.source", "%.200q is no dataset of this server", source)
	}
	return s.GetVersion(ctx, name, version)
}

// Open reads a version as a table; version 0 is the latest. Frames are kept for a while and must not be changed.
func (s *Service) Open(ctx context.Context, name string, version int64) (*table.Frame, Version, error) {
	v, err := s.GetVersion(ctx, name, version)
	if err != nil {
		return nil, Version{}, err
	}
	if f := s.frames.get(v.Digest); f != nil {
		return f, v, nil
	}
	f, err := s.read(ctx, blob.Digest(v.Digest), v.SizeBytes, v.Format)
	if err != nil {
		return nil, Version{}, err
	}
	s.frames.put(v.Digest, f)
	return f, v, nil
}

// Data opens the bytes of a version as they were uploaded.
func (s *Service) Data(ctx context.Context, v Version) (io.ReadSeekCloser, error) {
	return s.d.Files.Store().Open(ctx, blob.Digest(v.Digest))
}

// bounded fails with Exhausted when there is more than it may read.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errs.E(errs.Exhausted, "dataset.upload", "the upload is larger than this server takes", nil).WithHint("send Parquet, or split the data")
	}
	return n, err
}

func unwrapOnce(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok && u.Unwrap() != nil {
		return u.Unwrap()
	}
	return err
}
