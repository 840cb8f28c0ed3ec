package edge

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/privacyops/privacyops/gateway/internal/problem"
	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/fault"
)

const (
	// MaxHeaderBytes bounds the headers of a request.
	MaxHeaderBytes = 16 << 10
	// maxHeaderFields bounds their number.
	maxHeaderFields = 100
)

// errToken is the answer to every request whose token is missing or bad, whatever is wrong with it.
var errToken = fault.New(fault.Unauthenticated, "TOKEN_INVALID",
	"A valid access token is needed: send it once, as “Authorization: Bearer …”.")

// authenticate tells the caller by the request's one token.
func authenticate(r *http.Request, v *access.Verifier) (caller access.Caller, token string, err error) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return access.Caller{}, "", errToken
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return access.Caller{}, "", errToken
	}
	caller, err = v.Verify(r.Context(), token)
	if err != nil && fault.From(err).Kind() == fault.Unauthenticated {
		return access.Caller{}, "", errToken.Because(err)
	}
	return caller, token, err
}

// checkForm refuses requests that no client of an interface like this sends.
func checkForm(r *http.Request) error {
	size, fields := 0, 0
	for name, values := range r.Header {
		for _, v := range values {
			size, fields = size+len(name)+len(v)+len(": \r\n"), fields+1
		}
	}
	switch {
	case size > MaxHeaderBytes || fields > maxHeaderFields:
		return problem.Refuse(http.StatusRequestHeaderFieldsTooLarge, fault.Exhausted, "HEADERS_TOO_LARGE",
			"The headers are larger than 16 KiB, or more than 100.")
	case r.URL.Host != "" || r.URL.Scheme != "":
		return problem.Refuse(http.StatusBadRequest, fault.Invalid, "PATH_INVALID", "This is no proxy: send the path alone.")
	case !r.ProtoAtLeast(1, 1):
		return problem.Refuse(http.StatusHTTPVersionNotSupported, fault.Invalid, "HTTP_VERSION", "HTTP/1.1 or newer is needed.")
	case !plainEncoding(r.Header.Values("Content-Encoding")):
		return problem.Refuse(http.StatusUnsupportedMediaType, fault.Invalid, "ENCODING_UNSUPPORTED",
			"Bodies are taken as they are, not compressed.")
	}
	return nil
}

func plainEncoding(values []string) bool {
	return !slices.ContainsFunc(values, func(v string) bool { return v != "" && !strings.EqualFold(v, "identity") })
}

// client is the address that a request comes from: the connection's, or where that is a trusted proxy's the last one in
// X-Forwarded-For that is not. What a client puts there itself stands further left and is never reached.
func client(r *http.Request, trusted []netip.Prefix) string {
	addr := hostOf(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if !within(addr, trusted) || err != nil {
			break
		}
		addr = next.Unmap()
	}
	return addr.String()
}

func hostOf(address string) netip.Addr {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func within(addr netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}
