package transfer

import (
	"context"
	"slices"
	"strings"
)

// registry moves registered models and prompts. Of a part of a source it moves the versions whose run or logged model was moved.
func (c *copier) registry(ctx context.Context) error {
	c.l.progress("registered models")
	models, err := c.src.RegisteredModels(ctx)
	if err != nil {
		return err
	}
	all := map[string]Version{}
	for _, m := range models {
		for _, v := range m.Versions {
			all[m.Name+"/"+v.Version] = v
		}
	}
	forms := newSourceForms()
	moved := map[string]map[string]string{} // model -> version -> version there
	for _, m := range models {
		noun := nounRegistered
		if m.Prompt() {
			noun = nounPrompt
		}
		wanted := m.Versions
		if c.o.filtered() {
			wanted = slices.DeleteFunc(slices.Clone(wanted), func(v Version) bool {
				p, ok := forms.locate(v, all)
				_, here := c.ids.get(p.kind, p.id)
				return !ok || !here
			})
			if len(wanted) == 0 {
				continue
			}
		}
		numbers, err := c.registered(ctx, noun, m, wanted, func(v Version) string { return c.filesOf(ctx, forms, v, all) })
		if err == nil {
			moved[m.Name] = numbers
			continue
		}
		if fatal(ctx, err) {
			return err
		}
		c.l.problem(noun, m.Name, "%v", err)
	}
	return c.compareRegistry(ctx, models, moved)
}

// filesOf is where the files of a version are in the target: models:/<id> or runs:/<id>/<path>, "" for none.
func (c *copier) filesOf(ctx context.Context, forms sourceForms, v Version, all map[string]Version) string {
	if v.Tags[isPrompt] == "true" {
		return ""
	}
	p, ok := forms.locate(v, all)
	id, moved := c.ids.get(p.kind, p.id)
	switch {
	case c.o.NoArtifacts:
		return ""
	case !ok:
		c.l.problem(nounVersion, v.Model+"/"+v.Version, "its files are not moved: they lie at %.300q, which is neither a run's nor a logged model's place", v.Source)
		return ""
	case !moved:
		c.l.problem(nounVersion, v.Model+"/"+v.Version, "its files are not moved: the %s %s that holds them is not in the source any more", strings.ReplaceAll(p.kind, "_", " "), p.id)
		return ""
	}
	if p.kind == KindModel {
		return "models:/" + id
	}
	// MLflow 3 keeps a model that a run logged with the logged models, and still calls it runs:/<run>/<name>
	if tree, err := c.dst.Reader().Files(ctx, Owner{Kind: KindRun, ID: id}); err == nil {
		if list, err := tree.List(ctx); err == nil && !slices.ContainsFunc(list, func(f File) bool { return strings.HasPrefix(f.Path, p.dir+"/") }) && v.ModelID != "" {
			if there, ok := c.ids.get(KindModel, v.ModelID); ok {
				return "models:/" + there
			}
		}
	}
	return "runs:/" + id + "/" + p.dir
}

// registered moves one model and gives the numbers of its versions there.
func (c *copier) registered(ctx context.Context, noun string, m RegisteredModel, wanted []Version, files func(Version) string) (map[string]string, error) {
	name := c.o.ModelPrefix + m.Name
	c.l.change(noun, func(n *Count) { n.Source++ })
	c.l.change(nounVersion, func(n *Count) { n.Source += int64(len(wanted)) })
	out, err := c.dst.Model(ctx, m, name, c.o.IntoExisting)
	if err != nil {
		return nil, err
	}
	numbers := map[string]string{}
	for _, v := range wanted {
		at := files(v)
		v := v
		if !c.o.KeepsIDs {
			v.RunID, _ = c.ids.get(KindRun, v.RunID)
			v.ModelID, _ = c.ids.get(KindModel, v.ModelID)
		}
		number, did, err := c.dst.Version(ctx, name, v, at)
		if err != nil {
			if fatal(ctx, err) {
				return nil, err
			}
			c.l.problem(nounVersion, m.Name+"/"+v.Version, "%v", err)
			continue
		}
		numbers[v.Version] = number
		c.l.did(nounVersion, did)
		c.l.progress("versions of " + m.Name)
		if number != v.Version {
			c.l.note("version %s of %s is version %s there", v.Version, m.Name, number)
		}
	}
	changed, err := c.dst.Aliases(ctx, m, name, aliasesThere(m, numbers))
	if err != nil {
		return nil, err
	}
	if changed && out == Unchanged {
		out = Updated
	}
	c.l.did(noun, out)
	return numbers, nil
}

// aliasesThere gives the aliases of the versions that were moved.
func aliasesThere(m RegisteredModel, numbers map[string]string) map[string]string {
	out := map[string]string{}
	for a, v := range m.Aliases {
		if number, ok := numbers[v]; ok {
			out[a] = number
		}
	}
	return out
}

func (c *copier) compareRegistry(ctx context.Context, models []RegisteredModel, moved map[string]map[string]string) error {
	list, err := c.dst.Reader().RegisteredModels(ctx)
	if err != nil {
		return err
	}
	there := map[string]RegisteredModel{}
	for _, m := range list {
		there[m.Name] = m
	}
	for _, m := range models {
		numbers, ok := moved[m.Name]
		if !ok {
			continue
		}
		noun := nounRegistered
		if m.Prompt() {
			noun = nounPrompt
		}
		got, ok := there[c.o.ModelPrefix+m.Name]
		diff := "it is not there"
		if ok {
			diff = differMaps("tag", m.Tags, got.Tags) + differMaps("alias", aliasesThere(m, numbers), got.Aliases)
			if diff == "" && m.Description != "" && m.Description != got.Description {
				diff = "the description is another one"
			}
		}
		if diff != "" {
			c.l.problem(noun, m.Name, "%s", diff)
		} else {
			c.l.change(noun, func(n *Count) { n.Same++ })
		}
		c.compareVersions(m, got, numbers)
	}
	return nil
}

func (c *copier) compareVersions(want, got RegisteredModel, numbers map[string]string) {
	for _, v := range want.Versions {
		number, ok := numbers[v.Version]
		if !ok {
			continue
		}
		i := slices.IndexFunc(got.Versions, func(x Version) bool { return x.Version == number })
		if i < 0 {
			c.l.problem(nounVersion, want.Name+"/"+v.Version, "it is not there")
			continue
		}
		x := got.Versions[i]
		runID := v.RunID
		if !c.o.KeepsIDs {
			runID, _ = c.ids.get(KindRun, v.RunID)
		}
		diff := differMaps("tag", v.Tags, x.Tags)
		switch {
		case diff != "":
		case v.Description != "" && v.Description != x.Description:
			diff = "the description is another one"
		case v.Stage != x.Stage:
			diff = "the stage is " + x.Stage + " there, " + v.Stage + " in the source"
		case runID != x.RunID:
			diff = "the run is another one"
		case c.o.KeepsIDs && v.Created != x.Created:
			diff = "the time of its creation is another one"
		}
		if diff != "" {
			c.l.problem(nounVersion, want.Name+"/"+v.Version, "%s", diff)
			continue
		}
		c.l.change(nounVersion, func(n *Count) { n.Same++ })
	}
}
