package rpc

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/page"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// SearchAuditEvents lists a controller's events, newest first; decisions that were reported together are an event each. The identifiers
// in the request become pseudonyms here and are not kept; the event that the search leaves (logging duty L.4) names how many events
// were shown and the pseudonyms that the log knows. Who is asked for and was erased is not brought back into it by being asked for.
func (s *Server) SearchAuditEvents(ctx context.Context, req *auditv1.SearchAuditEventsRequest) (*auditv1.SearchAuditEventsResponse, error) {
	query, err := s.queryOf(req)
	if err != nil {
		return nil, err
	}
	binding := bindingOf(query, req.GetFilter())
	if query.After, err = s.cursorOf(binding, req.GetPageToken()); err != nil {
		return nil, err
	}
	outbox.About(ctx, req.GetParent())
	wanted := query.Limit
	query.Limit++ // one more tells whether there is a further page
	found, err := s.cfg.Searcher.Search(ctx, query)
	if err != nil {
		return nil, translate(err)
	}
	outbox.About(ctx, req.GetParent(), plain(found.People)...)
	records, next := found.Records, found.Next
	if len(records) > wanted {
		records = records[:wanted]
		next = audit.CursorOf(records[wanted-1])
	}
	resp := &auditv1.SearchAuditEventsResponse{}
	if !next.IsZero() {
		if resp.NextPageToken, err = page.Encode(s.pageKey, binding, cursorBytes(next)); err != nil {
			return nil, err
		}
	}
	for _, r := range records {
		resp.Events = append(resp.Events, messageOf(r))
	}
	if err := s.publish(ctx, resp.Events); err != nil {
		return nil, err
	}
	outbox.Detail(ctx, "shown", strconv.Itoa(len(records)))
	return resp, nil
}

func (s *Server) queryOf(req *auditv1.SearchAuditEventsRequest) (audit.Query, error) {
	q := audit.Query{Controller: audit.ControllerID(strings.TrimPrefix(req.GetParent(), "controllers/"))}
	var err error
	if q.Filter, err = audit.ParseFilter(req.GetFilter()); err != nil {
		return q, fault.BadField("filter", err.Error())
	}
	if q.Limit, err = page.Size(req.GetPageSize()); err != nil {
		return q, fault.BadField("page_size", err.Error())
	}
	if q.Start, err = timeOf("start_time", req.GetStartTime()); err != nil {
		return q, err
	}
	if q.End, err = timeOf("end_time", req.GetEndTime()); err != nil {
		return q, err
	}
	if !q.End.IsZero() && q.End.Before(q.Start) {
		return q, fault.BadField("end_time", "must not be before start_time")
	}
	subjects := req.GetSubjects()
	if req.GetSubject() != nil {
		subjects = append([]*typev1.Subject{req.GetSubject()}, subjects...)
	}
	for _, subject := range subjects {
		ref := s.cfg.Keyring.Subject(string(q.Controller), subject.GetType().String(), subject.GetValue())
		q.SubjectRefs = append(q.SubjectRefs, audit.SubjectRef(ref))
	}
	return q, nil
}

func timeOf(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if t.CheckValid() != nil {
		return time.Time{}, fault.BadField(field, "must be a time of the years 1 to 9999")
	}
	return t.AsTime(), nil
}

// bindingOf ties a page token to all that decides what is listed.
func bindingOf(q audit.Query, filter string) page.Binding {
	return page.Binding{
		Controller: string(q.Controller),
		Method:     auditv1.AuditLog_SearchAuditEvents_FullMethodName,
		Filter:     fmt.Sprintf("%q %q %s %s", filter, q.SubjectRefs, q.Start.Format(time.RFC3339Nano), q.End.Format(time.RFC3339Nano)),
	}
}

// cursorBytes writes a cursor: the time in microseconds, the number and the place within a batch, eight bytes each.
func cursorBytes(c audit.Cursor) []byte {
	out := binary.BigEndian.AppendUint64(nil, uint64(c.ReceivedTime.UnixMicro()))
	out = binary.BigEndian.AppendUint64(out, c.ControllerSequence)
	return binary.BigEndian.AppendUint64(out, uint64(c.Place))
}

func (s *Server) cursorOf(b page.Binding, token string) (audit.Cursor, error) {
	raw, err := page.Decode(s.pageKey, b, token)
	if err != nil || (len(raw) != 0 && len(raw) != 24) {
		return audit.Cursor{}, fault.BadField("page_token", page.ErrInvalid.Error())
	}
	if len(raw) == 0 {
		return audit.Cursor{}, nil
	}
	return audit.Cursor{
		ReceivedTime:       time.UnixMicro(int64(binary.BigEndian.Uint64(raw))).UTC(),
		ControllerSequence: binary.BigEndian.Uint64(raw[8:]),
		Place:              int(binary.BigEndian.Uint64(raw[16:])),
	}, nil
}

// messageOf translates an entry.
func messageOf(r audit.Record) *auditv1.AuditEvent {
	m := &auditv1.AuditEvent{
		Name:  fmt.Sprintf("controllers/%s/auditEvents/%s", r.Controller, r.ID),
		Index: int64(r.Index),
		Time:  timestamppb.New(r.ReceivedTime), OccurTime: timestamppb.New(r.OccurredTime),
		Actor: &auditv1.Actor{
			Kind: auditv1.Actor_Kind(auditv1.Actor_Kind_value[string(r.Actor.Kind)]),
			Ref:  r.Actor.Ref,
		},
		Action: r.Action, Kind: authv1.Rule_EventKind(authv1.Rule_EventKind_value[string(r.Kind)]), Resource: r.Resource,
		SubjectRefs: plain(r.SubjectRefs),
		Outcome:     auditv1.AuditEvent_Outcome(auditv1.AuditEvent_Outcome_value[string(r.Outcome)]),
		Reason:      r.Reason, TraceId: r.TraceID(), Detail: r.Detail, Service: r.Service,
		ControllerSequence: int64(r.ControllerSequence), BeforeDigest: r.BeforeDigest, AfterDigest: r.AfterDigest,
		Erased: r.Erased,
	}
	for _, role := range r.Actor.Roles {
		m.Actor.Roles = append(m.Actor.Roles, authv1.Rule_Role(authv1.Rule_Role_value[strings.ToUpper(role)]))
	}
	return m
}

func plain(refs []audit.SubjectRef) []string {
	var out []string
	for _, r := range refs {
		out = append(out, string(r))
	}
	return out
}
