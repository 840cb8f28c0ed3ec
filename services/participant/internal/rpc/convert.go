package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"

	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// subjectOf is the person of a request. The names of the types are the same on both sides.
func subjectOf(controller string, ids []*typev1.Subject) participant.Subject {
	s := participant.Subject{Controller: controller}
	for _, id := range ids {
		s.Identifiers = append(s.Identifiers, participant.Identifier{
			Type: participant.IdentifierType(id.GetType().String()), Value: id.GetValue()})
	}
	return s
}

func typeOf(t participant.IdentifierType) typev1.Subject_Type {
	return typev1.Subject_Type(typev1.Subject_Type_value[string(t)])
}

func typesOf(types []participant.IdentifierType) []typev1.Subject_Type {
	out := make([]typev1.Subject_Type, 0, len(types))
	for _, t := range types {
		out = append(out, typeOf(t))
	}
	return out
}

// objectOf writes a record as one JSON object whose members stand in the order of the columns, which a map would lose.
func objectOf(r participant.Record) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	out.WriteByte('{')
	for i, f := range r.Columns {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := enc.Encode(f.Name); err != nil {
			return nil, fmt.Errorf("rpc: column of dataset %s: %w", r.Dataset, err)
		}
		out.Truncate(out.Len() - 1) // the encoder ends each value with a new line
		out.WriteByte(':')
		if !json.Valid(f.Value) {
			return nil, fmt.Errorf("rpc: column %s of dataset %s is not JSON", f.Name, r.Dataset)
		}
		out.Write(f.Value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func countsOf(counts []participant.DatasetCount) []*participantv1.DatasetCount {
	out := make([]*participantv1.DatasetCount, 0, len(counts))
	for _, c := range counts {
		out = append(out, &participantv1.DatasetCount{Dataset: c.Dataset, Count: c.Rows})
	}
	return out
}
