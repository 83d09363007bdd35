package transfer

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// parentTag names the run that a run is nested in.
const parentTag = "mlflow.parentRunId"

// differMaps says what of want is not in got; what got has beside it does not matter.
func differMaps(noun string, want, got map[string]string) string {
	for _, k := range slices.Sorted(maps.Keys(want)) {
		v, ok := got[k]
		switch {
		case !ok:
			return fmt.Sprintf("%s %.100q is not there", noun, k)
		case v != want[k]:
			return fmt.Sprintf("%s %.100q is %.100q there, %.100q in the source", noun, k, v, want[k])
		}
	}
	return ""
}

// compareRun reads a run back and says how it differs, "" for not at all.
func (c *copier) compareRun(ctx context.Context, m movedRun) (string, error) {
	got, err := c.dst.Reader().Run(ctx, m.there.ID)
	if err != nil {
		if fatal(ctx, err) {
			return "", err
		}
		return "it cannot be read back: " + err.Error(), nil
	}
	if diff := c.differRuns(m.run, got); diff != "" {
		return diff, nil
	}
	for _, key := range slices.Sorted(maps.Keys(m.series)) {
		var points []Point
		err := c.dst.Reader().History(ctx, got, key, func(p []Point) error { points = append(points, p...); return nil })
		if err != nil {
			return "", err
		}
		if there, want := digestSeries(points), m.series[key]; there != want {
			return fmt.Sprintf("metric %.100q: the history there (%d points) is not that of the source (%d points)", key, there.points, want.points), nil
		}
	}
	return "", nil
}

func (c *copier) differRuns(want, got Run) string {
	type field struct{ name, want, got string }
	fields := []field{{"name", want.Name, got.Name}, {"status", want.Status, got.Status}, {"start", fmt.Sprint(want.Start), fmt.Sprint(got.Start)}, {"end", fmt.Sprint(want.End), fmt.Sprint(got.End)}}
	if c.o.KeepsIDs {
		fields = append(fields, field{"user", want.User, got.User})
	}
	if want.Deleted && !got.Deleted {
		return "it is deleted in the source and not there"
	}
	for _, f := range fields {
		if f.want != f.got {
			return fmt.Sprintf("%s is %.100q there, %.100q in the source", f.name, f.got, f.want)
		}
	}
	tags := maps.Clone(want.Tags)
	if parent, ok := c.ids.get(KindRun, tags[parentTag]); ok && tags[parentTag] != "" {
		tags[parentTag] = parent
	}
	if diff := differMaps("tag", tags, got.Tags); diff != "" {
		return diff
	}
	if diff := differMaps("parameter", want.Params, got.Params); diff != "" {
		return diff
	}
	for _, k := range slices.Sorted(maps.Keys(want.Latest)) {
		if p, ok := got.Latest[k]; !ok || !p.Same(want.Latest[k]) {
			return fmt.Sprintf("metric %.100q is %s there, %s in the source (step, time, value)", k, p.text(), want.Latest[k].text())
		}
	}
	for _, in := range want.Inputs {
		i := slices.IndexFunc(got.Inputs, func(x Input) bool { return x.Name == in.Name && x.Digest == in.Digest })
		if i < 0 {
			return fmt.Sprintf("dataset %.100q is not there", in.Name)
		}
		x := got.Inputs[i]
		if x.Source != in.Source || x.SourceType != in.SourceType || x.Schema != in.Schema || x.Profile != in.Profile || differMaps("tag", in.Tags, x.Tags) != "" {
			return fmt.Sprintf("dataset %.100q is described in another way", in.Name)
		}
	}
	return c.differRefs(want.ModelInputs, got.ModelInputs) + c.differRefs(want.ModelOutputs, got.ModelOutputs)
}

func (c *copier) differRefs(want, got []Ref) string {
	for _, r := range want {
		id, ok := c.ids.get(KindModel, r.ModelID)
		if !ok && !c.o.KeepsIDs {
			if c.o.filtered() {
				continue // of an experiment that was not asked for
			}
			return fmt.Sprintf("the logged model %s is not there; ", r.ModelID)
		}
		if !ok {
			id = r.ModelID
		}
		if !slices.ContainsFunc(got, func(x Ref) bool { return x.ModelID == id }) {
			return fmt.Sprintf("it is not tied to the logged model %s; ", id)
		}
	}
	return ""
}

func (c *copier) differModels(want, got LoggedModel) string {
	if !c.o.KeepsIDs {
		want = c.translated(want)
	} else if want.Created != got.Created {
		return fmt.Sprintf("created is %d there, %d in the source", got.Created, want.Created)
	}
	if want.Name != got.Name || want.Type != got.Type || want.RunID != got.RunID || want.Status != got.Status {
		return fmt.Sprintf("name, type, run or status is %.100q %.60q %.40q %s there, %.100q %.60q %.40q %s in the source",
			got.Name, got.Type, got.RunID, got.Status, want.Name, want.Type, want.RunID, want.Status)
	}
	if diff := differMaps("tag", want.Tags, got.Tags); diff != "" {
		return diff
	}
	if diff := differMaps("parameter", want.Params, got.Params); diff != "" {
		return diff
	}
	for _, x := range want.Metrics {
		if x.RunID == "" && !c.o.KeepsIDs {
			continue // measured by a run that was not moved
		}
		if !slices.ContainsFunc(got.Metrics, func(y ModelMetric) bool {
			return x.Key == y.Key && x.Dataset == y.Dataset && x.DatasetDigest == y.DatasetDigest && x.RunID == y.RunID && x.Same(y.Point)
		}) {
			return fmt.Sprintf("metric %.100q is not the same", x.Key)
		}
	}
	return ""
}
