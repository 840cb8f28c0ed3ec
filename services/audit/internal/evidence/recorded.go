package evidence

import "time"

// recorded is what an event of evidence has the digest of. How far gathering has come is not in it, as that changes without an event.
type recorded struct {
	Name, State, Language        string
	Start, End, Created, Expires time.Time
	Events                       int64
	Reason, SHA256               string
	Size                         int64
}

// Recorded is the evidence as the digests before and after a change tell it: one event of it ends where the next begins. It holds no key.
func (e *Evidence) Recorded() any {
	r := recorded{Name: e.Name(), State: string(e.State), Language: e.Language, Start: e.Start, End: e.End, Created: e.Created, Expires: e.Expires,
		Events: e.Events, Reason: e.Reason}
	if e.State == Pending || e.State == Gathering {
		r.State, r.Events = string(Pending), 0
	}
	if e.Package != nil {
		r.SHA256, r.Size = e.Package.SHA256, e.Package.Size
	}
	return r
}
