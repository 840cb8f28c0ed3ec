package logcheck

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// leafMembers are the members of a leaf that the check needs. Others are not looked at, so that a later form of leaf passes too.
type leafMembers struct {
	Schema             string    `json:"schema"`
	Controller         string    `json:"controller"`
	ControllerSequence uint64    `json:"controllerSequence"`
	ReceivedTime       time.Time `json:"receivedTime"`
}

// schemaPrefix opens the schema of every leaf of an audit log, numberedPrefix that of those with a number.
const (
	schemaPrefix   = "privacyops.audit."
	numberedPrefix = "privacyops.audit.entry."
)

// stamp is what the check remembers of an entry.
type stamp struct {
	controller string
	number     uint64 // 0: the leaf is of a kind that has none
	received   time.Time
}

// stampOf reads a leaf. The problem is empty when it is one.
func stampOf(entry []byte) (s stamp, problem string) {
	var l leafMembers
	switch err := json.Unmarshal(entry, &l); {
	case err != nil:
		return stamp{}, "the entry is no JSON object with the members of a leaf"
	case !strings.HasPrefix(l.Schema, schemaPrefix):
		return stamp{}, "the entry is no leaf of an audit log"
	case l.ReceivedTime.IsZero():
		return stamp{}, "the entry has no time of receipt"
	case !strings.HasPrefix(l.Schema, numberedPrefix):
		return stamp{received: l.ReceivedTime}, ""
	case l.ControllerSequence == 0:
		return stamp{}, "the entry has no number among its controller's"
	}
	return stamp{controller: l.Controller, number: l.ControllerSequence, received: l.ReceivedTime}, ""
}

// numbers follows each controller's numbers.
type numbers struct {
	last      map[string]uint64
	continued bool // the first numbers need not be 1
}

// next takes the next entry's number. The problem is empty when it is the one that was due.
func (n *numbers) next(s stamp) (problem string) {
	if s.number == 0 {
		return ""
	}
	last, seen := n.last[s.controller]
	n.last[s.controller] = s.number
	if s.number == last+1 || (!seen && n.continued) {
		return ""
	}
	return fmt.Sprintf("the controller's entry has number %d where %d was due", s.number, last+1)
}
