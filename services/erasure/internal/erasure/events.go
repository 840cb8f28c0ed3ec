package erasure

import (
	"fmt"
	"regexp"
	"strconv"
)

// maxDetail bounds what one event says; a system with more datasets is summed up.
const maxDetail = 40

// What the audit log takes (ReportedEvent in the proto). A name with a space, an @ or a Danish letter does not fit, so that no
// person's name and no address ever does; the names of a data map may hold all of these.
var (
	namePattern   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,58}$`)
	placePattern  = regexp.MustCompile(`^dataset-[0-9]+$`)
	reasonPattern = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`)
)

// word names a dataset of a system in an event: by its name where that fits, otherwise by its place in the plan, from 1.
func (p Plan) word(system, dataset string) string {
	if namePattern.MatchString(dataset) && !placePattern.MatchString(dataset) {
		return dataset
	}
	n := 0
	for _, i := range p.Items {
		if i.System != system {
			continue
		}
		n++
		if i.Dataset == dataset {
			return fmt.Sprintf("dataset-%d", n)
		}
	}
	return ""
}

// reasonWord keeps what an event may say as its reason; a reason from outside that is no such word is not repeated.
func reasonWord(reason string) string {
	if reason == "" || reasonPattern.MatchString(reason) {
		return reason
	}
	return "INTERNAL"
}

// outcomeDetail says what a system did, dataset by dataset: rows found/erased/anonymised/kept/unchanged.
func (p Plan) outcomeDetail(s SystemProgress, outcome []DatasetOutcome) map[string]string {
	detail := map[string]string{"system": s.System, "attempt": strconv.Itoa(s.Attempts)}
	if len(outcome) > maxDetail {
		detail["datasets"] = strconv.Itoa(len(outcome))
		return detail
	}
	for _, o := range outcome {
		detail["rows."+p.word(s.System, o.Dataset)] = fmt.Sprintf("%d/%d/%d/%d/%d", o.Located, o.Erased, o.Anonymised, o.Kept, o.Unchanged)
	}
	return detail
}

// residualDetail names what is left as system/dataset/rows; the rest is in the erasure itself.
func (p Plan) residualDetail(residuals []Residual) map[string]string {
	detail := map[string]string{"residuals": strconv.Itoa(len(residuals))}
	for i, r := range residuals[:min(len(residuals), maxDetail)] {
		detail[fmt.Sprintf("residual.%d", i+1)] = r.System + "/" + p.word(r.System, r.Dataset) + "/" + count(r.Count)
	}
	return detail
}

func count(n int64) string { return strconv.FormatInt(n, 10) }
