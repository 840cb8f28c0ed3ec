package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/services/export/internal/export"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// message is an export as callers see it.
func message(e *export.Export) *exportv1.Export {
	m := &exportv1.Export{
		Name:        e.Name(),
		State:       exportv1.Export_State(exportv1.Export_State_value[string(e.State)]),
		Kind:        exportv1.Export_Kind(exportv1.Export_Kind_value[string(e.Kind)]),
		Language:    string(e.Language),
		SubjectRef:  e.SubjectRef,
		ReceiveTime: timestamp(e.Received),
		DueTime:     timestamp(e.Due),
		ExpireTime:  timestamp(e.Expires),
		CreateTime:  timestamp(e.Created),
		UpdateTime:  timestamp(e.Updated),
	}
	for _, s := range e.Systems {
		m.Systems = append(m.Systems, &exportv1.SystemExport{System: string(s.System),
			State:   exportv1.SystemExport_State(exportv1.SystemExport_State_value[string(s.State)]),
			Records: s.Records, Bytes: s.Bytes, Message: s.Message})
	}
	for _, o := range e.Omissions {
		m.Omissions = append(m.Omissions, &exportv1.Omission{System: string(o.System), Dataset: o.Dataset, Column: o.Column,
			Count: o.Count, Ground: o.Ground, Article: o.Article})
	}
	if p := e.Package; p != nil {
		m.Package = &exportv1.Package{Sha256: p.SHA256, SizeBytes: p.Size, ContentType: p.ContentType}
	}
	return m
}

// timestamp leaves a time that is not known out.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
