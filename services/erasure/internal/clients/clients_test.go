package clients

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// answering is a connection on which every call has the same answer.
type answering struct {
	grpc.ClientConnInterface
	reply proto.Message
	err   error
}

func (a answering) Invoke(_ context.Context, _ string, _, reply any, _ ...grpc.CallOption) error {
	if a.reply != nil {
		proto.Merge(reply.(proto.Message), a.reply)
	}
	return a.err
}

// What kind of failure it was is told; what a participant says of itself is not, but for the few reasons of the protocol.
func TestFailuresOfParticipants(t *testing.T) {
	t.Parallel()
	secret := "anna0001 is locked"
	of := func(reason string) error {
		return server.Status(context.Background(), fault.New(fault.Precondition, reason, "Words of the protocol."))
	}
	for name, test := range map[string]struct {
		err    error
		reason string
		text   string
	}{
		"down":           {status.Error(codes.Unavailable, secret), "PARTICIPANT_UNREACHABLE", "cannot be reached"},
		"slow":           {status.Error(codes.DeadlineExceeded, secret), "PARTICIPANT_TIMEOUT", "in time"},
		"foreign":        {status.Error(codes.NotFound, secret), "PARTICIPANT_FOREIGN", "does not speak for this controller"},
		"failing":        {status.Error(codes.Internal, secret), "PARTICIPANT_FAILED", "(Internal)"},
		"an own reason":  {of("ANNA_IS_LOCKED"), "PARTICIPANT_FAILED", "(FailedPrecondition)"},
		"fenced":         {of("FENCED"), "FENCED", "Words of the protocol."},
		"another map":    {of("DATA_MAP_CHANGED"), "DATA_MAP_CHANGED", "Words of the protocol."},
		"another person": {of("REQUEST_REUSED"), "REQUEST_REUSED", "Words of the protocol."},
		"unsettled":      {of("UNSETTLED"), "UNSETTLED", "Words of the protocol."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := Participants{"lms": answering{err: test.err}}.Participant("lms")
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			_, describe := p.Describe(ctx)
			_, locate := p.Locate(ctx, "north", nil)
			_, erase := p.Erase(ctx, "north", erasure.EraseOrder{})
			_, verify := p.Verify(ctx, "north", "r", nil)
			for _, err := range []error{describe, locate, erase, verify} {
				f := fault.From(err)
				if f.Reason() != test.reason || !strings.Contains(f.Message(), test.text) || strings.Contains(f.Error(), "anna") {
					t.Errorf("told: %v", err)
				}
			}
		})
	}
}

func TestADatasetCountedTwice(t *testing.T) {
	t.Parallel()
	p, err := Participants{"lms": answering{reply: &participantv1.Location{Counts: []*participantv1.DatasetCount{{Dataset: "a", Count: -3}, {Dataset: "a", Count: 5}}}}}.Participant("lms")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Locate(context.Background(), "north", nil); !fault.Is(err, "PARTICIPANT_NONSENSE") {
		t.Errorf("told: %v", err)
	}
}

func TestUnknownParticipant(t *testing.T) {
	t.Parallel()
	if _, err := (Participants{}).Participant("absent"); !fault.Is(err, "PARTICIPANT_UNKNOWN") || !strings.Contains(fmt.Sprint(err), `"absent"`) {
		t.Errorf("told: %v", err)
	}
}

func TestProofs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		conn   answering
		notYet bool
		ok     bool
	}{
		"there":               {answering{reply: &auditv1.Proof{Index: 3, TreeSize: 4}}, false, true},
		"not there yet":       {answering{err: status.Error(codes.NotFound, "")}, true, false},
		"away":                {answering{err: status.Error(codes.Unavailable, "")}, true, false},
		"forbidden":           {answering{err: status.Error(codes.PermissionDenied, "")}, false, false},
		"outside of the tree": {answering{reply: &auditv1.Proof{Index: 4, TreeSize: 4}}, false, false},
		"before the tree":     {answering{reply: &auditv1.Proof{Index: -1, TreeSize: 4}}, false, false},
	} {
		p, err := NewAudit(test.conn).Proof(context.Background(), "north", "id")
		if (err == nil) != test.ok || (err == erasure.ErrNotYet) != test.notYet || (test.ok && p.Index != 3) { //nolint:errorlint // exactly this one
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestRegisterWithoutContent(t *testing.T) {
	t.Parallel()
	c := NewConsent(answering{reply: &consentv1.Snapshot{}})
	if _, err := c.Register(context.Background(), "north"); err == nil {
		t.Error("a register without a controller is taken for one")
	}
	c = NewConsent(answering{err: status.Error(codes.Unavailable, "away")})
	if _, err := c.Register(context.Background(), "north"); fault.From(err).Kind() != fault.Unavailable {
		t.Errorf("told: %v", err)
	}
}
