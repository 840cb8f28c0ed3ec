package tlog

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Problem is why a witness has not cosigned; empty when it has.
type Problem string

// Problems.
const (
	// Forked: the witness has cosigned another log of that name.
	Forked Problem = "LOG_FORKED"
	// RolledBack: the witness has cosigned more entries than the log has.
	RolledBack Problem = "LOG_ROLLED_BACK"
	// NotWatched: the witness does not know the log or its key, or takes our request for none.
	NotWatched Problem = "LOG_NOT_WATCHED"
	// Away: the witness does not answer, or not as the protocol says.
	Away Problem = "WITNESS_AWAY"
	// Unkept: the cosigned checkpoint could not be written to our own disk.
	Unkept Problem = "COSIGNATURES_NOT_KEPT"
)

// Verdict is how a witness answers.
type Verdict struct {
	// Witness is its name, from its key.
	Witness string
	// Problem is why it has not cosigned.
	Problem Problem
	// Status is the HTTP status of its answer; 0 without one.
	Status int
	// Size is that of the checkpoint.
	Size uint64
}

// Refused reports whether the witness says that the log is not what it was.
func (v Verdict) Refused() bool { return v.Problem == Forked || v.Problem == RolledBack }

// asked is our side of one witness. One round at a time uses it.
type asked struct {
	url      string
	verifier note.Verifier
	client   *http.Client

	size    uint64    // that it cosigned last, as far as we know
	told    bool      // a verdict was reported
	last    Problem   // of the last answer
	rest    time.Time // not asked before
	failing int       // rounds in a row
}

// longestRest is how long a witness that does not cosign is left alone at most.
const longestRest = time.Minute

// settle remembers the verdict, and reports whether it is news.
func (w *asked) settle(now time.Time, v Verdict) (news bool) {
	news = w.last != v.Problem || !w.told
	w.last, w.told = v.Problem, true
	if v.Problem == "" {
		w.failing, w.rest = 0, time.Time{}
		return news
	}
	w.rest = now.Add(min(time.Second<<w.failing, longestRest))
	w.failing = min(w.failing+1, 6)
	return news
}

// corrections is how often a witness may say that it knows another size than we thought.
const corrections = 3

// ask has a checkpoint cosigned. It returns the signature line.
func (w *asked) ask(ctx context.Context, head audit.Head, proof func(from uint64) ([][]byte, error)) ([]byte, Verdict) {
	v := Verdict{Witness: w.verifier.Name(), Problem: Away, Size: head.Size}
	if w.size > head.Size {
		w.size = 0
	}
	for range corrections {
		body, err := w.request(head, proof)
		if err != nil {
			return nil, v
		}
		var answer []byte
		var sized bool
		if v.Status, sized, answer, err = w.post(ctx, body); err != nil {
			return nil, v
		}
		if v.Status != http.StatusConflict || !sized {
			line, problem := w.read(head, v.Status, answer)
			v.Problem = problem
			return line, v
		}
		size, err := strconv.ParseUint(strings.TrimSuffix(string(answer), "\n"), 10, 63)
		switch {
		case err != nil:
			return nil, v
		case size > head.Size:
			v.Problem = RolledBack
			return nil, v
		}
		w.size = size
	}
	return nil, v
}

// request is the body of add-checkpoint.
func (w *asked) request(head audit.Head, proof func(from uint64) ([][]byte, error)) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", w.size)
	if w.size > 0 && w.size < head.Size {
		hashes, err := proof(w.size)
		if err != nil {
			return nil, err
		}
		for _, h := range hashes {
			fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(h))
		}
	}
	b.WriteByte('\n')
	b.Write(head.Checkpoint)
	return b.Bytes(), nil
}

// maxAnswer is more than a witness has to say.
const maxAnswer = 16 << 10

// post sends the request. Sized says that the answer is a size.
func (w *asked) post(ctx context.Context, body []byte) (status int, sized bool, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return 0, false, nil, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, false, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, resp.Header.Get("Content-Type") == "text/x.tlog.size", answer, err
}

// read takes an answer that is final.
func (w *asked) read(head audit.Head, status int, answer []byte) (line []byte, problem Problem) {
	switch status {
	case http.StatusOK:
		if line = w.signature(head, answer); line == nil {
			return nil, Away
		}
		w.size = head.Size
		return line, ""
	case http.StatusConflict, http.StatusUnprocessableEntity:
		return nil, Forked
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound:
		return nil, NotWatched
	}
	return nil, Away
}

// signature finds the witness's own signature in its answer; nil where there is none, or it is none of this checkpoint.
func (w *asked) signature(head audit.Head, answer []byte) []byte {
	n, err := note.Open(append(bytes.Clone(head.Checkpoint), answer...), note.VerifierList(w.verifier))
	if err != nil {
		return nil
	}
	return fmt.Appendf(nil, "— %s %s\n", n.Sigs[0].Name, n.Sigs[0].Base64)
}
