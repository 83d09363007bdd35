package evalset

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/platform/space"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this domain.
func Migrations() db.Migrations { return db.Migrations{Domain: "evalset", FS: migrations} }

// Deps of a Service.
type Deps struct {
	DB     *db.DB
	Events *events.Log
	Clock  clock.Clock
	Log    *slog.Logger
	// Experiment returns nil when an experiment is there and takes writes, else NotFound or Invalid.
	Experiment func(ctx context.Context, id string) error
}

// Service is the use-cases of evaluation datasets. Safe for concurrent use.
type Service struct {
	d  Deps
	st store
}

// New makes the service.
func New(d Deps) *Service { return &Service{d: d, st: store{d.DB}} }

func (s *Service) now() time.Time { return s.d.Clock.Now().Truncate(time.Millisecond) }

func digest(name string, at time.Time, records int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s:%d:%d", name, at.UnixMilli(), records))
	return hex.EncodeToString(sum[:4])
}

func resource(id string) events.Resource { return events.Resource{Kind: "evaluation-dataset", ID: id} }

// Create makes an empty dataset. Kinds: Invalid, NotFound (an experiment).
func (s *Service) Create(ctx context.Context, name string, tags map[string]string, experiments []string) (Dataset, error) {
	var c errs.Collector
	if name == "" {
		c.Add("name", "expected a name")
	}
	checkText(&c, "name", name, MaxName)
	checkTags(&c, tags)
	checkExperiments(&c, experiments)
	if err := c.Err("evalset.create", "the dataset is not valid"); err != nil {
		return Dataset{}, err
	}
	for _, e := range experiments {
		if err := s.d.Experiment(ctx, e); err != nil {
			return Dataset{}, err
		}
	}
	now := s.now()
	d := Dataset{ID: "d-" + id.Hex(), Name: name, Workspace: space.Of(ctx), Digest: digest(name, now, 0), CreatedAt: now, UpdatedAt: now, CreatedBy: tags[userTag], UpdatedBy: tags[userTag]}
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := put(tx, &d); err != nil {
			return err
		}
		for k, v := range tags {
			if err := putTag(tx, d.ID, k, v); err != nil {
				return err
			}
		}
		for _, e := range experiments {
			if err := addExperiment(tx, d.ID, e); err != nil {
				return err
			}
		}
		return s.d.Events.Append(ctx, tx, EventCreated, resource(d.ID), created{d.ID, name})
	})
	if err != nil {
		return Dataset{}, err
	}
	return s.Get(ctx, d.ID)
}

// Get finds a dataset without its records. Kinds: NotFound.
func (s *Service) Get(ctx context.Context, id string) (Dataset, error) {
	if !idPattern.MatchString(id) {
		return Dataset{}, noDataset(id)
	}
	ds, err := s.st.list(ctx, "WHERE id = ?", id)
	if err == nil && (len(ds) == 0 || !space.Sees(ctx, ds[0].Workspace)) {
		err = noDataset(id)
	}
	if err != nil {
		return Dataset{}, err
	}
	return ds[0], nil
}

// Delete removes a dataset with its records. One that is not there is no error, as with MLflow.
func (s *Service) Delete(ctx context.Context, id string) error {
	if !idPattern.MatchString(id) {
		return nil
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		d, err := find(tx, id)
		if errs.Is(err, errs.NotFound) || (err == nil && !space.Sees(ctx, d.Workspace)) {
			return nil
		}
		if err != nil {
			return err
		}
		n, err := remove(tx, id)
		if err != nil || n == 0 {
			return err
		}
		return s.d.Events.Append(ctx, tx, EventDeleted, resource(id), changed{ID: id})
	})
}

// edit changes a dataset in a transaction. Kinds: NotFound.
func (s *Service) edit(ctx context.Context, id string, do func(tx *db.Tx, d *Dataset) error) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		d, err := find(tx, id)
		if err == nil && !space.Sees(ctx, d.Workspace) {
			err = noDataset(id)
		}
		if err != nil {
			return err
		}
		return do(tx, d)
	})
}

// SetTags sets tags; those that are there and not named stay. Kinds: Invalid, NotFound.
func (s *Service) SetTags(ctx context.Context, id string, tags map[string]string) error {
	var c errs.Collector
	checkTags(&c, tags)
	if err := c.Err("evalset.tags", "the tags are not valid"); err != nil {
		return err
	}
	return s.edit(ctx, id, func(tx *db.Tx, d *Dataset) error {
		for k, v := range tags {
			if err := putTag(tx, id, k, v); err != nil {
				return err
			}
		}
		n, err := countTags(tx, id)
		if err == nil && n > MaxTags {
			err = errs.Invalidf("evalset.tags", "a dataset takes at most %d tags", MaxTags)
		}
		return err
	})
}

