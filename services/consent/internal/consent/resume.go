package consent

// CanResume reports whether everything that has changed after a revision can still be told, given the controller's newest
// revision and the oldest change that is kept (nil: there is none).
//
// Changes are forgotten from the oldest on ([Changes].ForgetChanges), so what is kept has no holes: after the oldest change, and
// right before it, nothing is missing. Further back, nobody can tell a revision of which nothing came from one whose change was
// forgotten, and the answer is no; it costs the asker what it remembers, where yes could cost a person their withdrawal. A
// revision that is still to come was given by a database that has since been set back, and what happened to it is unknown.
func CanResume(after, newest Revision, oldest *Change) bool {
	switch {
	case after >= newest:
		return after == newest
	case oldest == nil:
		return false
	default:
		return after+1 >= oldest.Revision
	}
}
