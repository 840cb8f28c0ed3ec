// Package roster reads the national roster of pupils and staff, and works out who has left.
//
// # The extract
//
// [Parse] streams one UNI-Login extract (wsiEKSPORT version 7, small package), bare or in a SOAP envelope. Elements are known by their local
// names: senders disagree about the namespace of GroupId. Names of people are skipped, not kept; of a person only the
// user name and the roles come out. A person without a user name (created by hand in the school's own administration) is counted and
// warned about, never guessed.
//
// The parser refuses what is no complete extract. XML is read strictly, without document types and entities, and within [Limits]: it
// comes from outside.
//
// # Departures
//
// The roster has no tombstones: who has left is simply absent. [Diff] compares an extract with what was known and says who arrived, left and
// returned. A wrong extract would look like a school whose pupils all left, so Diff holds what looks wrong until a person has confirmed
// it: an empty extract, one that lacks half of the people or more, another school year. A person who is back in the roster takes the
// departure back. Six months after a departure the data must be gone (the agreement's annex A.5); the caller counts from
// [Member.DepartedTime].
//
// Diff never sees a user name: the caller turns each into a pseudonym.
package roster
