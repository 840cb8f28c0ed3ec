package rpc

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// timestamp leaves out the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func controllerMessage(c consent.Controller) *pb.Controller {
	m := &pb.Controller{
		Name: controllerName(c.ID), DisplayName: c.DisplayName, Jurisdiction: c.Jurisdiction, TimeZone: c.TimeZone, Language: c.Language,
		Contact: c.Contact, RequiredApprovals: int32(c.RequiredApprovals), GracePeriod: durationpb.New(c.GracePeriod),
		PrimaryIdentifierType: typepb.Subject_Type(typepb.Subject_Type_value[c.PrimaryIdentifierType]),
		Kind:                  pb.Controller_Kind(pb.Controller_Kind_value[string(c.Kind)]), AgePolicy: pb.Controller_AgePolicy(pb.Controller_AgePolicy_value[string(c.AgePolicy)]),
		Etag: c.ETag(), CreateTime: timestamp(c.CreateTime), UpdateTime: timestamp(c.UpdateTime),
	}
	if c.DPO != (consent.ContactPerson{}) {
		m.Dpo = &pb.ContactPerson{Name: c.DPO.Name, Email: c.DPO.Email}
	}
	return m
}

// controllerOf takes what a caller says of a controller, with the defaults for what it leaves out. A grace period of 0 is
// said, an absent one is left out.
func controllerOf(m *pb.Controller) consent.Controller {
	c := consent.Controller{
		DisplayName: m.GetDisplayName(), Jurisdiction: m.GetJurisdiction(), TimeZone: m.GetTimeZone(), Language: m.GetLanguage(),
		Contact: m.GetContact(), DPO: consent.ContactPerson{Name: m.GetDpo().GetName(), Email: m.GetDpo().GetEmail()},
		RequiredApprovals: int(m.GetRequiredApprovals()), GracePeriod: consent.DefaultGracePeriod,
	}
	if m.GetGracePeriod() != nil {
		c.GracePeriod = m.GetGracePeriod().AsDuration()
	}
	if t := m.GetPrimaryIdentifierType(); t != typepb.Subject_TYPE_UNSPECIFIED {
		c.PrimaryIdentifierType = t.String()
	}
	if k := m.GetKind(); k != pb.Controller_KIND_UNSPECIFIED {
		c.Kind = consent.ControllerKind(k.String())
	}
	if p := m.GetAgePolicy(); p != pb.Controller_AGE_POLICY_UNSPECIFIED {
		c.AgePolicy = consent.AgePolicy(p.String())
	}
	return c.WithDefaults()
}

func activityMessage(a consent.Activity) *pb.Activity {
	m := &pb.Activity{
		Name: activityName(a.Controller, a.ID), Purpose: a.Purpose, LegalBasis: basisMessage(a.Basis), SpecialCategoryCondition: a.SpecialCondition,
		DataCategories: a.DataCategories, SubjectCategories: a.SubjectCategories, Recipients: a.Recipients,
		Systems: texts(a.Systems), Locations: a.Locations, Source: a.Source, AutomatedDecisions: a.AutomatedDecisions,
		DirectMarketing: a.DirectMarketing, OutsideAuthorityTasks: a.OutsideAuthorityTasks, Transfers: messages(a.Transfers, transferMessage),
		Etag: a.ETag(), Version: a.Version, State: pb.Activity_ACTIVE, CreateTime: timestamp(a.CreateTime), UpdateTime: timestamp(a.UpdateTime),
	}
	if a.Archived {
		m.State = pb.Activity_ARCHIVED
	}
	if r := a.Retention; r != (consent.Retention{}) {
		m.Retention = &pb.Retention{Period: r.Period, Event: r.Event, Protected: r.Protected, Ground: r.Ground}
	}
	return m
}

func transferMessage(t consent.Transfer) *pb.Transfer {
	return &pb.Transfer{Location: t.Location, Ground: pb.Transfer_Ground(pb.Transfer_Ground_value[string(t.Ground)]), Safeguard: t.Safeguard}
}

