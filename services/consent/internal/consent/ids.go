package consent

// ControllerID is the id of a controller, chosen by the operator: `^[a-z0-9][a-z0-9-]{0,62}$`.
type ControllerID string

// ActivityID is the id of a processing activity within its controller.
type ActivityID string

// SystemID is the id of a system within its controller.
type SystemID string

// ConsentID is the id of a consent: a UUIDv7.
type ConsentID string

// SubjectRef is the pseudonym of a person by one identifier, as package keyring makes it.
type SubjectRef string

// ActorRef is the pseudonymous reference of whoever gave an instruction.
type ActorRef string

// Revision numbers the changes of one controller's register and consents, from 1 on, without gaps. Each writing transaction
// takes the next one, so revisions give the order of what was committed.
type Revision int64
