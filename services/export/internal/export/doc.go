// Package export holds the rules by which one person's data is collected from every system that holds it, for the rights of
// access and portability (GDPR art. 15 and 20).
//
// # States
//
// An export is PENDING until it is taken up, LOCATING while the systems are asked what they hold, COLLECTING while they hand
// it over and PACKAGING while the package is sealed. It is READY when every mandatory system is in the package, and PARTIAL
// when one is missing, which is then named and tried again until [Export.RetryUntil]. FAILED, CANCELLED and EXPIRED have no
// package. [State.Next] is the whole table.
//
// # Work
//
// [Engine.Advance] does one piece of work. It takes the export by raising the fence in its row, and every later write of that
// piece is conditional on the fence: whoever was overtaken (a process that was thought dead, or one that worked while the
// export was called off) changes nothing. A piece that was begun and abandoned is begun again; nothing it left is used.
//
// # Identifiers
//
// The person's identifiers are needed while the export runs, and no longer. They are kept sealed under a key of the export's
// own ([Work.Identifiers]), which is destroyed when it ends. What stays is pseudonyms.
package export
