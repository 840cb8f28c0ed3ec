// Package outbox writes audit events beside the changes they report, and carries them to the audit service.
//
// A state change and its event commit in one transaction ([Outbox.Record]): if the event cannot be written, the change does
// not happen, and without the change there is no event. [Outbox.Relay] then hands the events to the audit service, at least
// once; the audit service counts each id once. A row is deleted only after it was accepted.
//
// Events name people by pseudonym, and hold ids, hashes, counts and times; never personal data.
//
// The room owns the table audit_outbox in each service's database and makes it itself ([New]), so that every service has the
// same one. Its columns are portable, and the event is stored as the JSON of its protocol message.
package outbox