// DeleteTag removes a tag; one that is not there is no error, as with MLflow.
func (s *Service) DeleteTag(ctx context.Context, id, key string) error {
	var c errs.Collector
	checkText(&c, "key", key, MaxKey)
	if err := c.Err("evalset.tags", "the tag is not valid"); err != nil {
		return err
	}
	return s.edit(ctx, id, func(tx *db.Tx, d *Dataset) error { return deleteTag(tx, id, key) })
}

// AddExperiments puts a dataset into experiments. Kinds: Invalid, NotFound.
func (s *Service) AddExperiments(ctx context.Context, id string, experiments []string) (Dataset, error) {
	var c errs.Collector
	checkExperiments(&c, experiments)
	if err := c.Err("evalset.experiments", "the experiments are not valid"); err != nil {
		return Dataset{}, err
	}
	for _, e := range experiments {
		if err := s.d.Experiment(ctx, e); err != nil {
			return Dataset{}, err
		}
	}
	return s.experiments(ctx, id, experiments, addExperiment)
}

// RemoveExperiments takes a dataset out of experiments. Kinds: NotFound.
func (s *Service) RemoveExperiments(ctx context.Context, id string, experiments []string) (Dataset, error) {
	var c errs.Collector
	checkExperiments(&c, experiments)
	if err := c.Err("evalset.experiments", "the experiments are not valid"); err != nil {
		return Dataset{}, err
	}
	return s.experiments(ctx, id, experiments, removeExperiment)
}

func (s *Service) experiments(ctx context.Context, id string, experiments []string, do func(tx *db.Tx, id, experiment string) error) (Dataset, error) {
	err := s.edit(ctx, id, func(tx *db.Tx, d *Dataset) error {
		for _, e := range experiments {
			if err := do(tx, id, e); err != nil {
				return err
			}
		}
		n, err := countExperiments(tx, id)
		if err == nil && n > MaxExperiments {
			err = errs.Invalidf("evalset.experiments", "a dataset takes at most %d experiments", MaxExperiments)
		}
		if err != nil {
			return err
		}
		d.UpdatedAt = s.now()
		return put(tx, d)
	})
	if err != nil {
		return Dataset{}, err
	}
	return s.Get(ctx, id)
}

// Upserted counts what an upsert did.
type Upserted struct {
	Inserted int `json:"inserted"`
	Updated  int `json:"updated"`
}

// Upsert adds records. A record with the inputs of one that is there changes that one: outputs are replaced, expectations and tags merged.
// All or nothing. Kinds: Invalid, NotFound.
func (s *Service) Upsert(ctx context.Context, dsID string, records []NewRecord) (Upserted, error) {
	if len(records) > MaxRecordsPerCall {
		return Upserted{}, errs.Invalidf("evalset.upsert", "a call takes at most %d records, got %d", MaxRecordsPerCall, len(records)).WithHint("send them in parts")
	}
	var c errs.Collector
	for i := range records {
		records[i].check(&c)
	}
	if err := c.Err("evalset.upsert", "the records are not valid"); err != nil {
		return Upserted{}, err
	}
	hashes := make([]string, len(records))
	for i := range records {
		var err error
		if hashes[i], err = hashOf(records[i].Inputs); err != nil {
			return Upserted{}, errs.E(errs.Invalid, "evalset.upsert", "the inputs are not a JSON object", err)
		}
	}
	var out Upserted
	err := s.edit(ctx, dsID, func(tx *db.Tx, d *Dataset) error {
		out = Upserted{}
		now := s.now()
		for i := range records {
			user := records[i].Tags[userTag]
			if user != "" {
				d.UpdatedBy = user
			}
			r, err := byHash(tx, dsID, hashes[i])
			if err != nil {
				return err
			}
			if r == nil {
				out.Inserted++
				r = &Record{ID: "dr-" + id.Hex(), DatasetID: dsID, Inputs: records[i].Inputs, Source: records[i].Source, CreatedAt: now, CreatedBy: user, UpdatedBy: user, Tags: map[string]string{}}
				if !records[i].HasOutputs {
					records[i].Outputs = json.RawMessage("{}")
				}
				r.Outputs = records[i].Outputs
			} else {
				out.Updated++
			}
			if err := r.merge(&records[i], now); err != nil {
				return err
			}
			if err := putRecord(tx, r, hashes[i]); err != nil {
				return err
			}
		}
		if d.Records += int64(out.Inserted); d.Records > MaxRecords {
			return errs.Invalidf("evalset.upsert", "a dataset takes at most %d records", MaxRecords)
		}
		d.Schema = grow(d.Schema, records)
		return s.recordsChanged(ctx, tx, d, now, changed{ID: dsID, Inserted: out.Inserted, Updated: out.Updated})
	})
	return out, err
}

