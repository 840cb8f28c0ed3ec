package server

import (
	"errors"
	"fmt"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/privacyops/privacyops/libs/fault"
)

// Validate checks a message by the rules in its proto, and refuses what no rule speaks of but nobody means: fields that the
// proto does not have, and NUL in texts, which databases refuse in ways of their own.
func Validate(msg proto.Message) error {
	if path := odd(msg.ProtoReflect()); path != "" {
		return fault.BadField(path, "unknown field or NUL character")
	}
	err := protovalidate.Validate(msg)
	var verr *protovalidate.ValidationError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &verr):
		return fmt.Errorf("server: validate: %w", err)
	}
	var violations []fault.Violation
	for _, v := range verr.Violations[:min(len(verr.Violations), maxViolations)] {
		field := protovalidate.FieldPathString(v.Proto.GetField())
		violations = append(violations, fault.Violation{Field: field, Description: v.Proto.GetMessage()})
	}
	return fault.New(fault.Invalid, "INVALID_ARGUMENT", summary(violations)).WithViolations(violations)
}

// maxViolations bounds what an answer lists: who sends a hundred thousand bad items needs to see only the first.
const maxViolations = 20

func summary(violations []fault.Violation) string {
	parts := make([]string, 0, len(violations))
	for _, v := range violations {
		if v.Field == "" {
			parts = append(parts, v.Description)
			continue
		}
		parts = append(parts, v.Field+": "+v.Description)
	}
	return "The request is not valid: " + strings.Join(parts, "; ") + "."
}

// odd finds the first place with unknown fields or NUL; empty where there is none. Nearly all messages have none, so the path is
// made on the way back from a place that was found, not on the way down to it.
func odd(m protoreflect.Message) (path string) {
	if len(m.GetUnknown()) > 0 {
		return "?"
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		path = oddValue(f, v)
		return path == ""
	})
	return path
}

func oddValue(f protoreflect.FieldDescriptor, v protoreflect.Value) (path string) {
	switch {
	case f.IsMap():
		v.Map().Range(func(k protoreflect.MapKey, e protoreflect.Value) bool {
			if path = oddScalar(f, f.MapKey(), k.Value()); path == "" {
				path = oddScalar(f, f.MapValue(), e)
			}
			return path == ""
		})
		return path
	case f.IsList():
		for i := range v.List().Len() {
			if path := oddScalar(f, f, v.List().Get(i)); path != "" {
				return path
			}
		}
		return ""
	}
	return oddScalar(f, f, v)
}

// oddScalar looks at one value of a field: of a map, a key or what it leads to.
func oddScalar(field, of protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch {
	case of.Message() != nil:
		if path := odd(v.Message()); path != "" {
			return string(field.Name()) + "." + path
		}
	case of.Kind() == protoreflect.StringKind && strings.IndexByte(v.String(), 0) >= 0:
		return string(field.Name())
	}
	return ""
}
