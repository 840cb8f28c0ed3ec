package rpc

import (
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
)

// etagField guards a change and is no part of what is changed.
const etagField = "etag"

// checkNew checks the resource of a creating call: its name is empty or the one that the call's ids make, and nothing is
// set that only the service sets (AIP-133, AIP-203).
func checkNew(field, name string, resource proto.Message) error {
	m := resource.ProtoReflect()
	var bad string
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case has(f, annotations.FieldBehavior_OUTPUT_ONLY):
			bad = string(f.Name())
		case has(f, annotations.FieldBehavior_IDENTIFIER) && v.String() != name:
			bad = string(f.Name())
		}
		return bad == ""
	})
	switch {
	case bad == "name":
		return fault.BadField(field+".name", "is made from the ids of the call; leave it out")
	case bad != "":
		return fault.BadField(field+"."+bad, "is set by the service; leave it out")
	}
	return nil
}

// merge copies the fields that the mask names from the request's resource into the present one, and validates the result
// as a whole. Without a mask the fields that are set are copied; `*` means all fields (AIP-134).
func merge(field string, present, sent proto.Message, mask *fieldmaskpb.FieldMask) error {
	paths, err := maskPaths(field, sent, mask)
	if err != nil {
		return err
	}
	for _, path := range paths {
		copyPath(present.ProtoReflect(), sent.ProtoReflect(), strings.Split(path, "."))
	}
	return inField(field, server.Validate(present))
}

func maskPaths(field string, sent proto.Message, mask *fieldmaskpb.FieldMask) ([]string, error) {
	m := sent.ProtoReflect()
	fields := m.Descriptor().Fields()
	var paths []string
	switch given := mask.GetPaths(); {
	case len(given) == 0, slices.Equal(given, []string{"*"}):
		for i := range fields.Len() {
			if f := fields.Get(i); mutable(f) && (len(given) > 0 || m.Has(f)) {
				paths = append(paths, string(f.Name()))
			}
		}
		return paths, nil
	default:
		for _, path := range given {
			if path == etagField {
				continue
			}
			top, _, _ := strings.Cut(path, ".")
			f := fields.ByName(protoreflect.Name(top))
			if f == nil || !(&fieldmaskpb.FieldMask{Paths: []string{path}}).IsValid(sent) {
				return nil, fault.BadField("update_mask", "names "+field+"."+clean(path)+", which is no field of the resource")
			}
			if !mutable(f) {
				return nil, fault.BadField("update_mask", "names "+field+"."+clean(path)+", which cannot be changed")
			}
			paths = append(paths, path)
		}
		return paths, nil
	}
}

// clean lets a path into an error text only as far as it looks like one.
func clean(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" || len(path) > 100 {
		return "?"
	}
	return path
}

func mutable(f protoreflect.FieldDescriptor) bool {
	return f.Name() != etagField && !has(f, annotations.FieldBehavior_OUTPUT_ONLY) && !has(f, annotations.FieldBehavior_IDENTIFIER)
}

func has(f protoreflect.FieldDescriptor, b annotations.FieldBehavior) bool {
	behaviors, _ := proto.GetExtension(f.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, b)
}

// copyPath copies one field from src to dst; what src does not have is cleared in dst.
func copyPath(dst, src protoreflect.Message, path []string) {
	f := dst.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	switch {
	case len(path) > 1 && (src.Has(f) || dst.Has(f)):
		copyPath(dst.Mutable(f).Message(), src.Get(f).Message(), path[1:])
	case len(path) > 1:
	case src.Has(f):
		dst.Set(f, src.Get(f))
	default:
		dst.Clear(f)
	}
}

// inField puts the field of the request in front of the fields that a validation of a part of it blames.
func inField(field string, err error) error {
	if err == nil {
		return nil
	}
	f := fault.From(err)
	if f.Kind() != fault.Invalid {
		return err
	}
	violations := make([]fault.Violation, 0, len(f.Violations()))
	parts := make([]string, 0, len(f.Violations()))
	for _, v := range f.Violations() {
		v.Field = strings.TrimSuffix(field+"."+v.Field, ".")
		violations = append(violations, v)
		parts = append(parts, v.Field+": "+v.Description)
	}
	return fault.New(fault.Invalid, f.Reason(), "The request is not valid: "+strings.Join(parts, "; ")+".").WithViolations(violations)
}
