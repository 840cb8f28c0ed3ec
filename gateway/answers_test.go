package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/fault"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

const exportPath = "/v1/controllers/skole/exports/" + exportID

// What services say comes out with the right status and its reason, and what they do not say does not come out.
func TestErrorsOfServices(t *testing.T) {
	s := newSuite(t)
	token := s.token("platform", "skole")
	for name, c := range map[string]struct {
		err    error
		status int
		reason string
		retry  string
	}{
		"invalid":            {fault.BadField("activity", "unknown"), 400, "INVALID_ARGUMENT", ""},
		"missing":            {fault.Missing(), 404, "NOT_FOUND", ""},
		"exists":             {fault.New(fault.Exists, "ALREADY_APPROVED", "Once."), 409, "ALREADY_APPROVED", ""},
		"F7 stale plan":      {fault.New(fault.Precondition, "PLAN_HASH_MISMATCH", "Another."), 409, "PLAN_HASH_MISMATCH", ""},
		"F10 under erasure":  {fault.New(fault.Precondition, "EXPORT_UNDER_ERASURE", "Wait."), 409, "EXPORT_UNDER_ERASURE", ""},
		"F9 too late":        {fault.New(fault.Precondition, "ALREADY_STARTED", "Late."), 400, "ALREADY_STARTED", ""},
		"gone":               {fault.New(fault.Gone, "PACKAGE_EXPIRED", "Gone."), 410, "PACKAGE_EXPIRED", ""},
		"aborted":            {fault.New(fault.Aborted, "IN_FLIGHT", "Again."), 409, "IN_FLIGHT", ""},
		"exhausted":          {fault.New(fault.Exhausted, "QUOTA", "Wait.").RetryIn(7 * time.Second), 429, "QUOTA", "7"},
		"unavailable":        {fault.New(fault.Unavailable, "AUDIT_UNAVAILABLE", "Wait.").RetryIn(1500 * time.Millisecond), 503, "AUDIT_UNAVAILABLE", "2"},
		"without a time":     {fault.New(fault.Unavailable, "AWAY", "Wait."), 503, "AWAY", "1"},
		"deadline":           {context.DeadlineExceeded, 504, "DEADLINE_EXCEEDED", ""},
		"W14 driver's words": {errors.New(`pq: duplicate key "anna@skole.dk"`), 500, "INTERNAL", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s.consent.check = func(context.Context, *consentv1.CheckLegalBasisRequest) (*consentv1.Decision, error) {
				return nil, c.err
			}
			a := s.do(call{method: "POST", path: check, body: good, token: token})
			if a.StatusCode != c.status || a.reason(t) != c.reason || a.Header.Get("Retry-After") != c.retry {
				t.Errorf("%d %s, Retry-After %q: %s", a.StatusCode, a.reason(t), a.Header.Get("Retry-After"), a.body)
			}
			if strings.Contains(a.body, "anna") || strings.Contains(a.body, "pq:") {
				t.Errorf("a driver's words came out: %s", a.body)
			}
		})
	}
}

// Answers are proto3 JSON with default values.
func TestAnswersShowEveryState(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a := s.do(call{method: "GET", path: "/v1/controllers/skole/erasures/" + exportID, token: s.token("dpo", "skole")})
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	if got["state"] != "STATE_UNSPECIFIED" || got["requiredApprovals"] != 0.0 || got["residuals"] == nil || got["name"] == "" {
		t.Errorf("%s", a.body)
	}
	if _, there := got["plan"]; there {
		t.Errorf("a message that is not set is there: %s", a.body)
	}
}

