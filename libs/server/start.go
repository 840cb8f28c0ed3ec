package server

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"runtime/debug"

	"github.com/privacyops/privacyops/libs/outbox"
)

// StartAction is the action of the event with which a service begins (logging duty L.3).
const StartAction = "service.start"

// started records that the service begins, before it takes a call: a changed program or configuration shows in the log. Where that
// cannot be written the service does not begin.
func (p *Process) started(ctx context.Context, o *outbox.Outbox) error {
	detail, err := p.StartDetail()
	if err != nil {
		return err
	}
	if err := o.RecordAlone(ctx, outbox.Event{Action: StartAction, Kind: outbox.Admin, Detail: detail}); err != nil {
		return fmt.Errorf("server: the start of %s could not be recorded: %w", p.Service, err)
	}
	return nil
}

// StartDetail says what starts: the program's version and a keyed digest of its settings. Secrets are no settings: those name files.
func (p *Process) StartDetail() (map[string]string, error) {
	var told any = p.Settings
	if p.Configured != nil {
		told = p.Configured
	}
	text, err := json.Marshal(told)
	if err != nil {
		return nil, fmt.Errorf("server: digest of the settings: %w", err)
	}
	return map[string]string{"version": version(), "settings": p.Keyring.Digest("service/settings", p.Service, string(text))}, nil
}

var foreign = regexp.MustCompile(`[^A-Za-z0-9._+-]`)

// version is the program's: its module's and, where it was built from a checkout, the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += "+" + s.Value
		}
	}
	return foreign.ReplaceAllString(v, "")
}
