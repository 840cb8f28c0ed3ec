package rest

import (
	"fmt"
	"regexp"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/privacyops/privacyops/libs/fault"
)

// What protojson says, as far as a caller may hear it. Its texts repeat values of the request; only the position, and names
// that the proto or a plain word give, are taken from them.
var (
	position     = regexp.MustCompile(`\(line (\d+):(\d+)\)`)
	unknownField = regexp.MustCompile(`unknown field "([A-Za-z][A-Za-z0-9_]{0,39})"`)
	twice        = regexp.MustCompile(`duplicate (field|map key)`)
	wrongValue   = regexp.MustCompile(`invalid value for (\w+) field (\w+):`)
)

// decode reads exactly one JSON object into the message: no unknown and no repeated fields, nothing after it.
//
// The translator behind would decode with the same strictness but for what follows the object, and loses which field was
// wrong; it is given the message (see marshaler).
func decode(data []byte, into proto.Message) error {
	err := protojson.UnmarshalOptions{}.Unmarshal(data, into)
	if err == nil {
		return checkLengths(into.ProtoReflect())
	}
	text := err.Error()
	where := ""
	if p := position.FindStringSubmatch(text); p != nil {
		where = " (line " + p[1] + ", column " + p[2] + ")"
	}
	if f := unknownField.FindStringSubmatch(text); f != nil {
		return fault.BadField(f[1], "unknown field"+where).Because(err)
	}
	if f := wrongValue.FindStringSubmatch(text); f != nil {
		return fault.BadField(f[2], "not a valid "+f[1]+where).Because(err)
	}
	what := "it is not one JSON object with the fields of this call"
	if twice.MatchString(text) {
		what = "a field comes twice"
	}
	return fault.New(fault.Invalid, "JSON_INVALID", "The body is not valid: "+what+where+".").Because(err)
}

// maxItems bounds every list and map of a request. A service looks at each item before it refuses the list, and names each
// that is wrong.
const maxItems = 1000

// checkLengths refuses longer lists and maps.
func checkLengths(m protoreflect.Message) (err error) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		n := 0
		switch {
		case f.IsList():
			n = v.List().Len()
			for i := 0; f.Message() != nil && i < min(n, maxItems) && err == nil; i++ {
				err = checkLengths(v.List().Get(i).Message())
			}
		case f.IsMap():
			n = v.Map().Len()
		case f.Message() != nil:
			err = checkLengths(v.Message())
		}
		if n > maxItems {
			err = fault.BadField(f.JSONName(), fmt.Sprintf("more than %d items", maxItems))
		}
		return err == nil
	})
	return err
}
