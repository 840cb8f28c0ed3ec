// Package keys makes the people in the audit log erasable. What names a person in an entry is sealed before the entry goes into the
// log; destroying the person's key makes it noise there, in every copy of the log and in every backup of it, while each leaf
// keeps its bytes and each proof its worth (GDPR art. 17; 5(1)(f)).
//
// # Keys
//
// Each pseudonym of a controller has a random key of 256 bits with a random id ([audit.KeyID]). It is stored wrapped by the
// controller's key, which is random too and is wrapped by the installation's master key (libs/keyring). An event that names
// people is sealed with AES-256-GCM under a key that HKDF-SHA-256 (RFC 5869) makes of the keys of all of them and a random salt:
// without one of the keys nothing of it can be read. Decisions, which come in batches, name people by key ids and have nothing
// else to seal.
//
// # Destruction
//
// [Keys.DestroySubjects] deletes the keys of a person, durably, and records that with an entry of its own. Both are certain: what
// is to be recorded is stored in the transaction that deletes, and is recorded later if the process dies in between ([Keys.Run]).
// [Keys.DestroyController] ends a controller's part of the log in the same way.
//
// Reports arrive late: a service that was cut off hands in its events hours after the person they name was erased. A destruction
// therefore leaves a mark, a keyed hash of the pseudonym, for [MarkTime]. An event that happened before it gets a key of its own that
// nobody keeps. One that happened afterwards is a new dealing with the person: a new key, which the next erasure destroys.
//
// A backup of the keys undoes destructions, so it must not be kept for longer than an erasure may take to reach it (a week; the
// log's own backups may be kept as long as the log). After a restore the log knows better: [Keys.Replay] destroys again what its
// entries say was destroyed.
//
// # What is searched
//
// A search by person asks for the key ids of the pseudonyms; after a destruction there are none. A search by resource has no
// column to look at for sealed entries. It opens them, page by page and at most [maxOpened] a call, and goes on with the next page's
// token. The other way, a keyed hash of the name in the leaf, would outlive the person's key: whoever has a list of names, such
// as the one of the erasures, could tell which of them an erased entry was about.
//
// # Memory
//
// Unwrapped keys are kept for at most [KeyTime] in a cache of bounded size and are overwritten when they leave it and when they are
// destroyed. All that works with them does so in buffers of this package that are overwritten after use, the ciphers included,
// which is why HKDF is written out here, and the stack below is overwritten as well. The runtime is given
// no reason to move a stack in the middle of it, as it would leave the old one as it was. A controller's key lives inside its library until the memory is used again. Such a copy is worth
// something only together with a wrapped key, of which therefore nothing is left either: what was read of one is overwritten after use, and
// within seconds of a destruction what the database's client remembers ([Store].ScrubMemory; that of PostgreSQL leaves it as garbage, which a process
// has overwritten that began with server.OverwriteFreed). So neither the files nor a core dump have what
// opens an entry of somebody erased; the service's tests look for it in both.
//
// # Keeping
//
// Operators can replace a controller's key ([Destroyer.Rotate]): all keys under it are wrapped anew in one transaction. At the end of an agreement
// two of them approve that it is destroyed ([Destroyer.Terminate]).
package keys
