// Package sample is an invented learning platform: a small database that looks like life, its data map, the roster of one of its
// schools and the entries of its register. The embedded suite serves it, the demonstration plays with it, and tests use it.
//
// Two schools share the database, each a controller of its own: Sønderskolen with 200 people and Vesterskolen with 40. Eighteen
// tables hold what such platforms hold, with the traps that real ones have: a parent's e-mail address that siblings share, files
// two joins away from their owner, support tickets that know people by address only, teachers in rows about pupils, posts that
// name other people, and exam records that repeat a user name and have to be kept.
//
// Everything is made by a seeded generator: the same bytes in every database. All people are invented. Addresses end in
// skole.example, telephone numbers begin with two zeros, IP addresses are those of documentation (RFC 5737).
//
// [Pupil] is the person to demonstrate with. [Search] looks for values in every cell of every table, without any data map, and
// [Fingerprint] tells whether other people's rows are still the same: both are independent of the product that they judge.
package sample
