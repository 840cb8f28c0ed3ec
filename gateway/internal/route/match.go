package route

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/privacyops/privacyops/gateway/internal/problem"
	"github.com/privacyops/privacyops/libs/fault"
)

const (
	maxPath = 2048
	maxID   = 63
)

var (
	// id is the form of every id in a path, made by clients or by the suite.
	id = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	// tail is the form of the segments below a capture of the rest: tiles and the files of the reference page.
	tail = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
)

var (
	errPath = problem.Refuse(http.StatusBadRequest, fault.Invalid, "PATH_INVALID",
		"The path is not valid: ids are lower-case letters, digits and hyphens, at most 63, and nothing is escaped.")
	errRoute = problem.Refuse(http.StatusNotFound, fault.NotFound, "ROUTE_NOT_FOUND",
		"There is nothing at this path; /openapi.json lists all paths.")
)

// Match finds the route of a method and an escaped path ([net/url.URL.EscapedPath]). The error is a refusal: 400 for a path
// that no client means, 404, or 405 with the methods that are allowed.
func (t *Table) Match(method, path string) (*Match, error) {
	for _, r := range t.routes {
		if r.Kind == Page && r.Template == path && r.Method == method {
			return &Match{Route: r}, nil
		}
	}
	parts, err := split(path)
	if err != nil {
		return nil, err
	}
	last := len(parts) - 1
	head, verb, hasVerb := strings.Cut(parts[last], ":")
	if hasVerb && (verb == "" || head == "") {
		return nil, errRoute
	}
	plain := append(slices.Clone(parts[:last]), head)
	name := strings.Join(plain[min(1, last):], "/")
	var allow []string
	for _, r := range t.routes {
		params, ok := r.fits(plain, verb)
		switch {
		case !ok:
		case r.Method == method:
			return &Match{Route: r, Params: params, Name: name}, r.check(params)
		default:
			allow = append(allow, r.Method)
		}
	}
	if len(allow) > 0 {
		return nil, notAllowed(allow)
	}
	return nil, errRoute
}

func notAllowed(allow []string) error {
	r := problem.Refuse(http.StatusMethodNotAllowed, fault.Invalid, "METHOD_NOT_ALLOWED",
		"This path does not take this method; the header Allow lists those it takes.")
	slices.Sort(allow)
	r.Allow = strings.Join(slices.Compact(allow), ", ")
	return r
}

// split takes a path apart and refuses what could be read in two ways.
func split(path string) ([]string, error) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok || len(path) > maxPath {
		return nil, errPath
	}
	parts := strings.Split(rest, "/")
	for i, p := range parts {
		if err := checkSegment(p, i == len(parts)-1); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func checkSegment(p string, last bool) error {
	plain, err := url.PathUnescape(p)
	switch {
	case p == "" && last:
		return errRoute // a trailing slash names nothing
	case strings.Contains(strings.ToLower(p), "%2f"):
		return errRoute
	case p == "", err != nil, !utf8.ValidString(plain), strings.Contains(plain, "%"), strings.ContainsFunc(plain, unicode.IsControl):
		return errPath
	case strings.Trim(plain, ".") == "":
		return errPath
	case plain != p:
		return errRoute // nothing that exists needs escaping
	}
	return nil
}

// fits compares a path with the template, all but the form of the captures.
func (r *Route) fits(parts []string, verb string) (params []string, ok bool) {
	if n := len(r.segments); verb != r.verb || len(parts) < n || (len(parts) > n && !r.segments[n-1].rest) {
		return nil, false
	}
	for i, s := range r.segments {
		switch {
		case s.rest:
			return append(params, parts[i:]...), true
		case s.capture != "":
			params = append(params, parts[i])
		case s.literal != parts[i]:
			return nil, false
		}
	}
	return params, true
}

// check looks at the captures. An id of another form names nothing; one that is too long is refused before anybody has to
// look for it.
func (r *Route) check(params []string) error {
	rest := r.segments[len(r.segments)-1].rest
	for _, p := range params {
		switch {
		case rest && !tail.MatchString(p):
			return errRoute
		case !rest && len(p) > maxID:
			return errPath
		case !rest && !id.MatchString(p):
			return fault.Missing()
		}
	}
	return nil
}
