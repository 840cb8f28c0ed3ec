package audit

import "fmt"

// Bounds of a batch. The leaf's own bound is met first, by some hundreds of decisions.
const (
	// MaxDecisions is how many decisions one event may stand for.
	MaxDecisions = 2000
	// maxOffset is how far a decision's time may be from its event's, in microseconds: an hour.
	maxOffset = 3600 * 1_000_000
	// maxActivity is how long an activity may be, so that its resource name keeps its bound.
	maxActivity = 200
)

// validateBatch checks an event that stands for decisions, beyond what holds for every event.
func (e Event) validateBatch() error {
	switch {
	case e.Controller == "":
		return &FieldError{"controller", "must be set: decisions are some controller's"}
	case e.Action != DecisionAction:
		return &FieldError{"action", "must be " + DecisionAction + " where there are decisions"}
	case e.Kind != KindDecision:
		return &FieldError{"kind", "must be DECISION where there are decisions"}
	case e.Outcome != OutcomeOK || e.Reason != "":
		return &FieldError{"outcome", "must be OK, without a reason, where there are decisions"}
	case e.Actor.Kind != ActorService || e.Actor.Ref != e.Service:
		return &FieldError{"actor", "must be the reporting service where there are decisions"}
	case len(e.SubjectRefs)+len(e.People)+len(e.Sealed) > 0:
		return &FieldError{"subject_refs", "must be empty: the decisions name people themselves"}
	case !e.detailIsCount():
		return &FieldError{"detail", `must hold nothing but the "count" of the decisions`}
	}
	return e.Batch.validate()
}

func (e Event) detailIsCount() bool {
	count, has := e.Detail["count"]
	return len(e.Detail) == 0 || len(e.Detail) == 1 && has && count == fmt.Sprint(len(e.Batch.Decisions))
}

func (b *Batch) validate() error {
	if n := len(b.Decisions); n == 0 || n > MaxDecisions {
		return &FieldError{"decisions.decisions", fmt.Sprintf("must hold 1 to %d decisions", MaxDecisions)}
	}
	for i, a := range b.Actors {
		if a.validate() != nil {
			return &FieldError{fmt.Sprintf("decisions.actors[%d]", i), "must be the pseudonymous reference and the roles of a known kind of actor"}
		}
	}
	for i, s := range b.Texts {
		if !validText(s) {
			return &FieldError{fmt.Sprintf("decisions.texts[%d]", i), "must be an id or a code: no spaces, no e-mail address, no name, at most 512 characters"}
		}
	}
	seen := make(map[[16]byte]struct{}, len(b.Decisions))
	for i := range b.Decisions {
		d := &b.Decisions[i]
		field, problem := b.check(d)
		if field == "" {
			if _, again := seen[[16]byte(d.ID)]; again {
				field, problem = "id", "must differ from those of the other decisions"
			}
		}
		if field != "" {
			return &FieldError{fmt.Sprintf("decisions.decisions[%d].%s", i, field), problem}
		}
		seen[[16]byte(d.ID)] = struct{}{}
	}
	return nil
}

// check returns the first field of a decision that breaks a rule, and the rule.
func (b *Batch) check(d *Decision) (field, problem string) {
	switch {
	case !validUUID(d.ID):
		return "id", "must be a UUID of 16 bytes"
	case int64(d.Actor) >= int64(len(b.Actors)):
		return "actor", "must be a place in actors"
	case d.Offset < -maxOffset || d.Offset > maxOffset:
		return "offset_micros", "must be within an hour of the event"
	case len(d.Trace) != 0 && (len(d.Trace) != 16 || [16]byte(d.Trace) == [16]byte{}):
		return "trace_id", "must be 16 bytes that are not all zero, or empty"
	case len(d.SubjectRefs) > MaxSubjectRefs:
		return "subject_refs", fmt.Sprintf("must hold at most %d pseudonyms", MaxSubjectRefs)
	case !b.hasText(d.Activity) || !activityAlphabet.spells(b.Texts[d.Activity], 1, maxActivity):
		return "activity", "must be the place in texts of an activity's id"
	case d.Version < 0:
		return "version", "must not be negative"
	case !b.hasText(d.Reason) || b.Texts[d.Reason] == "":
		return "reason", "must be the place in texts of a reason"
	case d.Recipient > 0 && (!b.hasText(d.Recipient-1) || b.Texts[d.Recipient-1] == ""):
		return "recipient", "must be the place in texts of a recipient, plus one, or 0"
	case len(d.Consent) != 0 && !validUUID(d.Consent):
		return "consent", "must be a UUID of 16 bytes, or empty"
	}
	if !ascending(d.People) || len(d.People) > MaxSubjectRefs || len(d.People) > 0 && len(d.SubjectRefs) > 0 {
		return "people", "must hold the keys of people in ascending order, in place of pseudonyms"
	}
	for _, r := range d.SubjectRefs {
		if !validRef(string(r)) {
			return "subject_refs", "must hold pseudonyms, at most 128 characters each"
		}
	}
	return "", ""
}

func (b *Batch) hasText(place uint32) bool { return int64(place) < int64(len(b.Texts)) }

// validUUID says of 16 bytes what validID says of their text.
func validUUID(id []byte) bool {
	return len(id) == 16 && id[6]>>4 >= 1 && id[6]>>4 <= 8 && id[8]>>6 == 0b10
}
