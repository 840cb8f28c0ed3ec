package access

import (
	"context"
	"slices"

	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

// Caller is who calls.
type Caller struct {
	// Ref is a pseudonymous reference of the token's holder; empty without a token. It is the same for every token of one
	// person, so that "two people" cannot be one person with two tokens.
	Ref string
	// Roles of the token.
	Roles []authv1.Rule_Role
	// Controllers the token reaches.
	Controllers []string
	// AllControllers is set for the `*` of those who run the suite.
	AllControllers bool
	// Service is the name in the client certificate of a service of the suite; empty for others.
	Service string
}

// HasToken reports whether the caller came with a valid token.
func (c Caller) HasToken() bool { return c.Ref != "" }

// Has reports whether the token carries one of the roles.
func (c Caller) Has(roles ...authv1.Rule_Role) bool {
	return slices.ContainsFunc(roles, func(r authv1.Rule_Role) bool { return slices.Contains(c.Roles, r) })
}

// Reaches reports whether the token carries the controller.
func (c Caller) Reaches(controller string) bool {
	return c.AllControllers || slices.Contains(c.Controllers, controller)
}

// RoleNames lists the roles as the proto names them.
func (c Caller) RoleNames() []string {
	names := make([]string, 0, len(c.Roles))
	for _, r := range c.Roles {
		names = append(names, r.String())
	}
	return names
}

type callerKey struct{}

// WithCaller makes the caller known below ctx.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom finds the caller; the zero Caller, who may nothing, where there is none.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