func (s *Service) recordsChanged(ctx context.Context, tx *db.Tx, d *Dataset, now time.Time, ev changed) error {
	if !now.After(d.UpdatedAt) { // another change in the same millisecond must show
		now = d.UpdatedAt.Add(time.Millisecond)
	}
	d.UpdatedAt, d.Digest = now, digest(d.Name, now, d.Records)
	ev.Digest = d.Digest
	if err := put(tx, d); err != nil {
		return err
	}
	return s.d.Events.Append(ctx, tx, EventChanged, resource(d.ID), ev)
}

func (r *Record) merge(n *NewRecord, now time.Time) error {
	r.UpdatedAt = now
	if n.HasOutputs {
		r.Outputs = n.Outputs
	}
	if len(n.Expectations) > 0 {
		merged := map[string]json.RawMessage{}
		if len(r.Expectations) > 0 {
			if err := json.Unmarshal(r.Expectations, &merged); err != nil {
				return err
			}
		}
		if err := json.Unmarshal(n.Expectations, &merged); err != nil {
			return errs.E(errs.Invalid, "evalset.upsert", "the expectations are not a JSON object", err)
		}
		var err error
		if r.Expectations, err = json.Marshal(merged); err != nil {
			return err
		}
	}
	maps.Copy(r.Tags, n.Tags)
	if u := n.Tags[userTag]; u != "" {
		r.UpdatedBy = u
	}
	return nil
}

// hashOf is the identity of inputs: SHA-256 of their JSON with sorted keys and numbers as they were written.
func hashOf(inputs json.RawMessage) (string, error) {
	var m map[string]any
	dec := json.NewDecoder(newReader(inputs))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		return "", err
	}
	b, err := json.Marshal(m)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), err
}

// schema says which fields records have and of which type, as MLflow keeps it.
type schema struct {
	Inputs       map[string]string `json:"inputs"`
	Outputs      any               `json:"outputs"`
	Expectations map[string]string `json:"expectations"`
	Version      string            `json:"version"`
}

// grow adds the fields of new records to a schema; a field keeps its first type.
func grow(have json.RawMessage, records []NewRecord) json.RawMessage {
	sc := schema{Inputs: map[string]string{}, Outputs: map[string]any{}, Expectations: map[string]string{}, Version: "1.0"}
	if len(have) > 0 && json.Unmarshal(have, &sc) != nil {
		return have
	}
	outputs, isMap := sc.Outputs.(map[string]any)
	for i := range records {
		fields(records[i].Inputs, func(k, t string) { addField(sc.Inputs, k, t) })
		fields(records[i].Expectations, func(k, t string) { addField(sc.Expectations, k, t) })
		switch v := records[i].Outputs; {
		case len(v) == 0 || string(v) == "null" || !isMap:
		case v[0] == '{':
			fields(v, func(k, t string) {
				if _, ok := outputs[k]; !ok && len(outputs) < maxSchemaKeys {
					outputs[k] = t
				}
			})
		case len(outputs) == 0:
			sc.Outputs, isMap = typeOf(v), false
		}
	}
	b, err := json.Marshal(sc)
	if err != nil {
		return have
	}
	return b
}

func addField(m map[string]string, k, t string) {
	if _, ok := m[k]; !ok && len(m) < maxSchemaKeys {
		m[k] = t
	}
}

func fields(obj json.RawMessage, visit func(key, typ string)) {
	var m map[string]json.RawMessage
	if len(obj) == 0 || json.Unmarshal(obj, &m) != nil {
		return
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		visit(k, typeOf(m[k]))
	}
}

func typeOf(v json.RawMessage) string {
	switch v[0] {
	case 'n':
		return "null"
	case 't', 'f':
		return "boolean"
	case '"':
		return "string"
	case '[':
		return "array"
	case '{':
		return "object"
	}
	for _, c := range v {
		if c == '.' || c == 'e' || c == 'E' {
			return "float"
		}
	}
	return "integer"
}

// DeleteRecords removes records and gives how many there were. Kinds: Invalid, NotFound.
func (s *Service) DeleteRecords(ctx context.Context, dsID string, ids []string) (int64, error) {
	if len(ids) > MaxRecordsPerCall {
		return 0, errs.Invalidf("evalset.delete_records", "a call takes at most %d ids, got %d", MaxRecordsPerCall, len(ids))
	}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !idPattern.MatchString(id) })
	var n int64
	err := s.edit(ctx, dsID, func(tx *db.Tx, d *Dataset) error {
		n = 0
		for _, r := range ids {
			k, err := deleteRecord(tx, dsID, r)
			if err != nil {
				return err
			}
			n += k
		}
		if n == 0 {
			return nil
		}
		d.Records -= n
		return s.recordsChanged(ctx, tx, d, s.now(), changed{ID: dsID, Deleted: n})
	})
	return n, err
}
