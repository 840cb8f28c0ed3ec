package main

import (
	"testing"
	"time"
)

// TestTokensForAll: those who run the suite may have a token for all controllers, and nobody else; what the issuer would sign and no
// service would take is refused at once.
func TestTokensForAll(t *testing.T) {
	t.Parallel()
	for role, may := range map[string]bool{"operator": true, "sre": true, "platform": false, "partner": false, "dpo": false, "auditor": false} {
		for _, controllers := range [][]string{{"*"}, {"north", "*"}} {
			c := tokenCommand{Data: t.TempDir(), Role: role, Controller: controllers, SubjectName: "somebody", Expires: time.Hour}
			if err := c.Run(t.Context()); (err == nil) != may {
				t.Errorf("%s for %v: %v", role, controllers, err)
			}
		}
	}
}
