package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/logkey"
)

const hashSize = sha256.Size

// Config of a witness.
type Config struct {
	// Dir is the folder of what it has seen. Required.
	Dir string
	// Key makes its cosignatures. Required.
	Key Key
	// Logs are the verifier keys (`<origin>+<hash>+<key>`) of the logs that it watches; a log may have several.
	// Each stands for all shards of its log too (package logkey). Required.
	Logs []string
	// Log takes a line for each answer: origin, sizes and status. Required.
	Log *slog.Logger
}

// Witness is a running witness.
type Witness struct {
	key    Key
	folder *folder
	keys   []string // as configured
	mu     sync.Mutex
	logs   map[string]*watched
	log    *slog.Logger
	mux    *http.ServeMux
}

// watched is a log, and what was seen of it last.
type watched struct {
	keys []note.Verifier

	mu   sync.Mutex
	seen head
}

// head is what a checkpoint says.
type head struct {
	size uint64
	root []byte
}

// Open opens a witness and reads what it has seen. It refuses a folder that another works on, and a kept checkpoint that no key of the
// log has signed. The caller closes it.
func Open(cfg Config) (*Witness, error) {
	if cfg.Dir == "" || cfg.Key.signer == nil || len(cfg.Logs) == 0 || cfg.Log == nil {
		return nil, errors.New("witness: a folder, a key, at least one log's key and a logger are required")
	}
	w := &Witness{key: cfg.Key, keys: cfg.Logs, logs: map[string]*watched{}, log: cfg.Log, mux: http.NewServeMux()}
	for _, text := range cfg.Logs {
		v, err := note.NewVerifier(text)
		if err != nil {
			return nil, fmt.Errorf("witness: %q is no key of a log: %w", text, err)
		}
		if w.logs[v.Name()] == nil {
			w.logs[v.Name()] = &watched{}
		}
		w.logs[v.Name()].keys = append(w.logs[v.Name()].keys, v)
	}
	var err error
	if w.folder, err = openFolder(cfg.Dir); err != nil {
		return nil, err
	}
	if err := w.remember(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.mux.HandleFunc("POST /add-checkpoint", w.addCheckpoint)
	w.mux.HandleFunc("GET /{$}", w.about)
	return w, nil
}

func (w *Witness) remember() error {
	for origin, l := range w.logs {
		if err := w.recall(origin, l); err != nil {
			return err
		}
	}
	return nil
}

// recall reads what was seen of a log last.
func (w *Witness) recall(origin string, l *watched) error {
	raw, err := w.folder.read(origin)
	if err != nil || raw == nil {
		return err
	}
	if _, l.seen, err = l.open(origin, raw); err != nil {
		return fmt.Errorf("witness: the kept checkpoint of %s cannot be trusted: %w", origin, err)
	}
	return nil
}

// of is the log of an origin, also where that is a shard of a log that is watched; nil where it is neither.
func (w *Witness) of(origin string) (*watched, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.logs[origin]; l != nil {
		return l, nil
	}
	l := &watched{}
	for _, text := range w.keys {
		name, _, _ := strings.Cut(text, "+")
		year, ok := logkey.YearOf(name, origin)
		if !ok {
			continue
		}
		shard, err := logkey.Shard(text, year)
		if err != nil {
			return nil, err
		}
		v, err := note.NewVerifier(shard)
		if err != nil {
			return nil, err
		}
		l.keys = append(l.keys, v)
	}
	if len(l.keys) == 0 {
		return nil, nil
	}
	if err := w.recall(origin, l); err != nil {
		return nil, err
	}
	w.logs[origin] = l
	return l, nil
}

// Close releases the folder.
func (w *Witness) Close() error { return w.folder.close() }

// ServeHTTP implements http.Handler.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.mux.ServeHTTP(rw, r) }

// originOf is the first line of a checkpoint.
func originOf(checkpoint []byte) string {
	line, _, _ := bytes.Cut(checkpoint, []byte("\n"))
	return string(line)
}

var errSignature = errors.New("no trusted key of the log has signed the checkpoint")

// open reads a checkpoint that one of the log's keys has signed.
func (l *watched) open(origin string, raw []byte) (*note.Note, head, error) {
	n, err := note.Open(raw, note.VerifierList(l.keys...))
	if err != nil {
		return nil, head{}, errSignature
	}
	for _, sig := range n.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return nil, head{}, errSignature // the same signature in another spelling
		}
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != origin {
		return nil, head{}, errRequest
	}
	size, err := parseSize(lines[1])
	if err != nil {
		return nil, head{}, err
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != hashSize {
		return nil, head{}, errRequest
	}
	return n, head{size: size, root: root}, nil
}

// answer is what a request comes to.
type answer struct {
	status int
	body   []byte
	kind   string // content type; plain text where empty
	why    string // for the log
}

func refuse(status int, why string) answer {
	return answer{status: status, body: []byte(why + "\n"), why: why}
}

// add decides on a request. One request of a log at a time is decided on: between looking at what was seen and keeping what is seen now,
// nothing else may be cosigned.
func (w *Witness) add(r request) (string, answer) {
	origin := originOf(r.checkpoint)
	l, err := w.of(origin)
	if err != nil {
		w.log.Error("what was seen of a log cannot be trusted", "origin", origin, "error", err)
		return origin, refuse(http.StatusInternalServerError, "what was seen of that log cannot be read")
	}
	if l == nil {
		return "", refuse(http.StatusNotFound, "this witness does not watch that log")
	}
	n, h, err := l.open(origin, r.checkpoint)
	switch {
	case errors.Is(err, errSignature):
		return origin, refuse(http.StatusForbidden, err.Error())
	case err != nil:
		return origin, refuse(http.StatusBadRequest, "the checkpoint is malformed")
	case r.old > h.size:
		return origin, refuse(http.StatusBadRequest, "the old size is larger than that of the checkpoint")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case r.old != l.seen.size:
		return origin, answer{status: http.StatusConflict, kind: "text/x.tlog.size", body: fmt.Appendf(nil, "%d\n", l.seen.size), why: "another size was seen last"}
	case l.seen.root != nil && r.old == h.size && !bytes.Equal(h.root, l.seen.root):
		return origin, refuse(http.StatusConflict, "FORK: a checkpoint of the same size and another root was cosigned")
	case consistent(r, l.seen, h) != nil:
		return origin, refuse(http.StatusUnprocessableEntity, "the proof does not show that the log only grew")
	}
	return origin, w.cosign(origin, l, n, h)
}

// consistent checks that the new tree begins with the old one.
func consistent(r request, seen, h head) error {
	if h.size == 0 && !bytes.Equal(h.root, rfc6962.DefaultHasher.EmptyRoot()) {
		return errors.New("the root of an empty tree is another")
	}
	return proof.VerifyConsistency(rfc6962.DefaultHasher, r.old, h.size, r.proof, seen.root, h.root)
}

// cosign keeps the checkpoint, and only then signs it.
func (w *Witness) cosign(origin string, l *watched, n *note.Note, h head) answer {
	own, err := note.Sign(&note.Note{Text: n.Text}, w.key.signer)
	if err != nil {
		return refuse(http.StatusInternalServerError, "the checkpoint cannot be cosigned")
	}
	kept, err := note.Sign(&note.Note{Text: n.Text, Sigs: n.Sigs})
	if err == nil {
		err = w.folder.write(origin, kept)
	}
	if err != nil {
		w.log.Error("what was seen cannot be kept", "origin", origin, "error", err)
		return refuse(http.StatusInternalServerError, "the checkpoint cannot be kept")
	}
	l.seen = h
	return answer{status: http.StatusOK, body: own[len(n.Text)+1:], why: "cosigned"}
}
