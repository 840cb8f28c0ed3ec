package roster

import (
	"log/slog"
	"strings"
	"time"
)

// UserID is a UNI-Login user name. It is a personal identifier, so it prints as a blank wherever it is formatted or logged;
// string(id) gives the value.
type UserID string

const blank = "[user]"

// String returns a blank, never the value.
func (UserID) String() string { return blank }

// GoString returns a blank, never the value.
func (UserID) GoString() string { return blank }

// LogValue returns a blank, never the value.
func (UserID) LogValue() slog.Value { return slog.StringValue(blank) }

// InstitutionNumber is the six-character number of a school.
type InstitutionNumber string

// Role is what a person is at an institution.
type Role uint8

// The roles, as bits of [Roles].
const (
	Student Role = 1 << iota
	Employee
	Extern
)

// Roles is a set of roles: a pupil can be an employee, too.
type Roles uint8

// With returns the set with r added.
func (rs Roles) With(r Role) Roles { return rs | Roles(r) }

// Has reports whether r is in the set.
func (rs Roles) Has(r Role) bool { return rs&Roles(r) != 0 }

// String returns the roles in the form "STUDENT|EMPLOYEE"; the empty set is "".
func (rs Roles) String() string {
	var names []string
	for _, role := range []struct {
		r    Role
		name string
	}{{Student, "STUDENT"}, {Employee, "EMPLOYEE"}, {Extern, "EXTERN"}} {
		if rs.Has(role.r) {
			names = append(names, role.name)
		}
	}
	return strings.Join(names, "|")
}

// Person is one person of an extract.
type Person struct {
	UserID UserID
	Roles  Roles
}

// Extract is one complete roster of one institution.
type Extract struct {
	Institution     InstitutionNumber
	InstitutionName string
	// ExportTime is when the roster service made the extract, in UTC.
	ExportTime time.Time
	// SchoolYear is the latest one that an import source names, such as "2026-2027"; empty where none names one.
	SchoolYear string
	// People are the persons with a user name, each once, in the order of the document.
	People []Person
	// WithoutPerson counts the entries that name nobody.
	WithoutPerson int
	// Truncated says that the document ended early; see [Parse].
	Truncated bool
	Warnings  []Warning
}

// WarningCode names a kind of oddity that does not stop an extract.
type WarningCode string

// The oddities.
const (
	// WarnNoPerson: entries without a Person or user name, which cannot be followed.
	WarnNoPerson WarningCode = "WITHOUT_PERSON"
	// WarnNoRole: persons who are neither student, employee nor extern.
	WarnNoRole WarningCode = "WITHOUT_ROLE"
	// WarnMerged: further entries of a person from another source or in another role, taken as one person.
	WarnMerged WarningCode = "MERGED_ENTRIES"
	// WarnDanglingGroup: main groups that the extract does not list.
	WarnDanglingGroup WarningCode = "DANGLING_MAIN_GROUP"
	// WarnSchoolYears: import sources that name different school years.
	WarnSchoolYears WarningCode = "SEVERAL_SCHOOL_YEARS"
	// WarnNoSchoolYear: no import source names a school year.
	WarnNoSchoolYear WarningCode = "WITHOUT_SCHOOL_YEAR"
)

// Warning counts one kind of oddity; it names nobody.
type Warning struct {
	Code  WarningCode
	Count int
}
