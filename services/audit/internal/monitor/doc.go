// Package monitor notices what in the log a person should look at (logging duty L.5): twelve declarative rules over the stream
// of events, and the alerts that they raise.
//
// It is a follower of the log. [Engine] is the pure part: it takes [Observation]s in the order of the log and says which alerts
// are new and which go on; its state is a value that the store keeps, so that a restart neither forgets nor counts twice. All
// times are times of receipt by the audit service's clock, the log's single source of time (L.2): what a reporter's clock says
// raises nothing, except that it is wrong.
//
// Some things leave no event because they are the absence of events: a log that is not published, a service that is silent, a
// clock that runs wrong. They come as signals, which are observations without an event (see [Watch]).
//
// An alert is raised once for each group of a rule (a controller, an actor). While its quiet time lasts, what belongs to it is
// counted on; after that the same thing raises a new one.
package monitor
