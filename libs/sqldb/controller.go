package sqldb

import "context"

// allControllers is the setting that a row-level security policy lets see everything.
const allControllers = "*"

// controllerKey is the context key of the controller that transactions are for.
type controllerKey struct{}

// WithController says for which controller the transactions below ctx are. PostgreSQL's
// row-level security policies find its id in the setting privacyops.controller, and show
// and take no other controller's rows: a second fence behind the WHERE of every
// statement. Without it the setting is empty. It must not change between a transaction
// and one inside. SQLite has no such policies.
func WithController(ctx context.Context, id string) context.Context {
	if id == allControllers {
		id = "" // not the id of any controller, and not the way to see them all
	}
	return context.WithValue(ctx, controllerKey{}, id)
}

// WithAllControllers lets the transactions below ctx see every controller's rows: for a
// service's own machinery (relays, sweepers), never for a call.
func WithAllControllers(ctx context.Context) context.Context {
	return context.WithValue(ctx, controllerKey{}, allControllers)
}

func controller(ctx context.Context) string {
	id, _ := ctx.Value(controllerKey{}).(string)
	return id
}
