// Package logcheck verifies a whole audit log from what its operator hands out, trusting nothing but the log's public key.
//
// It shares no code with the service that writes the log: it is what a controller, an auditor or a supervisory authority runs
// against the processor (GDPR art. 28(3)(h)), and a fault of the one must not hide behind the same fault of the other. It reads the
// formats of C2SP (tlog-tiles, tlog-checkpoint, tlog-cosignature) with golang.org/x/mod/sumdb.
//
// # Where the log comes from
//
// [Door] reads it over HTTP: checkpoint and tiles of hashes, which are public. [Folder] reads a copy of the log's folder, which has
// the entries too.
//
// # What is checked
//
//   - The checkpoint is signed by the pinned key, and spelled in the one right way.
//   - Enough witnesses have cosigned it, where a policy is given.
//   - Each tile of each level is recomputed from level 0, and level 0 from the entries where they are at hand. Partial tiles and
//     bundles that were left beside full ones say the same as those.
//   - The root of what was read is the root that was signed.
//   - A checkpoint that was seen earlier is of the same log: its root is the root of as many first entries of this one. So a log that
//     was rolled back, or shown differently to different people, does not pass.
//   - Each entry is a leaf of an audit log, and each controller's entries are numbered without a gap.
//
// # What is reported
//
// [Verify] returns an error only when it cannot tell: the source cannot be reached. All that is wrong with the log itself is a
// [Finding], with the index of the first entry concerned. Where only hashes contradict each other, the root that was signed says which
// of two is the wrong one; where nothing says it, the finding covers all entries in doubt.
//
// Files that the checkpoint does not cover yet are not part of the log and are not looked at; neither are the folder's `.state` and
// lock files, which are the writer's own.
//
// Memory does not grow with the log, save for one number for each controller (and [Cache], where it is used).
package logcheck