func TestUpdateMask(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	token := s.token("dpo", "skole")
	for path, want := range map[string]string{
		"/v1/controllers/skole?updateMask=displayName,dpo.name,time_zone": "mask:display_name;dpo.name;time_zone;",
		"/v1/controllers/skole": "mask:display_name;",
	} {
		a := s.do(call{method: "PATCH", path: path, body: `{"displayName":"Ny"}`, token: token})
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
	a := s.do(call{method: "PATCH", path: "/v1/controllers/skole", body: `{"displayNam":"Ny"}`, token: token})
	if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "displayNam") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// A certificate verifies byte by byte, so not one may change.
func TestCertificateIsUnaltered(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	exact := "{ \"statement\" : {\"å\":1.0},\n\t\"x\":[ ] }\n"
	s.erasure.certificate = &httpbody.HttpBody{ContentType: "application/json", Data: []byte(exact)}
	a := s.do(call{method: "GET", path: "/v1/controllers/skole/erasures/" + exportID + "/certificate", token: s.token("auditor", "skole")})
	if a.StatusCode != http.StatusOK || a.body != exact || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %q %q", a.StatusCode, a.Header.Get("Content-Type"), a.body)
	}
}

// withPackage makes the fake export one with a package.
func withPackage(s *suite, size int) []byte {
	content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	sum := sha256.Sum256(content)
	s.export.content = content
	s.export.get = func(req *exportv1.GetExportRequest) (*exportv1.Export, error) {
		return &exportv1.Export{Name: req.GetName(), State: exportv1.Export_READY, Package: &exportv1.Package{
			Sha256: hex.EncodeToString(sum[:]), SizeBytes: int64(len(content)), ContentType: "application/zip"}}, nil
	}
	return content
}

func TestPackages(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	content := withPackage(s, 160_000)
	sum := sha256.Sum256(content)
	etag := `"` + hex.EncodeToString(sum[:]) + `"`
	get := func(header map[string][]string) answer {
		return s.do(call{method: "GET", path: exportPath + "/package", token: s.token("dpo", "skole"), header: header})
	}
	whole := get(nil)
	if whole.StatusCode != http.StatusOK || whole.body != string(content) {
		t.Fatalf("%d, %d bytes", whole.StatusCode, len(whole.body))
	}
	for name, want := range map[string]string{"Etag": etag, "Content-Type": "application/zip", "Cache-Control": "no-store",
		"Content-Disposition": `attachment; filename="export-` + exportID + `.zip"`, "Content-Length": "160000", "X-Content-Type-Options": "nosniff"} {
		if got := whole.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, c := range map[string]struct {
		header map[string][]string
		status int
		body   []byte
	}{
		"first bytes":         {h("Range", "bytes=0-99"), 206, content[:100]},
		"middle":              {h("Range", "bytes=70000-140000"), 206, content[70000:140001]},
		"last":                {h("Range", "bytes=-5"), 206, content[len(content)-5:]},
		"from":                {h("Range", "bytes=159999-"), 206, content[159999:]},
		"same version":        {h("Range", "bytes=0-9", "If-Range", etag), 206, content[:10]},
		"another version":     {h("Range", "bytes=0-9", "If-Range", `"x"`), 200, content},
		"known already":       {h("If-None-Match", etag), 304, nil},
		"several ranges":      {h("Range", "bytes=0-1,5-6"), 200, content},
		"outside":             {h("Range", "bytes=160000-"), 416, nil},
		"another than wanted": {h("If-Match", `"x"`), 412, nil},
		"nonsense":            {h("Range", "pages=1"), 416, nil},
	} {
		a := get(c.header)
		if a.StatusCode != c.status || (c.status < 300 && a.body != string(c.body)) {
			t.Errorf("%s: %d, %d bytes", name, a.StatusCode, len(a.body))
		}
		if c.status >= 400 {
			a.reason(t)
		}
	}
}

func TestPackagesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	withPackage(s, 1600)
	get := func() answer {
		return s.do(call{method: "GET", path: exportPath + "/package", token: s.token("dpo", "skole")})
	}
	s.export.content, s.export.readErr = nil, fault.New(fault.Gone, "PACKAGE_EXPIRED", "It was deleted.")
	if a := get(); a.StatusCode != http.StatusGone || a.reason(t) != "PACKAGE_EXPIRED" || a.Header.Get("Etag") != "" || a.Header.Get("Content-Disposition") != "" {
		t.Errorf("expired between the calls: %d %v %s", a.StatusCode, a.Header, a.body)
	}
	s.export.get = func(*exportv1.GetExportRequest) (*exportv1.Export, error) {
		return &exportv1.Export{State: exportv1.Export_EXPIRED}, nil
	}
	if a := get(); a.StatusCode != http.StatusGone {
		t.Errorf("expired: %d %s", a.StatusCode, a.body)
	}
	s.export.readErr = nil
	s.export.get = func(*exportv1.GetExportRequest) (*exportv1.Export, error) {
		return &exportv1.Export{State: exportv1.Export_COLLECTING}, nil
	}
	if a := get(); a.StatusCode != http.StatusConflict || a.reason(t) != "PACKAGE_NOT_READY" {
		t.Errorf("not ready: %d %s", a.StatusCode, a.body)
	}
}

