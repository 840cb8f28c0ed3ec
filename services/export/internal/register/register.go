// Package register reads the controllers' register from the consent service.
package register

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/services/export/internal/export"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// timeout bounds a call.
const timeout = 10 * time.Second

// Register implements export.Register.
type Register struct {
	client consentv1.RegisterReaderClient
}

var _ export.Register = (*Register)(nil)

// New returns the register behind a connection to the consent service.
func New(conn grpc.ClientConnInterface) *Register {
	return &Register{client: consentv1.NewRegisterReaderClient(conn)}
}

// Snapshot reads a controller's register; see export.Register.
func (r *Register) Snapshot(ctx context.Context, c export.ControllerID) (export.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, err := r.client.GetSnapshot(ctx, &consentv1.GetSnapshotRequest{Parent: "controllers/" + string(c)})
	if status.Code(err) == codes.NotFound {
		return export.Snapshot{}, export.ErrNoController
	}
	if err != nil {
		return export.Snapshot{}, fmt.Errorf("register: %w", err)
	}
	out := export.Snapshot{Controller: controller(c, s.GetController())}
	for _, a := range s.GetActivities() {
		out.Activities = append(out.Activities, activity(a))
	}
	for _, x := range s.GetSystems() {
		out.Systems = append(out.Systems, export.RegisteredSystem{ID: export.SystemID(id(x.GetName())), DisplayName: x.GetDisplayName(),
			Participant: export.ParticipantName(x.GetParticipant()), Location: x.GetLocation(), OperatedBy: x.GetOperatedBy(),
			Mandatory: x.GetMandatory()})
	}
	return out, nil
}

func controller(c export.ControllerID, x *consentv1.Controller) export.Controller {
	return export.Controller{ID: c, DisplayName: x.GetDisplayName(), Jurisdiction: x.GetJurisdiction(), TimeZone: x.GetTimeZone(),
		Language: export.Language(x.GetLanguage()), Contact: x.GetContact(),
		DPOName: x.GetDpo().GetName(), DPOEmail: x.GetDpo().GetEmail()}
}

func activity(a *consentv1.Activity) export.Activity {
	out := export.Activity{
		ID: export.ActivityID(id(a.GetName())), Purpose: a.GetPurpose(), LegalBasis: export.LegalBasis(a.GetLegalBasis().String()),
		SpecialCategory: a.GetSpecialCategoryCondition(), DataCategories: a.GetDataCategories(),
		SubjectCategories: a.GetSubjectCategories(), Recipients: a.GetRecipients(), Locations: a.GetLocations(),
		Source: a.GetSource(), AutomatedDecisions: a.GetAutomatedDecisions(),
		Archived: a.GetState() == consentv1.Activity_ARCHIVED,
		Retention: export.Retention{Period: a.GetRetention().GetPeriod(), Event: a.GetRetention().GetEvent(),
			Protected: a.GetRetention().GetProtected(), Ground: a.GetRetention().GetGround()},
	}
	for _, s := range a.GetSystems() {
		out.Systems = append(out.Systems, export.SystemID(s))
	}
	return out
}

// id is the last part of a resource name.
func id(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
