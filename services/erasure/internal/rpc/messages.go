package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

func erasureMessage(e *erasure.Erasure) *erasurev1.Erasure {
	m := &erasurev1.Erasure{
		Name: e.Name(), State: erasurev1.Erasure_State(erasurev1.Erasure_State_value[string(e.State)]),
		Ground:     erasurev1.Erasure_Ground(erasurev1.Erasure_Ground_value[string(e.Ground)]),
		Channel:    erasurev1.Erasure_Channel(erasurev1.Erasure_Channel_value[e.Channel]),
		SubjectRef: e.SubjectRef, RequiredApprovals: int32(e.RequiredApprovals),
		GraceEndTime: timestamp(e.GraceEnd), ReceiveTime: timestamp(e.ReceiveTime), DueTime: timestamp(e.DueTime), Reason: e.Reason,
		CreateTime: timestamp(e.CreateTime), UpdateTime: timestamp(e.UpdateTime),
	}
	if e.Plan != nil {
		m.Plan = planMessage(e.Plan)
	}
	if e.State == erasure.AwaitingApproval {
		m.ApprovalExpireTime = timestamp(e.ApprovalExpires)
	}
	if e.State == erasure.Planning || e.State == erasure.Partial || e.State == erasure.Verifying {
		m.NextAttemptTime = timestamp(e.NextAttempt)
	}
	for _, a := range e.Approvals {
		m.Approvals = append(m.Approvals, &erasurev1.Approval{Person: a.Person, ApproveTime: timestamp(a.Time), PlanHash: a.PlanHash})
	}
	for _, s := range e.Systems {
		m.Systems = append(m.Systems, systemMessage(s))
	}
	for _, r := range e.Residuals {
		m.Residuals = append(m.Residuals, &erasurev1.Residual{System: r.System, Dataset: r.Dataset, Table: r.Table, Count: r.Count, Reason: r.Reason})
	}
	return m
}

func systemMessage(s erasure.SystemProgress) *erasurev1.SystemErasure {
	m := &erasurev1.SystemErasure{System: s.System, Attempts: int32(s.Attempts), Message: s.Message,
		State: erasurev1.SystemErasure_State(erasurev1.SystemErasure_State_value[string(s.State)])}
	for _, d := range s.Datasets {
		m.Datasets = append(m.Datasets, &erasurev1.DatasetErasure{Dataset: d.Dataset, Located: d.Located, Erased: d.Erased,
			Anonymised: d.Anonymised, Kept: d.Kept, Unchanged: d.Unchanged, Remaining: d.Remaining})
	}
	return m
}

func planMessage(p *erasure.Plan) *erasurev1.Plan {
	m := &erasurev1.Plan{PlanHash: p.Hash, Warnings: p.Warnings, PlanTime: timestamp(p.Time)}
	for _, i := range p.Items {
		m.Items = append(m.Items, &erasurev1.PlanItem{System: i.System, Dataset: i.Dataset, Activity: i.Activity, Count: i.Count,
			Action: participantv1.Action(participantv1.Action_value[string(i.Action)]), Ground: i.Ground, Article: i.Article,
			Explanation: &typev1.LocalizedText{Da: i.Explanation.DA, En: i.Explanation.EN}})
	}
	for _, s := range p.Shared {
		m.SharedIdentifiers = append(m.SharedIdentifiers, &erasurev1.SharedIdentifier{System: s.System,
			Type: typev1.Subject_Type(typev1.Subject_Type_value[s.Type]), People: s.People})
	}
	return m
}

// timestamp leaves out what has no time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
