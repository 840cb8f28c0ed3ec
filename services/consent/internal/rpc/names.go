package rpc

import (
	"regexp"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// Resource names are checked here again although the contract has their patterns: a resource inside an update is not
// validated before it is merged, and a name that slipped through must not reach another controller's rows.
const (
	idForm   = `[a-z0-9][a-z0-9-]{0,62}`
	uuidForm = `[0-9a-f-]{36}`
)

var (
	controllerForm = regexp.MustCompile(`^controllers/(` + idForm + `)$`)
	activityForm   = regexp.MustCompile(`^controllers/(` + idForm + `)/activities/(` + idForm + `)$`)
	systemForm     = regexp.MustCompile(`^controllers/(` + idForm + `)/systems/(` + idForm + `)$`)
	consentForm    = regexp.MustCompile(`^controllers/(` + idForm + `)/consents/(` + uuidForm + `)$`)
	objectionForm  = regexp.MustCompile(`^controllers/(` + idForm + `)/objections/(` + uuidForm + `)$`)
	restrictForm   = regexp.MustCompile(`^controllers/(` + idForm + `)/restrictions/(` + uuidForm + `)$`)
	erasureForm    = regexp.MustCompile(`^controllers/(` + idForm + `)/erasures/(` + uuidForm + `)$`)
)

// parse takes the ids out of a name; field is what to blame when there are none.
func parse(form *regexp.Regexp, field, name string) ([]string, error) {
	m := form.FindStringSubmatch(name)
	if m == nil {
		return nil, fault.BadField(field, "is no resource name of this kind")
	}
	return m[1:], nil
}

func parseController(field, name string) (consent.ControllerID, error) {
	ids, err := parse(controllerForm, field, name)
	if err != nil {
		return "", err
	}
	return consent.ControllerID(ids[0]), nil
}

func parseActivity(field, name string) (consent.ControllerID, consent.ActivityID, error) {
	ids, err := parse(activityForm, field, name)
	if err != nil {
		return "", "", err
	}
	return consent.ControllerID(ids[0]), consent.ActivityID(ids[1]), nil
}

func parseSystem(field, name string) (consent.ControllerID, consent.SystemID, error) {
	ids, err := parse(systemForm, field, name)
	if err != nil {
		return "", "", err
	}
	return consent.ControllerID(ids[0]), consent.SystemID(ids[1]), nil
}

func parseConsent(field, name string) (consent.ControllerID, consent.ConsentID, error) {
	ids, err := parse(consentForm, field, name)
	if err != nil {
		return "", "", err
	}
	return consent.ControllerID(ids[0]), consent.ConsentID(ids[1]), nil
}

func parseObjection(field, name string) (consent.ControllerID, consent.ObjectionID, error) {
	ids, err := parse(objectionForm, field, name)
	if err != nil {
		return "", "", err
	}
	return consent.ControllerID(ids[0]), consent.ObjectionID(ids[1]), nil
}

func parseRestriction(field, name string) (consent.ControllerID, consent.RestrictionID, error) {
	ids, err := parse(restrictForm, field, name)
	if err != nil {
		return "", "", err
	}
	return consent.ControllerID(ids[0]), consent.RestrictionID(ids[1]), nil
}

func controllerName(id consent.ControllerID) string { return "controllers/" + string(id) }

func activityName(c consent.ControllerID, id consent.ActivityID) string {
	return controllerName(c) + "/activities/" + string(id)
}

func systemName(c consent.ControllerID, id consent.SystemID) string {
	return controllerName(c) + "/systems/" + string(id)
}

func consentName(c consent.ControllerID, id consent.ConsentID) string {
	return controllerName(c) + "/consents/" + string(id)
}

func objectionName(c consent.ControllerID, id consent.ObjectionID) string {
	return controllerName(c) + "/objections/" + string(id)
}

func restrictionName(c consent.ControllerID, id consent.RestrictionID) string {
	return controllerName(c) + "/restrictions/" + string(id)
}
