// Package participant is the server side kit of the participant protocol (privacyops.participant.v1): what a system that
// holds personal data offers to the export and erasure services.
//
// A learning platform implements [Participant] itself and lists it in [Config.Native]. For any relational database that has
// a data map, [Config.Systems] names the map and the database, and the SQL adapter speaks for the system. [New] has an
// example of both.
//
// A system answers for its own controllers only: for any other, as for a system that does not exist, the answer is
// NOT_FOUND, the same bytes. Every verb leaves a span and a duration with the names of the system and the verb; neither they
// nor any error hold anything about a person.
package participant
