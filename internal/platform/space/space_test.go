package space

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"team-a", "a1", "0x", "default", strings.Repeat("a", 63)} {
		if err := Check(ok); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	for _, bad := range []string{"", "a", "A1", "team_a", "-ab", "ab-", "a:b", "a/b", "api", "workspaces", strings.Repeat("a", 64), "ä1", "ab\n"} {
		if Check(bad) == nil {
			t.Errorf("%q passes", bad)
		}
	}
	for _, c := range [][3]string{{"team-a", "churn", "team-a:churn"}, {Default, "churn", "churn"}} {
		if Full(c[0], c[1]) != c[2] {
			t.Errorf("%v", c)
		}
		if w, n := Split(c[2]); w != c[0] || n != c[1] {
			t.Errorf("%v: %s %s", c, w, n)
		}
	}
}

func TestSight(t *testing.T) {
	t.Parallel()
	all := t.Context()
	if !Sees(all, "team-a") || !Sees(all, Default) || Of(all) != Default {
		t.Error("a context without a workspace sees everything")
	}
	mine := With(all, "team-a")
	if !Sees(All(mine), Default) {
		t.Error("All sees everything")
	}
	if !Sees(mine, "team-a") || Sees(mine, Default) || Sees(mine, "team-b") || Of(mine) != "team-a" {
		t.Error("a context sees its own workspace alone")
	}
}
