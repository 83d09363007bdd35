package cmdutil

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/client"
)

// Object is an answer of the API as it came; -o json prints it unchanged.
type Object map[string]any

// Get follows a dotted path ("status.state"); nil when it is not there.
func (o Object) Get(path string) any {
	var v any = map[string]any(o)
	for part := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}

// Str is the value at a path as text: numbers without exponent where short, lists with commas, "" for nothing.
func (o Object) Str(path string) string { return text(o.Get(path)) }

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = text(e)
		}
		return strings.Join(parts, ",")
	case map[string]any:
		b, _ := json.Marshal(v)
		return string(b)
	}
	return fmt.Sprint(v)
}

// Num is the number at a path, rounded to digits, or "".
func (o Object) Num(path string, digits int) string {
	if f, ok := o.Get(path).(float64); ok {
		return strconv.FormatFloat(f, 'f', digits, 64)
	}
	return ""
}

// Time is the time at a path; zero when there is none.
func (o Object) Time(path string) time.Time {
	t, _ := time.Parse(time.RFC3339, o.Str(path))
	return t
}

// Items are the objects of a list at a path ("items").
func (o Object) Items(path string) []Object {
	list, _ := o.Get(path).([]any)
	out := make([]Object, 0, len(list))
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// Col is a table column that shows the value at a path.
func Col(head, path string) Column[Object] {
	return Column[Object]{Head: head, Cell: func(o Object) string { return o.Str(path) }}
}

// NumCol is a table column with a rounded number.
func NumCol(head, path string, digits int) Column[Object] {
	return Column[Object]{Head: head, Cell: func(o Object) string { return o.Num(path, digits) }}
}

// AgoCol is a table column with a relative time.
func AgoCol(head, path string) Column[Object] {
	return Column[Object]{Head: head, Cell: func(o Object) string { return Ago(o.Time(path)) }}
}

// Fetch reads one object.
func (f *Factory) Fetch(ctx context.Context, path string, q url.Values) (Object, error) {
	c, err := f.Client()
	if err != nil {
		return nil, err
	}
	var o Object
	return o, c.Get(ctx, path, q, &o)
}

// Send sends a body and reads the object that comes back, if any.
func (f *Factory) Send(ctx context.Context, method, path string, body any) (Object, error) {
	c, err := f.Client()
	if err != nil {
		return nil, err
	}
	var o Object
	return o, c.Send(ctx, method, path, body, &o)
}

// ExperimentID finds an experiment by name, or takes an id as it is. A name wins.
func (f *Factory) ExperimentID(ctx context.Context, nameOrID string) (string, error) {
	o, err := f.Fetch(ctx, "/api/v1/experiments", url.Values{"filter": {"name = '" + strings.ReplaceAll(nameOrID, "'", "''") + "'"}})
	found := o.Items("items")
	switch {
	case err == nil && len(found) == 1:
		return found[0].Str("id"), nil
	case err == nil && len(found) > 1: // in several workspaces
		for _, e := range found {
			if e.Str("workspace") == "default" {
				return e.Str("id"), nil
			}
		}
		return "", &client.Error{Kind: "invalid", Message: fmt.Sprintf("%d workspaces have an experiment named %q", len(found), nameOrID), Hint: "give its id; list them with: modelyard experiment list"}
	}
	if nameOrID != "" && strings.Trim(nameOrID, "0123456789") == "" {
		return nameOrID, nil
	}
	if err == nil {
		err = &client.Error{Kind: "not_found", Message: fmt.Sprintf("there is no experiment named %q", nameOrID), Hint: "list them with: modelyard experiment list"}
	}
	return "", err
}

// maxPages bounds how many pages a list command follows.
const maxPages = 200

// ShowList reads a list, following pages up to limit rows (0: all), and prints it. empty is the hint when there is nothing.
func (f *Factory) ShowList(ctx context.Context, path string, q url.Values, limit int, empty string, cols ...Column[Object]) error {
	if q == nil {
		q = url.Values{}
	}
	rows := []Object{}
	for range maxPages {
		o, err := f.Fetch(ctx, path, q)
		if err != nil {
			return err
		}
		rows = append(rows, o.Items("items")...)
		next := o.Str("next_page_token")
		if next == "" || (limit > 0 && len(rows) >= limit) {
			break
		}
		q.Set("page_token", next)
	}
	if limit > 0 && len(rows) > limit {
		rows = rows[:limit]
	}
	if len(rows) == 0 && empty != "" {
		f.Progress("%s", empty)
	}
	return List(f, rows, rows, cols)
}

// Created tells of something that was made: the object for machines, else what, where and the next likely command.
func (f *Factory) Created(o Object, what, page, next string) error {
	if f.Structured() {
		return f.Document(o)
	}
	if f.Output == "name" {
		_, err := fmt.Fprintln(f.Out, what)
		return err
	}
	c, err := f.Client()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(f.Out, what); err != nil {
		return err
	}
	if page != "" {
		f.Progress("  see   %s%s", c.Server(), page)
	}
	if next != "" {
		f.Progress("  next  %s", next)
	}
	return nil
}

// Save writes a download to a file, or to standard output for "-".
func (f *Factory) Save(path string, r io.Reader) error {
	if path == "-" {
		_, err := io.Copy(f.Out, r)
		return err
	}
	file, err := os.Create(filepath.Clean(path))
	if err != nil {
		return err
	}
	n, err := io.Copy(file, r)
	if err != nil {
		_ = file.Close()
		return err
	}
	f.Progress("wrote %s (%d bytes)", path, n)
	return file.Close()
}

// Poll reads path until done says so, every interval, within timeout. onEach may tell of progress.
func (f *Factory) Poll(ctx context.Context, path string, timeout, interval time.Duration, done func(Object) (bool, error)) (Object, error) {
	c, err := f.Client()
	if err != nil {
		return nil, err
	}
	deadline, tick := time.NewTimer(timeout), time.NewTicker(interval)
	defer deadline.Stop()
	defer tick.Stop()
	for {
		var o Object
		if err := c.Call(ctx, client.Request{Method: http.MethodGet, Path: path}, &o); err != nil {
			return nil, err
		}
		if ok, err := done(o); ok || err != nil {
			return o, err
		}
		select {
		case <-ctx.Done():
			return o, ctx.Err()
		case <-deadline.C:
			return o, Timeout("not done after %s", timeout)
		case <-tick.C:
		}
	}
}
