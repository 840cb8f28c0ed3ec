package audit

import "strings"

// alphabet is a set of bytes. There may be thousands of decisions a second, and each string of an event is checked when it comes and
// when its leaf is read: too many for regular expressions, which the tests compare the functions below with.
type alphabet [256]bool

// The alphabets. None holds a space, "@", a quote or a letter beyond ASCII, so no name and no e-mail address fits.
const (
	capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	letters  = "abcdefghijklmnopqrstuvwxyz"
	digits   = "0123456789"
)

var (
	refAlphabet      = alphabetOf(capitals + letters + digits + "._:~+/=-")
	textAlphabet     = alphabetOf(capitals + letters + digits + "._:~/+=,-")
	activityAlphabet = alphabetOf(capitals + letters + digits + "._~:-")
	resourceAlphabet = alphabetOf(capitals + letters + digits + "._~:/-")
	detailAlphabet   = alphabetOf(capitals + letters + digits + "_.-")
	reasonAlphabet   = alphabetOf(capitals + digits + "_")
	roleAlphabet     = alphabetOf(letters + digits + "_-")
	nameAlphabet     = alphabetOf(letters + digits + "-")
	plainAlphabet    = alphabetOf(letters + digits)
	verbAlphabet     = alphabetOf(letters + "_")
	letterAlphabet   = alphabetOf(letters)
	capitalAlphabet  = alphabetOf(capitals)
	hexAlphabet      = alphabetOf(digits + "abcdef")
)

func alphabetOf(chars string) *alphabet {
	var a alphabet
	for _, c := range []byte(chars) {
		a[c] = true
	}
	return &a
}

// spells reports whether s consists of the alphabet's bytes and is from least to most long.
func (a *alphabet) spells(s string, least, most int) bool {
	if len(s) < least || len(s) > most {
		return false
	}
	for i := range len(s) {
		if !a[s[i]] {
			return false
		}
	}
	return true
}

// begins reports whether s is a word of the alphabet's bytes that begins with one of another's.
func (a *alphabet) begins(first *alphabet, s string, most int) bool {
	return a.spells(s, 1, most) && first[s[0]]
}

const (
	maxRef  = 128
	maxText = 512
)

// validRef reports whether s can be a pseudonymous reference.
func validRef(s string) bool { return refAlphabet.spells(s, 1, maxRef) }

// validText reports whether s can be the value of a detail or a text of a batch.
func validText(s string) bool { return textAlphabet.spells(s, 0, maxText) && !isCivil(s) }

// isCivil recognises the written form of a Danish personal number.
func isCivil(s string) bool {
	if len(s) != 11 || s[6] != '-' {
		return false
	}
	for i := range len(s) {
		if i != 6 && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

// validID reports whether an id is a UUID in lower case, of a version that there is.
func validID(id EventID) bool {
	raw, ok := id.binary()
	return ok && validUUID(raw[:])
}

func validController(c ControllerID) bool {
	return c == "" || nameAlphabet.begins(plainAlphabet, string(c), 63)
}

func validService(s string) bool { return nameAlphabet.begins(letterAlphabet, s, 63) }

func validRole(s string) bool { return roleAlphabet.begins(letterAlphabet, s, 32) }

func validAction(s string) bool {
	noun, verb, _ := strings.Cut(s, ".")
	return verbAlphabet.spells(noun, 1, 40) && verbAlphabet.spells(verb, 1, 40)
}

func validResource(s string) bool { return resourceAlphabet.spells(s, 0, 300) }

func validReason(s string) bool { return s == "" || reasonAlphabet.begins(capitalAlphabet, s, 64) }

func validDigest(s string) bool { return s == "" || hexAlphabet.spells(s, 64, 64) }

func validDetailKey(s string) bool { return detailAlphabet.begins(letterAlphabet, s, 64) }

// validTrace reports whether s is a W3C trace context of version 00, or empty.
func validTrace(s string) bool {
	return s == "" || len(s) == traceParentLength && s[:3] == "00-" && s[35] == '-' && s[52] == '-' &&
		hexAlphabet.spells(s[3:35], 32, 32) && hexAlphabet.spells(s[36:52], 16, 16) && hexAlphabet.spells(s[53:], 2, 2)
}
