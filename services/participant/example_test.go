package participant_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/telemetry"
	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// library is a platform that implements the protocol itself; here it holds nothing yet.
type library struct{ participant.Participant }

func (library) Describe(context.Context) (participant.Description, error) {
	return participant.Description{System: "library"}, nil
}

// One service speaks for a database with a data map and for a platform that speaks for itself.
func ExampleNew() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "participant")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	database := filepath.Join(dir, "platform.db")
	if err := sample.Build(ctx, database); err != nil {
		panic(err)
	}
	dataMap, err := sample.WriteDataMap(dir)
	if err != nil {
		panic(err)
	}
	t, err := telemetry.New(ctx, telemetry.Config{Service: "participant", Log: io.Discard})
	if err != nil {
		panic(err)
	}
	service, err := participant.New(ctx, participant.Config{
		Systems: []participant.SystemConfig{{
			Name: sample.System, DataMap: dataMap, Database: "sqlite:" + database, Controllers: []string{sample.Controller},
		}},
		Native: []participant.System{{
			Name: "library", Participant: library{}, Controllers: []string{sample.Controller, sample.OtherController},
		}},
		LedgerDir: filepath.Join(dir, "ledger"),
		Clock:     clock.System(),
		Telemetry: t,
	})
	if err != nil {
		panic(err)
	}
	defer service.Close()
	fmt.Println("ready:", service.Ready(ctx) == nil)
	// Output: ready: true
}
