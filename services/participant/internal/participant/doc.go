// Package participant is the domain of the participant protocol: what a system
// that holds personal data must be able to say and do about one person.
//
// Five verbs, one interface ([Participant]): Describe, Locate, Export, Erase and
// Verify. A learning platform can implement it itself; package sqlmap implements
// it for any relational database that has a data map. Everything the protocol
// promises is written at the verb, and a conformance suite can check it from
// outside.
//
// The package imports no driver and no generated code. The values in it are
// personal data: an [Identifier] formats, logs and marshals as its type only.
package participant
