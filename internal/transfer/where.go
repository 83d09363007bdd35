package transfer

import (
	"regexp"
	"strings"
)

// place is the run or logged model that holds the files of a version, and the folder below it.
type place struct{ kind, id, dir string }

// The forms in which a version says where its files are.
type sourceForms struct{ logged, loggedURI, runURI, inRun, copied *regexp.Regexp }

func newSourceForms() sourceForms {
	return sourceForms{
		logged:    regexp.MustCompile(`^models:/(m-[0-9a-f]{32})/?$`),
		loggedURI: regexp.MustCompile(`/models/(m-[0-9a-f]{32})/artifacts(?:/(.*))?$`),
		runURI:    regexp.MustCompile(`^runs:/([0-9a-f]{32})/(.+)$`),
		inRun:     regexp.MustCompile(`/([0-9a-f]{32})/artifacts/(.+)$`),
		copied:    regexp.MustCompile(`^models:/([^/@]+)/(\d+)$`),
	}
}

// maxCopies bounds how many copies of copies are followed.
const maxCopies = 16

// locate finds where the files of a version lie. Not ok for prompts and for places that are neither a run's nor a logged model's.
func (f sourceForms) locate(v Version, all map[string]Version) (place, bool) {
	for range maxCopies {
		for _, uri := range []string{v.Source, v.Storage} {
			if p, ok := f.parse(uri); ok {
				return p, true
			}
		}
		m := f.copied.FindStringSubmatch(v.Source)
		if m == nil {
			break
		}
		next, ok := all[m[1]+"/"+m[2]]
		if !ok {
			break
		}
		v = next
	}
	if v.ModelID != "" {
		return place{KindModel, v.ModelID, ""}, true
	}
	return place{}, false
}

func (f sourceForms) parse(uri string) (place, bool) {
	uri = strings.TrimRight(uri, "/")
	if m := f.logged.FindStringSubmatch(uri); m != nil {
		return place{KindModel, m[1], ""}, true
	}
	if m := f.runURI.FindStringSubmatch(uri); m != nil {
		return place{KindRun, m[1], m[2]}, true
	}
	if m := f.loggedURI.FindStringSubmatch(uri); m != nil {
		return place{KindModel, m[1], m[2]}, true
	}
	if m := f.inRun.FindStringSubmatch(uri); m != nil {
		return place{KindRun, m[1], m[2]}, true
	}
	return place{}, false
}
