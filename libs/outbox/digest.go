package outbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gowebpki/jcs"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// errNoKey: a digest without a key could be guessed.
var errNoKey = errors.New("outbox: a digest of a resource needs the keyring")

// digested replaces the resource before and after a change by their digests.
//
// All are keyed, those of register entries too: a controller's contact is a person, an erasure holds pseudonyms, and which field of
// which resource may ever name somebody is a question that nobody should have to answer rightly. So a digest serves to compare: where
// one event of a resource ends and the next begins, the digests are the same, or something happened in between that the log does not
// have. It is no means to try out what the resource said.
func (o *Outbox) digested(e Event) (Event, error) {
	for _, side := range []struct {
		resource any
		digest   *string
	}{{e.Before, &e.BeforeDigest}, {e.After, &e.AfterDigest}} {
		if side.resource == nil {
			continue
		}
		if o.cfg.Keyring == nil {
			return e, errNoKey
		}
		text, err := canonical(side.resource)
		if err != nil {
			return e, fmt.Errorf("outbox: digest of %s: %w", e.Action, err)
		}
		mac := hmac.New(sha256.New, o.cfg.Keyring.Derive("audit/resource/"+e.Controller))
		mac.Write(text)
		*side.digest = hex.EncodeToString(mac.Sum(nil))
	}
	return e, nil
}

// canonical writes a resource as canonical JSON (RFC 8785): a message in its JSON form, anything else as encoding/json writes it.
func canonical(resource any) (text []byte, err error) {
	if m, ok := resource.(proto.Message); ok {
		text, err = protojson.Marshal(m)
	} else {
		text, err = json.Marshal(resource)
	}
	if err != nil {
		return nil, err
	}
	return jcs.Transform(text)
}
