package gateway_test

import (
	"testing"

	"go.uber.org/goleak"
)

// A gateway that has stopped leaves nothing running.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
