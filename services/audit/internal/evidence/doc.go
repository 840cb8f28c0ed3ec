// Package evidence gathers the evidence of a period for a controller (GDPR art. 28(3)(h)): it is asked for, gathered by a job into one
// package (package dossier), verified as its receiver will verify it, kept for thirty days, and deleted.
//
// # Whole or not at all
//
// The request is an entry of the controller's own, received after the period. Gathering waits until the log's checkpoint covers that
// entry, so that there always is an entry behind the period whose number shows that none of the period's was left out. What does not
// verify in the end is not handed over.
//
// # What a package may hold
//
// Sealed entries are in it with their own keys, as far as those exist. A package is therefore as sensitive as its content: on the disk
// it is encrypted under a key that its row has, sealed, and both are destroyed together, at its end or when a key is destroyed under which
// an entry of its period is sealed: what a person's erasure closes in the log must not stay open here (GDPR art. 17). Packages of other
// periods, in which nothing is sealed under that key, stay: an erasure a day would else leave no time to fetch any. A package that was
// fetched before is its receiver's, who is responsible for it; the report says so.
//
// # Witnesses
//
// Where the log has witnesses, a package leads to a checkpoint that enough of them have signed. Gathering waits for them for a while, and
// then goes on without: evidence that says that nobody has witnessed it is worth more than none.
//
// # Years
//
// The log is divided into years, each a tree with a checkpoint of its own (package logkey). A package leads to the checkpoints of all shards
// from that of the last entry before the period to that of the first one after it; of each it is asked what is asked of one. What it says of
// witnesses it says of the checkpoint that they signed least.
package evidence
