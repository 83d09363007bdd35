// Package actor carries who is acting, and in which request, through a context.
package actor

import "context"

// Type is the sort of actor.
type Type string

// The sorts of actor.
const (
	User   Type = "user"   // a person
	Token  Type = "token"  // a program with a token
	System Type = "system" // Modelyard itself
)

// Actor is who does something. System actors name the part and what made it act.
type Actor struct {
	Type Type   `json:"type"`
	ID   string `json:"id"`
}

func (a Actor) String() string { return string(a.Type) + ":" + a.ID }

type key int

const (
	actorKey key = iota
	requestKey
)

// With puts the actor in the context.
func With(ctx context.Context, a Actor) context.Context { return context.WithValue(ctx, actorKey, a) }

// From is the actor in the context; without one, the system itself.
func From(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey).(Actor); ok {
		return a
	}
	return Actor{Type: System, ID: "modelyard"}
}

// WithRequest puts the request id in the context.
func WithRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey, id)
}

// Request is the request id in the context, or "".
func Request(ctx context.Context) string {
	s, _ := ctx.Value(requestKey).(string)
	return s
}
