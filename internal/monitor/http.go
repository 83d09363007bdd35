package monitor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/page"
)

type handlers struct{ s *Service }

// Routes registers the native API of monitors.
func (s *Service) Routes(r *httpx.Router) {
	h := handlers{s}
	const one = "/api/v1/monitors/{endpoint}"
	httpx.Get(r, "/api/v1/monitors", "monitor:read", "List monitors", h.list)
	httpx.Get(r, one, "monitor:read", "One monitor with its features", h.get)
	httpx.Patch(r, one, "monitor:write", "Change the settings of a monitor", h.patch)
	httpx.Get(r, one+"/windows", "monitor:read", "List the newest windows, newest first", h.windows)
	httpx.Get(r, one+"/windows/{id}", "monitor:read", "One window with the distributions of each feature", h.window)
	httpx.Get(r, one+"/features/{name}", "monitor:read", "One feature through the newest windows", h.feature)
}

// Monitors is a list of monitors.
type Monitors struct {
	Items []Monitor `json:"items"`
}

// Windows is a list of windows.
type Windows struct {
	Items []WindowSummary `json:"items"`
}

// ByEndpoint names an endpoint in a path.
type ByEndpoint struct {
	Endpoint string `path:"endpoint" maxLength:"128"`
}

func (h handlers) list(ctx context.Context, _ *struct{}) (*Monitors, error) {
	ms, err := h.s.List(ctx)
	return &Monitors{Items: ms}, err
}

func (h handlers) get(ctx context.Context, in *ByEndpoint) (*Monitor, error) {
	m, err := h.s.Get(ctx, in.Endpoint)
	return &m, err
}

func (h handlers) patch(ctx context.Context, in *struct {
	ByEndpoint
	Body struct {
		Window      *WindowSpecPatch `json:"window,omitempty"`
		Thresholds  map[string]any   `json:"thresholds,omitempty" doc:"Only the limits that are to change, as the monitor shows them"`
		LabelColumn *string          `json:"label_column,omitempty" doc:"Column of the baseline that is no feature"`
		Task        *Task            `json:"task,omitempty" enum:"regression,classification"`
	}
}) (*Monitor, error) {
	c := Change{LabelColumn: in.Body.LabelColumn, Task: in.Body.Task}
	if p := in.Body.Window; p != nil {
		c.Window = &WindowSpec{By: p.By, Size: p.Size, Unit: p.Unit}
	}
	if in.Body.Thresholds != nil {
		text, err := json.Marshal(in.Body.Thresholds)
		if err != nil {
			return nil, errs.E(errs.Invalid, "monitor.patch", "the thresholds cannot be read", err)
		}
		c.Thresholds = text
	}
	m, err := h.s.Update(ctx, in.Endpoint, c)
	return &m, err
}

// WindowSpecPatch is a window as a caller gives it.
type WindowSpecPatch struct {
	By   By     `json:"by" enum:"time,count"`
	Size int64  `json:"size"`
	Unit string `json:"unit,omitempty" doc:"day (default) or hour; prediction for windows by count"`
}

func (h handlers) windows(ctx context.Context, in *struct {
	ByEndpoint
	Limit int `query:"limit" doc:"most windows, default 60"`
}) (*Windows, error) {
	ws, err := h.s.Windows(ctx, in.Endpoint, page.Limit(in.Limit, 60, keepWindows))
	return &Windows{Items: ws}, err
}

func (h handlers) window(ctx context.Context, in *struct {
	ByEndpoint
	ID string `path:"id" maxLength:"64"`
}) (*Window, error) {
	w, err := h.s.Window(ctx, in.Endpoint, in.ID)
	return &w, err
}

func (h handlers) feature(ctx context.Context, in *struct {
	ByEndpoint
	Name    string `path:"name" maxLength:"512"`
	Windows int    `query:"windows" doc:"most windows, default 60"`
}) (*FeatureHistory, error) {
	f, err := h.s.Feature(ctx, in.Endpoint, in.Name, page.Limit(in.Windows, 60, 200))
	return &f, err
}

// strict reads JSON over v; a field that v does not have is an error that names it.
func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil && !errors.Is(d.Decode(&struct{}{}), io.EOF) {
		err = errors.New("there is more than one JSON value")
	}
	if err == nil {
		return nil
	}
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return errs.Invalidf("monitor.settings", "the thresholds are not valid").WithField("thresholds."+typ.Field, "expected a %s, not a %s", typ.Type, typ.Value)
	}
	return errs.Invalidf("monitor.settings", "the thresholds are not valid").WithField("thresholds", "%v", err)
}
