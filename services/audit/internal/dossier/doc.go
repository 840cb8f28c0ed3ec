// Package dossier is the form of an evidence package: the ZIP file that a controller or its auditor takes along to check, offline, what
// the processor did for it (GDPR art. 28(3)(h)). Whoever makes a package and whoever verifies one share what is here.
//
// # Layout
//
//	README.html          opens the report in the language that was asked for
//	report.da.html       the report for people, in Danish
//	report.en.html       the same in English
//	events.jsonl         a line for each event of the period ([Line]), in the order of the log
//	leaves.bin           the entries as the log has them ([WriteLeaf]): those of the period, the last before it and the first after it
//	proof.bin            the hashes that lead from all those entries to one checkpoint ([Fold]), 32 bytes each
//	checkpoint           the log's signed checkpoint, with the witnesses' signatures where there are any
//	witnesses.policy     who the witnesses are, by their keys, and how many are enough; only where the log has witnesses ([Policy])
//	figures.json         the numbers behind the report ([Figures]), which follow from events and certificates
//	register/…           the versions of the controller's activities that were valid in the period
//	certificates/…       the erasure certificates that were issued in the period
//	measures.md          what the suite itself can say of its technical and organisational measures
//	manifest.json        every file's size and SHA-256, the period, the counts, what the package proves and what not ([Manifest])
//	manifest.sig         a signed note over the SHA-256 of manifest.json, by the log's key
//
// # One proof for all entries
//
// A proof for each of 100,000 entries would be larger than the entries. The entries of a package prove each other: going down the tree
// from its root, a part that holds none of them needs one hash, and every other part is computed. That is never more than the hash
// tiles that cover the entries, and for a few entries in a large log it is much less.
//
// # The container
//
// The same content gives the same bytes: names, order and times of the ZIP's members are fixed, and the manifest has the hash of each
// member's compressed bytes too. So a verifier finds every altered byte, also one that no reader of the ZIP would ever look at.
package dossier