// A download that breaks off is seen as broken, not as finished.
func TestPackageThatBreaksOff(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	content := withPackage(s, 160_000)
	s.export.content = content[:100_000]
	req := must(http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+exportPath+"/package", nil))
	req.Header.Set("Authorization", "Bearer "+s.token("dpo", "skole"))
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d bytes, and no error", n)
	}
}

// A watch is one object a line, each line when it happens.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	next := make(chan struct{})
	s.export.watch = func(req *exportv1.WatchExportRequest, stream grpc.ServerStreamingServer[exportv1.Export]) error {
		for _, state := range []exportv1.Export_State{exportv1.Export_PENDING, exportv1.Export_COLLECTING} {
			if err := stream.Send(&exportv1.Export{Name: req.GetName(), State: state}); err != nil {
				return err
			}
			<-next
		}
		return fault.New(fault.Unavailable, "STORE_UNAVAILABLE", "Away.")
	}
	req := must(http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+exportPath+":watch", nil))
	req.Header.Set("Authorization", "Bearer "+s.token("platform", "skole"))
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(resp.Body)
	for _, want := range []string{"PENDING", "COLLECTING"} {
		var e struct{ Name, State string }
		if !lines.Scan() || json.Unmarshal(lines.Bytes(), &e) != nil || e.State != want || e.Name != "controllers/skole/exports/"+exportID {
			t.Fatalf("want %s: %s", want, lines.Text())
		}
		next <- struct{}{}
	}
	if !lines.Scan() {
		t.Fatal("no last line")
	}
	last := answer{Response: &http.Response{Header: http.Header{"Content-Type": {"application/json"}}}, body: lines.Text()}
	if last.reason(t) != "STORE_UNAVAILABLE" || lines.Scan() {
		t.Errorf("last line: %s", last.body)
	}
}

