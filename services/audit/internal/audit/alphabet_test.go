package audit

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// TestForms compares what is checked byte by byte with the expressions that say the same, on texts that fit and on such texts with a
// byte more, less or other.
func TestForms(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]struct {
		pattern string
		valid   func(string) bool
	}{
		"id":         {`^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, func(s string) bool { return validID(EventID(s)) }},
		"controller": {`^([a-z0-9][a-z0-9-]{0,62})?$`, func(s string) bool { return validController(ControllerID(s)) }},
		"service":    {`^[a-z][a-z0-9-]{0,62}$`, validService},
		"role":       {`^[a-z][a-z0-9_-]{0,31}$`, validRole},
		"action":     {`^[a-z_]{1,40}\.[a-z_]{1,40}$`, validAction},
		"resource":   {`^([A-Za-z0-9._~:/-]{1,300})?$`, validResource},
		"reason":     {`^([A-Z][A-Z0-9_]{0,63})?$`, validReason},
		"trace":      {`^(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})?$`, validTrace},
		"digest":     {`^([0-9a-f]{64})?$`, validDigest},
		"detail key": {`^[a-z][A-Za-z0-9_.-]{0,63}$`, validDetailKey},
		"reference":  {`^[A-Za-z0-9._:~+/=-]{1,128}$`, validRef},
	} {
		expression, both := regexp.MustCompile(form.pattern), [2]int{}
		rapid.Check(t, func(t *rapid.T) {
			s := []byte(rapid.StringMatching(form.pattern).Draw(t, name))
			at := rapid.IntRange(0, len(s)).Draw(t, "at")
			other := rapid.SampledFrom([]byte("aAfgzZ09-_.~:/+= @\"\n\x00\xc3")).Draw(t, "other")
			switch change := rapid.SampledFrom([]string{"none", "more", "less", "other", "much more"}).Draw(t, "change"); {
			case change == "more":
				s = append(s[:at:at], append([]byte{other}, s[at:]...)...)
			case change == "less" && at < len(s):
				s = append(s[:at], s[at+1:]...)
			case change == "other" && at < len(s):
				s[at] = other
			case change == "much more":
				for len(s) < 400 && rapid.IntRange(0, 30).Draw(t, "on") > 0 {
					s = append(s, s...)
				}
			}
			want := expression.Match(s)
			if got := form.valid(string(s)); got != want {
				t.Fatalf("%s: %q is valid: %t, the expression says %t", name, s, got, want)
			}
			if want {
				both[0]++
			} else {
				both[1]++
			}
		})
		if both[0] == 0 || both[1] == 0 {
			t.Errorf("%s: %d texts fitted and %d did not", name, both[0], both[1])
		}
	}
}
