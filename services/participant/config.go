package participant

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/telemetry"
)

// Config is what the service is made of.
type Config struct {
	// Systems are relational databases that the SQL adapter speaks for.
	Systems []SystemConfig
	// Native are systems that speak for themselves. Their owner closes them.
	Native []System
	// LedgerDir is where the SQL adapters keep their ledgers, one file a system; it is made with mode 0700. Required with
	// Systems. A ledger is what makes an erasure resumable: it must survive a restart.
	LedgerDir string
	// Clock measures how long verbs take. Required.
	Clock clock.Clock
	// Telemetry is where the service emits. Required.
	Telemetry *telemetry.Telemetry
	// Wrap, where it is set, puts something around each participant, for example a recorder in a test. It must keep what
	// [Participant] promises.
	Wrap func(name string, p Participant) Participant
}

// System is a system that implements [Participant] itself.
type System struct {
	// Name is the participant's name in requests: 1 to 63 of a-z, 0-9 and '-'.
	Name string
	// Participant does the work. One that also has a method Ready(context.Context) error is asked by [Service.Ready].
	Participant Participant
	// Controllers are the ids of the controllers whose data the system holds. For any other the answer is NOT_FOUND.
	Controllers []string
}

// SystemConfig is a relational database that the SQL adapter speaks for.
type SystemConfig struct {
	// Name is the participant's name in requests: 1 to 63 of a-z, 0-9 and '-'.
	Name string
	// DataMap is the path of the YAML file that says where the database keeps data about people.
	DataMap string
	// Database is "sqlite:" and the path of an existing file, or a "postgres://" connection string.
	Database string
	// Controllers are the ids of the controllers whose data the database holds. For any other the answer is NOT_FOUND.
	Controllers []string
}

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// check says everything that is wrong with the configuration.
func (c Config) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("participant: "+format, args...)) }
	if c.Clock == nil || c.Telemetry == nil {
		fail("clock and telemetry are both required")
	}
	if len(c.Systems) > 0 && c.LedgerDir == "" {
		fail("a ledger directory is required: without a ledger an erasure cannot be taken up again")
	}
	seen := map[string]bool{}
	named := func(name string, controllers []string) {
		if !idPattern.MatchString(name) {
			fail("the system name %q must be 1 to 63 of a-z, 0-9 and '-'", name)
		}
		if seen[name] {
			fail("two systems are named %q", name)
		}
		seen[name] = true
		if len(controllers) == 0 {
			fail("system %s: name the controllers whose data it holds", name)
		}
		for _, id := range controllers {
			if !idPattern.MatchString(id) {
				fail("system %s: the controller id %q must be 1 to 63 of a-z, 0-9 and '-'", name, id)
			}
		}
	}
	for _, s := range c.Systems {
		named(s.Name, s.Controllers)
	}
	for _, s := range c.Native {
		named(s.Name, s.Controllers)
		if s.Participant == nil {
			fail("system %s: a participant is required", s.Name)
		}
	}
	return errors.Join(errs...)
}
