// Package documents prints the register of processing for people and authorities.
//
// There are three documents, each a pure function of one [Register]:
//
//   - [Notice] tells pupils, or those who hold parental responsibility, what is done with their data (GDPR art. 13 and 14), in
//     plain words.
//   - [RecordOfProcessing] is the record of the controller (art. 30(1)) or of its processors (art. 30(2)).
//   - [ImpactAssessmentInput] holds the facts that an impact assessment starts from (art. 35(7)(a)), and no verdict.
//
// # What they say
//
// They say what the register says. What it does not say is named as missing, in the reader's words, and never guessed: a notice
// that sounds complete and is not would keep people from asking.
//
// # How they are made
//
// A notice is a page of headings, sentences and facts, and one page is printed as Markdown and as HTML, so both say the same.
// Every value of the register is text: it is escaped where it is printed, and no link is ever made from one.
package documents

import (
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// Register is what one controller has registered, read at one moment.
type Register struct {
	// Controller is who decides (GDPR art. 4(7)).
	Controller consent.Controller
	// Activities in their newest version, archived ones too, in the order in which they are printed.
	Activities []consent.Activity
	// Versions of each activity, the first in front, for its record of processing.
	Versions map[consent.ActivityID][]Version
	// Systems in the order in which they are printed.
	Systems []consent.System
	// Made is the day of the reading, in the controller's time zone.
	Made clock.Date
}

// Version says who made a version of an activity, and when.
type Version struct {
	// Number counts from 1.
	Number int64
	// Author is the pseudonymous reference of who made it.
	Author consent.ActorRef
	Time   time.Time
}

// Document is a printed document.
type Document struct {
	// ContentType is its media type, with the character set.
	ContentType string
	// Body is UTF-8.
	Body []byte
}

// Language of a document.
type Language string

// The languages.
const (
	Danish  Language = "da"
	English Language = "en"
)

// Format of a document.
type Format string

// The formats. Not every document has all of them.
const (
	Markdown Format = "md"
	HTML     Format = "html"
	CSV      Format = "csv"
	JSON     Format = "json"
)

// Audience is whom a notice speaks to.
type Audience int

// The audiences.
const (
	// Subject is the person themselves, who may be a child.
	Subject Audience = iota
	// Guardian is who holds parental responsibility for the person.
	Guardian
)

// Perspective is whose record of processing it is.
type Perspective int

// The perspectives.
const (
	// OfController is the record of GDPR art. 30(1).
	OfController Perspective = iota
	// OfProcessor is the record of art. 30(2).
	OfProcessor
)

const (
	typeMarkdown = "text/markdown; charset=utf-8"
	typeHTML     = "text/html; charset=utf-8"
	typeCSV      = "text/csv; charset=utf-8"
	typeJSON     = "application/json"
	typeJSONLD   = "application/ld+json"
)

// noFormat is the fault for a format that the document does not have.
func noFormat() error {
	return fault.BadField("format", "is none that this document is printed in")
}

// active are the activities that cover processing.
func (r Register) active() []consent.Activity {
	var out []consent.Activity
	for _, a := range r.Activities {
		if !a.Archived {
			out = append(out, a)
		}
	}
	return out
}

// system finds a system by its id.
func (r Register) system(id consent.SystemID) (consent.System, bool) {
	for _, s := range r.Systems {
		if s.ID == id {
			return s, true
		}
	}
	return consent.System{}, false
}
