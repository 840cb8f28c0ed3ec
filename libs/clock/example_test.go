package clock_test

import (
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
)

func ExampleDeadline() {
	received := time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)
	due := clock.Deadline(received, clock.DefaultZone(), clock.ReplyPeriod)
	fmt.Println(due.Date, due.Date.Weekday(), due.Zone, due.RuleVersion)
	// Output: 2026-03-02 Monday Europe/Copenhagen EU-1182-71/DK-2024
}
