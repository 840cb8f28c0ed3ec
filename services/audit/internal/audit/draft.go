package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"strconv"
	"time"
)

// draft is an event on its way to become an entry. Its leaf is written but for the two stamps, which are known late and one entry
// after the other; so all that takes time is done before, by each caller for itself.
type draft struct {
	event Event
	// leaf without its stamps, which belong at the places sequence and received.
	leaf               []byte
	sequence, received int
	digest             [sha256.Size]byte
}

// The stamps as they stand in a leaf. Before controllerSequence a leaf has no object with keys of the reporter's choice, and
// behind receivedTime none either: the first and the last of these texts are the stamps.
const (
	draftSequence = `"controllerSequence":1,`
	draftReceived = `"receivedTime":"2000-01-01T00:00:00.000000Z",`
)

var draftTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// stampsLength is how much the longest stamps add to a leaf.
const stampsLength = len(`"controllerSequence":9007199254740991,`) + len(draftReceived)

// newDraft checks an event, which is canonical, and writes its leaf.
func newDraft(e Event) (*draft, *FieldError) {
	if err := e.Validate(); err != nil {
		return nil, fieldError(err)
	}
	l := eventLeaf(e)
	l.ControllerSequence, l.ReceivedTime = 1, draftTime.Format(timeLayout)
	raw, err := json.Marshal(l)
	if err != nil {
		return nil, fieldError(err)
	}
	sequence, received := bytes.Index(raw, []byte(draftSequence)), bytes.LastIndex(raw, []byte(draftReceived))
	if sequence < 0 || received < sequence {
		return nil, &FieldError{"event", "has no canonical JSON form"}
	}
	raw = append(raw[:received], raw[received+len(draftReceived):]...)
	raw = append(raw[:sequence], raw[sequence+len(draftSequence):]...)
	d := &draft{event: e, leaf: raw, sequence: sequence, received: received - len(draftSequence), digest: sha256.Sum256(raw)}
	if e.IsSealed() { // known again by its open part
		if d.digest, err = e.Digest(); err != nil {
			return nil, fieldError(err)
		}
	}
	return d, d.tooLong()
}

func (d *draft) tooLong() *FieldError {
	return d.event.fits(len(d.leaf) + stampsLength)
}

// stamped returns the leaf of the entry that the event becomes: what Entry.Leaf returns.
func (d *draft) stamped(sequence uint64, received time.Time) []byte {
	out := make([]byte, 0, len(d.leaf)+stampsLength)
	out = append(out, d.leaf[:d.sequence]...)
	out = append(out, `"controllerSequence":`...)
	out = strconv.AppendUint(out, sequence, 10)
	out = append(out, ',')
	out = append(out, d.leaf[d.sequence:d.received]...)
	out = append(out, `"receivedTime":"`...)
	out = received.UTC().AppendFormat(out, timeLayout)
	out = append(out, `",`...)
	return append(out, d.leaf[d.received:]...)
}
