package routing

import (
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Role is the part that a version plays.
type Role string

// The roles of a target.
const (
	Champion Role = "champion" // the version in charge
	Canary   Role = "canary"   // on trial, with a share of the traffic
	Shadow   Role = "shadow"   // scores what others answer, off the request path
)

// Valid reports whether r is known.
func (r Role) Valid() bool { return r == Champion || r == Canary || r == Shadow }

// MaxTargets bounds the versions of one route.
const MaxTargets = 8

// Target is a version with its share of the traffic.
type Target struct {
	Version string `json:"version"`
	Weight  int    `json:"weight"` // percent
	Role    Role   `json:"role"`
}

// Route says who answers an endpoint's requests. It does not change; a change makes the next generation.
type Route struct {
	Endpoint   string    `json:"endpoint"`
	Model      string    `json:"model"`
	Generation int64     `json:"generation"`
	Targets    []Target  `json:"targets"`
	Mirror     bool      `json:"mirror"` // the other targets score each answered row too
	Reason     string    `json:"reason"`
	Actor      string    `json:"actor"`
	At         time.Time `json:"at"`
}

// Champion is the version in charge.
func (r *Route) Champion() Target {
	for _, t := range r.Targets {
		if t.Role == Champion {
			return t
		}
	}
	return Target{}
}

// buckets is the resolution of the split.
const buckets = 10_000

// Pick chooses the index of the target that answers: by the hash of the key, or at random without one.
func (r *Route) Pick(key string) int {
	var b int
	if key == "" {
		b = rand.IntN(buckets)
	} else {
		h := fnv.New64a()
		_, _ = h.Write([]byte(r.Endpoint)) // the salt: endpoints split independently of each other
		_, _ = h.Write([]byte{0})
		_, _ = h.Write([]byte(key))
		b = int(mix(h.Sum64()) % buckets)
	}
	// A canary takes from the top and the champion from the bottom, whatever order they stand in: a growing canary keeps its keys.
	top := buckets
	for i, t := range r.Targets {
		if t.Role != Canary {
			continue
		}
		if top -= t.Weight * buckets / 100; b >= top {
			return i
		}
	}
	for i, t := range r.Targets {
		if t.Role == Champion {
			return i
		}
	}
	return 0
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): FNV alone leaves short keys uneven.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// checkTargets validates a list of targets and fills in roles that were left out: the one with the largest weight is the champion, others
// with weight are canaries, those without are shadows.
func checkTargets(in []Target) ([]Target, error) {
	out := append([]Target(nil), in...)
	var c errs.Collector
	if len(out) == 0 || len(out) > MaxTargets {
		c.Add("targets", "expected 1 to %d versions, there are %d", MaxTargets, len(out))
		return nil, c.Err("routing.targets", "the traffic split is not valid")
	}
	champions, sum, largest, seen := 0, 0, 0, map[string]bool{}
	for i, t := range out {
		at := "targets[" + strconv.Itoa(i) + "]"
		if t.Version == "" {
			c.Add(at+".version", "expected a version number")
		} else if seen[t.Version] {
			c.Add(at+".version", "version %s is there twice", t.Version)
		}
		seen[t.Version] = true
		if t.Weight < 0 || t.Weight > 100 {
			c.Add(at+".weight", "expected 0 to 100, it is %d", t.Weight)
		}
		if t.Role != "" && !t.Role.Valid() {
			c.Add(at+".role", "%q is not a role: expected champion, canary or shadow", t.Role)
		}
		if t.Role == Shadow && t.Weight != 0 {
			c.Add(at+".weight", "a shadow answers nobody: expected 0, it is %d", t.Weight)
		}
		if t.Role == Champion {
			champions++
		}
		if t.Weight > out[largest].Weight {
			largest = i
		}
		sum += t.Weight
	}
	if sum != 100 {
		c.Add("targets", "the weights add up to %d: expected 100", sum)
	}
	if champions > 1 {
		c.Add("targets", "there are %d champions: expected one", champions)
	}
	if err := c.Err("routing.targets", "the traffic split is not valid"); err != nil {
		return nil, err
	}
	for i := range out {
		switch {
		case out[i].Role != "":
		case champions == 0 && i == largest:
			out[i].Role = Champion
			champions++
		case out[i].Weight > 0:
			out[i].Role = Canary
		default:
			out[i].Role = Shadow
		}
	}
	if champions == 0 {
		c.Add("targets", "there is no champion: expected one")
		return nil, c.Err("routing.targets", "the traffic split is not valid")
	}
	return out, nil
}