// What a watch is of comes from the path, and how it goes on from the query; a parameter that is unknown, that comes twice, or that
// the path has said already is refused before anything is asked.
func TestWatchWithParameters(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	var asked []*consentv1.WatchLegalBasisRequest
	s.consent.watch = func(req *consentv1.WatchLegalBasisRequest, stream grpc.ServerStreamingServer[consentv1.LegalBasisChange]) error {
		asked = append(asked, req)
		return stream.Send(&consentv1.LegalBasisChange{ResumeToken: "next", Kind: consentv1.LegalBasisChange_CONSENT_WITHDRAWN})
	}
	const path = "/v1/controllers/skole/legalBasis:watch"
	token := s.token("partner", "skole")
	for query, want := range map[string]string{"": "", "?resumeToken=a%2Bb_-": "a+b_-"} {
		a := s.do(call{method: "GET", path: path + query, token: token})
		var line struct{ Kind, ResumeToken string }
		if err := json.Unmarshal([]byte(a.body), &line); err != nil || a.StatusCode != http.StatusOK || line.Kind != "CONSENT_WITHDRAWN" || line.ResumeToken != "next" {
			t.Errorf("%s: %d %s", query, a.StatusCode, a.body)
		}
		if last := asked[len(asked)-1]; last.GetParent() != "controllers/skole" || last.GetResumeToken() != want {
			t.Errorf("%s: asked %v", query, last)
		}
	}
	n := len(asked)
	for query, reason := range map[string]string{
		"?resumetoken=x": "UNKNOWN_PARAMETER", "?resume_token=x": "UNKNOWN_PARAMETER", "?parent=controllers/andre": "UNKNOWN_PARAMETER",
		"?resumeToken=x&resumeToken=y": "INVALID_ARGUMENT", "?resumeToken=%zz": "QUERY_INVALID",
	} {
		if a := s.do(call{method: "GET", path: path + query, token: token}); a.StatusCode != http.StatusBadRequest || a.reason(t) != reason {
			t.Errorf("%s: %d %s", query, a.StatusCode, a.body)
		}
	}
	if a := s.do(call{method: "GET", path: strings.Replace(path, "skole", "andre", 1), token: token}); a.StatusCode != http.StatusNotFound {
		t.Errorf("a foreign controller: %d %s", a.StatusCode, a.body)
	}
	if a := s.do(call{method: "GET", path: path, token: s.token("dpo", "skole")}); a.StatusCode != http.StatusForbidden {
		t.Errorf("another role: %d %s", a.StatusCode, a.body)
	}
	if len(asked) != n {
		t.Errorf("refused watches were asked for: %v", asked[n:])
	}
}

func TestWatchOfNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.export.watch = func(*exportv1.WatchExportRequest, grpc.ServerStreamingServer[exportv1.Export]) error {
		return fault.Missing()
	}
	a := s.do(call{method: "GET", path: exportPath + ":watch", token: s.token("platform", "skole")})
	if a.StatusCode != http.StatusNotFound || a.reason(t) != "NOT_FOUND" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestRosters(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	var got bytes.Buffer
	var header *erasurev1.ImportRosterHeader
	s.erasure.roster = func(stream grpc.ClientStreamingServer[erasurev1.ImportRosterRequest, erasurev1.Roster]) error {
		got.Reset()
		for {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return stream.SendAndClose(&erasurev1.Roster{State: erasurev1.Roster_HELD, HeldReason: "EMPTY"})
			} else if err != nil {
				return err
			}
			if m.GetHeader() != nil {
				header = m.GetHeader()
			}
			got.Write(m.GetChunk())
		}
	}
	path, token := "/v1/controllers/skole/rosters:import", s.token("platform", "skole")
	for _, size := range []int{0, 1, 64 << 10, 64<<10 + 1, 3 << 20} {
		file := strings.Repeat("x", size)
		a := s.do(call{method: "POST", path: path + "?format=UNILOGIN_WSIEKSPORT&requestId=" + exportID, body: file, token: token, header: h("Content-Type", "application/xml; charset=utf-8")})
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"HELD"`) || got.String() != file {
			t.Errorf("%d bytes: %d, %d received: %s", size, a.StatusCode, got.Len(), a.body)
		}
		if header.GetParent() != "controllers/skole" || header.GetFormat() != erasurev1.Roster_UNILOGIN_WSIEKSPORT || header.GetRequestId() != exportID {
			t.Errorf("header: %v", header)
		}
	}
	for name, c := range map[string]struct {
		query, kind string
		status      int
	}{
		"no format":      {"", "text/csv", 400},
		"format 0":       {"?format=FORMAT_UNSPECIFIED", "text/csv", 400},
		"unknown format": {"?format=X", "text/csv", 400},
		"form":           {"?format=ONEROSTER_CSV", "multipart/form-data; boundary=x", 415},
		"text":           {"?format=ONEROSTER_CSV", "text/plain", 415},
		"parameter":      {"?format=ONEROSTER_CSV&x=1", "text/csv", 400},
	} {
		if a := s.do(call{method: "POST", path: path + c.query, body: "x", token: token, header: h("Content-Type", c.kind)}); a.StatusCode != c.status {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
}

// Half a roster must never look like a whole one: everybody in the other half would seem to have left.
func TestRosterThatBreaksOff(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	ended := make(chan error, 1)
	s.erasure.roster = func(stream grpc.ClientStreamingServer[erasurev1.ImportRosterRequest, erasurev1.Roster]) error {
		for {
			if _, err := stream.Recv(); err != nil {
				ended <- err
				return err
			}
		}
	}
	got := s.raw("POST /v1/controllers/skole/rosters:import?format=UNILOGIN_WSIEKSPORT HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+
		s.token("platform", "skole")+"\r\nContent-Type: text/xml\r\nContent-Length: 100000\r\n\r\n<half", 300*time.Millisecond)
	select {
	case err := <-ended:
		if errors.Is(err, io.EOF) {
			t.Error("the service saw the end of a file that had none")
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("the service still waits; the client got %q", got)
	}
}

func TestRosterTooLarge(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	got := s.raw("POST /v1/controllers/skole/rosters:import?format=UNILOGIN_WSIEKSPORT HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+
		s.token("platform", "skole")+"\r\nContent-Type: text/xml\r\nContent-Length: 67108865\r\n\r\n", 3*time.Second)
	if !strings.HasPrefix(got, "HTTP/1.1 413") || len(s.erasure.all()) != 0 {
		t.Errorf("%.200q", got)
	}
}

func TestTiles(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	for path, want := range map[string]*auditv1.GetTileRequest{
		"0/000":            {},
		"1/067":            {Level: 1, Index: 67},
		"2/x001/x234/067":  {Level: 2, Index: 1234067},
		"0/x001/000.p/255": {Index: 1000, Width: 255},
	} {
		a := s.do(call{method: "GET", path: "/v1/audit/tile/" + path})
		if a.StatusCode != http.StatusOK || a.body != "\x00\x01\x02\xff" {
			t.Errorf("%s: %d %q", path, a.StatusCode, a.body)
		}
		got := s.audit.tiles[len(s.audit.tiles)-1]
		if got.GetLevel() != want.GetLevel() || got.GetIndex() != want.GetIndex() || got.GetWidth() != want.GetWidth() {
			t.Errorf("%s: asked for %v, want %v", path, got, want)
		}
		if immutable := strings.Contains(a.Header.Get("Cache-Control"), "immutable"); immutable != (want.GetWidth() == 0) {
			t.Errorf("%s: Cache-Control %q", path, a.Header.Get("Cache-Control"))
		}
	}
	if a := s.do(call{method: "GET", path: "/v1/audit/shards/2027/tile/0/001.p/7"}); a.StatusCode != http.StatusOK {
		t.Errorf("a tile of a later shard: %d", a.StatusCode)
	} else if got := s.audit.tiles[len(s.audit.tiles)-1]; got.GetYear() != 2027 || got.GetIndex() != 1 || got.GetWidth() != 7 {
		t.Errorf("a tile of a later shard: asked for %v", got)
	}
	n := len(s.audit.tiles)
	for _, path := range []string{"27/tile/0/000", "02027/tile/0/000", "x027/tile/0/000", "2027/tile/0", "2027/tile/0/1"} {
		if a := s.do(call{method: "GET", path: "/v1/audit/shards/" + path}); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	for _, path := range []string{"0", "0/1", "0/0001", "00/000", "data/000", "0/000.p/256", "0/000.p/0", "0/x000", "-1/000", "0/000/001", "entries/000"} {
		if a := s.do(call{method: "GET", path: "/v1/audit/tile/" + path}); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	if len(s.audit.tiles) != n {
		t.Error("a path that is no tile's reached the service")
	}
}
