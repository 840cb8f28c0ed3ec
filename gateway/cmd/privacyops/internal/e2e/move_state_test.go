package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/services/participant/sample"
)

// shown is everything that an installation shows over REST: what it says about each thing, by the thing's name.
type shown map[string]string

// crowd is how many calls are made at a time where there are many.
const crowd = 16

// each calls f for 0 to n-1, several at a time.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range crowd {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range next {
				f(i)
			}
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// show reads all resources of both controllers, what is known about the people with these user names, and all events.
func (w *world) show(people []string) (out shown, events map[int64]string) {
	w.t.Helper()
	out, events = shown{}, map[int64]string{}
	for _, id := range []string{sample.Controller, sample.OtherController} {
		at := "controllers/" + id
		dpo, auditor := w.caller("dpo", id, "dpo"), w.caller("auditor", id, "auditor")
		out[at] = inOneForm(w.t, dpo.raw("/v1/"+at))
		for _, kind := range []string{"activities", "systems", "erasures", "exports"} {
			for name, text := range dpo.list("/v1/"+at+"/"+kind, nil, kind) {
				out[name] = text
				var one struct{ State string }
				must(w.t, json.Unmarshal([]byte(text), &one))
				switch {
				case kind == "erasures" && one.State == "COMPLETED":
					out[name+"/certificate"] = string(auditor.raw("/v1/" + name + "/certificate"))
				case kind == "exports" && one.State == "READY":
					out[name+"/package"] = fmt.Sprintf("%x", sha256.Sum256(dpo.raw("/v1/"+name+"/package")))
				}
			}
		}
		for name, text := range auditor.list("/v1/"+at+"/auditEvents:search", map[string]any{}, "events") {
			var e struct{ Index json.Number }
			must(w.t, json.Unmarshal([]byte(text), &e))
			if n, err := e.Index.Int64(); err != nil || n >= 0 {
				events[n] = name + " " + strings.Replace(text, `"ACCEPTED"`, `"PUBLISHED"`, 1) // the last ones are under way
			}
		}
	}
	w.showPeople(people, out)
	return out, events
}

// showPeople reads the consents of people, and asks about some whether the platform may.
func (w *world) showPeople(people []string, out shown) {
	w.t.Helper()
	dpo, partner := w.as("dpo"), w.as("partner")
	var mu sync.Mutex
	each(len(people), func(i int) {
		subject := map[string]any{"type": "UNILOGIN", "value": people[i]}
		found := dpo.list(school+"/consents:search", map[string]any{"subject": subject}, "consents")
		decision := ""
		if i%20 == 0 {
			var d struct{ Decision, Reason, Consent string }
			body, _ := json.Marshal(map[string]any{"subject": subject, "activity": "photo-sharing"})
			answer, err := partner.Raw(w.t.Context(), http.MethodPost, school+"/legalBasis:check", "application/json", bytes.NewReader(body))
			if err != nil || json.Unmarshal(answer, &d) != nil {
				w.t.Errorf("check of person %d: %s %v", i, answer, err)
			}
			decision = fmt.Sprint(d)
		}
		mu.Lock()
		defer mu.Unlock()
		for name, text := range found {
			out[name] = text
		}
		if decision != "" {
			out[fmt.Sprintf("decision %d", i)] = decision
		}
	})
}

// raw reads what there is at a path.
func (c *client) raw(path string) []byte {
	c.t.Helper()
	answer, err := c.Raw(c.t.Context(), http.MethodGet, path, "", nil)
	if err != nil {
		c.t.Errorf("GET %s: %v", path, err)
	}
	return answer
}

// list reads all pages of a list (query nil) or a search, by the names of what is listed.
func (c *client) list(path string, query map[string]any, field string) map[string]string {
	c.t.Helper()
	out := map[string]string{}
	for token := ""; ; {
		var answer []byte
		if query == nil {
			answer = c.raw(path + "?" + url.Values{"pageSize": {"1000"}, "pageToken": {token}}.Encode())
		} else {
			body := map[string]any{"pageSize": 1000, "pageToken": token}
			for k, v := range query {
				body[k] = v
			}
			encoded, _ := json.Marshal(body)
			var err error
			if answer, err = c.Raw(c.t.Context(), http.MethodPost, path, "application/json", bytes.NewReader(encoded)); err != nil {
				c.t.Errorf("POST %s: %v", path, err)
			}
		}
		var page map[string]json.RawMessage
		var items []json.RawMessage
		if err := json.Unmarshal(answer, &page); err != nil {
			c.t.Errorf("%s: %v", path, err)
			return out
		}
		_ = json.Unmarshal(page[field], &items)
		for _, item := range items {
			var named struct{ Name string }
			_ = json.Unmarshal(item, &named)
			out[named.Name] = inOneForm(c.t, item)
		}
		if token = ""; json.Unmarshal(page["nextPageToken"], &token) != nil || token == "" {
			return out
		}
	}
}

func unmarshal(text string, into proto.Message) error {
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal([]byte(text), into)
}

// inOneForm is JSON in one form.
func inOneForm(t *testing.T, text []byte) string {
	t.Helper()
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	var v any
	if err := in.Decode(&v); err != nil {
		t.Errorf("%q is no JSON: %v", text, err)
	}
	out, _ := json.Marshal(v)
	return string(out)
}

// differences names what is not the same, at most ten, and counts what was compared by its kind.
func differences(before, after shown) (different []string, compared map[string]int) {
	compared = map[string]int{}
	for name, text := range before {
		kind := strings.Split(name+"///", "/")[2]
		if strings.HasPrefix(name, "decision") {
			kind = "decisions"
		}
		compared[kind]++
		if after[name] != text && len(different) < 10 {
			different = append(different, fmt.Sprintf("%s\n\tbefore %.1500s\n\tafter  %.1500s", name, text, after[name]))
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok && len(different) < 10 {
			different = append(different, name+" was not there before")
		}
	}
	return different, compared
}
