package consent

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/privacyops/privacyops/libs/fault"
)

// ETag names one version of one resource (AIP-154). It is a hash of name and version, so that a tag of another resource
// never fits.
func (c Controller) ETag() string { return etag(c.Version, "controller", string(c.ID)) }

// ETag names one version of one resource (AIP-154).
func (a Activity) ETag() string {
	return etag(a.Version, "activity", string(a.Controller), string(a.ID))
}

// ETag names one version of one resource (AIP-154).
func (s System) ETag() string { return etag(s.Version, "system", string(s.Controller), string(s.ID)) }

func etag(version int64, name ...string) string {
	// Ids hold no slash, so the joined text is unambiguous.
	sum := sha256.Sum256([]byte(strings.Join(name, "/") + "/" + strconv.FormatInt(version, 10)))
	return hex.EncodeToString(sum[:12])
}

// MatchETag refuses a change that was made looking at another version than the present one. An empty tag is no
// condition. The fault is Aborted with reason ETAG_MISMATCH.
func MatchETag(sent, present string) error {
	if sent == "" || sent == present {
		return nil
	}
	return fault.New(fault.Aborted, "ETAG_MISMATCH", "The resource was changed meanwhile. Read it again, repeat the change on what you read, and send its etag.")
}
