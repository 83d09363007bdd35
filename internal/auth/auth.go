// Package auth decides who calls and what they may do. Today there is one user on a loopback address, or the holder of the admin token
// on any other; accounts and roles will come in here without touching the routes, since each of them declares its action already.
package auth

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/platform/secret"
)

// Deps of the Service.
type Deps struct {
	Token secret.String // empty: everybody who reaches the server is the local user
	User  string        // name of the local user
	Clock clock.Clock
}

const (
	cookie      = "modelyard_session"
	sessionLife = 12 * time.Hour
	maxSessions = 1000
)

// Service authenticates requests.
type Service struct {
	d Deps

	mu       sync.Mutex
	sessions map[string]time.Time // session id -> end
}

// New makes the service.
func New(d Deps) *Service { return &Service{d: d, sessions: map[string]time.Time{}} }

// Guard is the only door: every route passes it with its action. It returns Unauthenticated when a token is needed and missing or wrong.
func (s *Service) Guard(r *http.Request, a httpx.Action) (context.Context, error) {
	ctx := r.Context()
	if s.d.Token == "" {
		return actor.With(ctx, actor.Actor{Type: actor.User, ID: s.d.User}), nil
	}
	if s.authentic(r) {
		return actor.With(ctx, actor.Actor{Type: actor.Token, ID: "admin"}), nil
	}
	if a == httpx.Public {
		return ctx, nil
	}
	return ctx, errs.E(errs.Unauthenticated, "auth.guard", "this server needs its admin token", nil).
		WithHint("set MODELYARD_TOKEN for the CLI, MLFLOW_TRACKING_TOKEN for MLflow clients, or send Authorization: Bearer <token>")
}

func (s *Service) authentic(r *http.Request) bool {
	h := r.Header.Get("Authorization")
	if scheme, value, ok := strings.Cut(h, " "); ok && strings.EqualFold(scheme, "bearer") {
		return s.d.Token.Equal(strings.TrimSpace(value))
	}
	if _, password, ok := r.BasicAuth(); ok {
		return s.d.Token.Equal(password)
	}
	c, err := r.Cookie(cookie)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	end, ok := s.sessions[c.Value]
	return ok && s.d.Clock.Now().Before(end)
}

// Session tells a client how it stands.
type Session struct {
	Authentication string       `json:"authentication" enum:"none,token" doc:"none on a loopback address without a token"`
	Actor          *actor.Actor `json:"actor,omitempty" doc:"who is calling; absent when nobody has signed in"`
}

// Routes registers the session routes.
func (s *Service) Routes(r *httpx.Router) {
	httpx.Get(r, "/api/v1/session", httpx.Public, "Who am I, and does this server need a token", s.session)
	r.Handle(http.MethodPost, "/api/v1/session", httpx.Public, func(w http.ResponseWriter, req *http.Request) {
		if err := s.signIn(w, req); err != nil {
			r.Error(w, req, err)
		}
	})
	r.Handle(http.MethodDelete, "/api/v1/session", httpx.Public, s.signOut)
}

func (s *Service) session(ctx context.Context, _ *struct{}) (*Session, error) {
	out := &Session{Authentication: "none"}
	if s.d.Token != "" {
		out.Authentication = "token"
	}
	if a := actor.From(ctx); a.Type != actor.System {
		out.Actor = &a
	}
	return out, nil
}

// signIn trades the token for a cookie, so that a browser need not keep the token where scripts can read it.
func (s *Service) signIn(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Token string `json:"token"`
	}
	if err := httpx.ReadJSON(r, 4096, &in); err != nil {
		return err
	}
	if s.d.Token == "" || !s.d.Token.Equal(in.Token) {
		return errs.E(errs.Unauthenticated, "auth.sign_in", "that is not the admin token of this server", nil)
	}
	sid, now := id.Secret(), s.d.Clock.Now()
	s.mu.Lock()
	for k, end := range s.sessions {
		if now.After(end) || len(s.sessions) >= maxSessions {
			delete(s.sessions, k)
		}
	}
	s.sessions[sid] = now.Add(sessionLife)
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: sid, Path: "/", MaxAge: int(sessionLife.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
	httpx.WriteJSON(w, http.StatusOK, Session{Authentication: "token", Actor: &actor.Actor{Type: actor.Token, ID: "admin"}})
	return nil
}

func (s *Service) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookie); err == nil {
		s.mu.Lock()
		delete(s.sessions, c.Value)
		s.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: cookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}