// activityOf takes what a caller says of an activity.
func activityOf(m *pb.Activity) consent.Activity {
	a := consent.Activity{
		Purpose: m.GetPurpose(), Basis: basisOf(m.GetLegalBasis()), SpecialCondition: m.GetSpecialCategoryCondition(),
		DataCategories: m.GetDataCategories(), SubjectCategories: m.GetSubjectCategories(), Recipients: m.GetRecipients(),
		Systems: idsOf[consent.SystemID](m.GetSystems()), Locations: m.GetLocations(), Source: m.GetSource(), AutomatedDecisions: m.GetAutomatedDecisions(),
		Retention: consent.Retention{Period: m.GetRetention().GetPeriod(), Event: m.GetRetention().GetEvent(),
			Protected: m.GetRetention().GetProtected(), Ground: m.GetRetention().GetGround()},
		DirectMarketing: m.GetDirectMarketing(), OutsideAuthorityTasks: m.GetOutsideAuthorityTasks(),
	}
	for _, t := range m.GetTransfers() {
		a.Transfers = append(a.Transfers, consent.Transfer{Location: t.GetLocation(), Ground: consent.TransferGround(t.GetGround().String()), Safeguard: t.GetSafeguard()})
	}
	return a
}

func systemMessage(s consent.System) *pb.System {
	return &pb.System{
		Name: systemName(s.Controller, s.ID), DisplayName: s.DisplayName, Participant: s.Participant, Location: s.Location,
		OperatedBy: s.OperatedBy, Mandatory: s.Mandatory, Order: int32(s.Order), Etag: s.ETag(),
		CreateTime: timestamp(s.CreateTime), UpdateTime: timestamp(s.UpdateTime),
	}
}

// systemOf takes what a caller says of a system.
func systemOf(m *pb.System) consent.System {
	return consent.System{DisplayName: m.GetDisplayName(), Participant: m.GetParticipant(), Location: m.GetLocation(),
		OperatedBy: m.GetOperatedBy(), Mandatory: m.GetMandatory(), Order: int(m.GetOrder())}
}

func (h *handlers) consentMessage(c consent.Consent) *pb.Consent {
	return &pb.Consent{
		Name: consentName(c.Controller, c.ID), State: pb.Consent_State(pb.Consent_State_value[string(c.StateAt(h.now()))]),
		Activity: string(c.Activity), ActivityVersion: c.ActivityVersion, SubjectRef: string(c.Subjects[0]),
		GivenBy:  &pb.GivenBy{Capacity: pb.GivenBy_Capacity(pb.GivenBy_Capacity_value[string(c.Capacity)]), Reference: c.Reference},
		GiveTime: timestamp(c.GiveTime), WithdrawTime: timestamp(c.WithdrawTime), ExpireTime: timestamp(c.ExpireTime), Evidence: c.Evidence, Text: textMessage(c.Text),
		ConsistencyToken: h.tokens.Make(c.Controller, c.LastAct()),
	}
}

// recordedConsent is a consent as the digests of its events have it: without its state, which may change by the passing of time.
func (h *handlers) recordedConsent(c consent.Consent) *pb.Consent {
	m := h.consentMessage(c)
	m.State = pb.Consent_STATE_UNSPECIFIED
	return m
}

// textMessage leaves out a text that is not known.
func textMessage(t consent.ShownText) *pb.ConsentText {
	if t == (consent.ShownText{}) {
		return nil
	}
	return &pb.ConsentText{Version: t.Version, Language: t.Language, Sha256: t.SHA256}
}

func basisMessage(b consent.LegalBasis) typepb.LegalBasis {
	return typepb.LegalBasis(typepb.LegalBasis_value[string(b)])
}

// basisOf gives none for the unspecified basis.
func basisOf(b typepb.LegalBasis) consent.LegalBasis {
	if b == typepb.LegalBasis_LEGAL_BASIS_UNSPECIFIED {
		return ""
	}
	return consent.LegalBasis(b.String())
}

func texts[T ~string](ids []T) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}

func idsOf[T ~string](list []string) []T {
	out := make([]T, len(list))
	for i, s := range list {
		out[i] = T(s)
	}
	return out
}

// refs gives the pseudonyms of a person that a request names by one or more identifiers, each once, in the request's order.
func (h *handlers) refs(controller consent.ControllerID, one *typepb.Subject, more []*typepb.Subject) []consent.SubjectRef {
	var refs []consent.SubjectRef
	for _, s := range append([]*typepb.Subject{one}, more...) {
		if s == nil {
			continue
		}
		ref := consent.SubjectRef(h.Keyring.Subject(string(controller), s.GetType().String(), s.GetValue()))
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs
}
