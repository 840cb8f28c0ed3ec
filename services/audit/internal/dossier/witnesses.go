package dossier

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// ErrPolicy says that a witness policy cannot be read.
var ErrPolicy = errors.New("dossier: the witness policy cannot be read")

// maxPolicy bounds the text of a policy in bytes.
const maxPolicy = 64 << 10

// Policy says who the witnesses of a log are, and which of them are enough: the `witness`, `group` and `quorum` lines that Sigsum and
// Tessera have. A package has the policy that was valid when it was made, without comments.
type Policy struct {
	Witnesses []Witness
	groups    []group
	quorum    string
}

// Witness is somebody outside the log who signs its checkpoints.
type Witness struct {
	// Name in the policy, and Key, `name+hash+base64` of type 4 (C2SP cosignature/v1).
	Name, Key string
	url       string
	verifier  note.Verifier
}

type group struct {
	name string
	n    int
	of   []string
}

// NewWitness reads the key of a witness.
func NewWitness(name, key string) (Witness, error) {
	verifier, err := cosignature.NewVerifierForCosignatureV1(key)
	if err != nil {
		return Witness{}, fmt.Errorf("%w: the key of a witness is of the form name+hash+base64 and of type 4", ErrPolicy)
	}
	return Witness{Name: name, Key: key, verifier: verifier}, nil
}

// ParsePolicy reads a policy. Groups name what stands before them, so that reading and asking it takes no longer than its text is.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > maxPolicy {
		return nil, fmt.Errorf("%w: it is too long", ErrPolicy)
	}
	p, known := &Policy{}, map[string]bool{}
	for number, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "log" {
			continue
		}
		if err := p.line(fields, known); err != nil {
			return nil, fmt.Errorf("%w: line %d %w", ErrPolicy, number+1, err)
		}
	}
	if !known[p.quorum] {
		return nil, fmt.Errorf("%w: it does not say which witnesses are enough", ErrPolicy)
	}
	return p, nil
}

func (p *Policy) line(fields []string, known map[string]bool) error {
	if len(fields) < 2 {
		return errors.New("is too short")
	}
	name := fields[1]
	if fields[0] == "quorum" {
		if p.quorum != "" || len(fields) != 2 {
			return errors.New("says once more what is enough")
		}
		p.quorum = name
		return nil
	}
	if known[name] || slices.Contains([]string{"witness", "group", "any", "all", "none", "quorum", "log"}, name) {
		return errors.New("has a name that is taken")
	}
	known[name] = true
	switch {
	case fields[0] == "witness" && (len(fields) == 3 || len(fields) == 4):
		return p.witness(name, fields[2], strings.Join(fields[3:], ""))
	case fields[0] == "group" && len(fields) > 3:
		return p.group(name, fields[2], fields[3:], known)
	}
	return errors.New("is neither a witness nor a group nor the quorum")
}

func (p *Policy) witness(name, key, url string) error {
	w, err := NewWitness(name, key)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(p.Witnesses, func(other Witness) bool { return other.same(w.verifier) }) {
		return errors.New("has the key of another witness")
	}
	w.url = url
	p.Witnesses = append(p.Witnesses, w)
	return nil
}

func (p *Policy) group(name, threshold string, of []string, known map[string]bool) error {
	for _, child := range of {
		if !known[child] || child == name {
			return errors.New("names what does not stand before it")
		}
	}
	n, err := strconv.Atoi(threshold)
	switch threshold {
	case "any":
		n, err = 1, nil
	case "all":
		n, err = len(of), nil
	}
	if err != nil || n < 1 || n > len(of) {
		return errors.New("asks for a number of witnesses that it has not")
	}
	p.groups = append(p.groups, group{name, n, of})
	return nil
}

// Marshal writes the policy. The same policy gives the same bytes.
func (p *Policy) Marshal() []byte {
	var out bytes.Buffer
	for _, w := range p.Witnesses {
		fmt.Fprintln(&out, strings.TrimSpace("witness "+w.Name+" "+w.Key+" "+w.url))
	}
	for _, g := range p.groups {
		fmt.Fprintf(&out, "group %s %d %s\n", g.name, g.n, strings.Join(g.of, " "))
	}
	fmt.Fprintf(&out, "quorum %s\n", p.quorum)
	return out.Bytes()
}

// Enough reports whether those who signed are enough.
func (p *Policy) Enough(by []Cosignature) bool {
	met := map[string]bool{}
	for _, w := range p.Witnesses {
		met[w.Name] = slices.ContainsFunc(by, func(c Cosignature) bool { return c.Key == w.Key })
	}
	for _, g := range p.groups {
		n := 0
		for _, child := range g.of {
			if met[child] {
				n++
			}
		}
		met[g.name] = n >= g.n
	}
	return met[p.quorum]
}

// required is the fewest signatures that can be enough. Where the parts of a group share witnesses, one signature may do for several of
// them: then it is as many as the costliest part that has to be there.
func (p *Policy) required() int {
	fewest, under := map[string]int{}, map[string]*big.Int{} // and the witnesses under a name, a bit each
	for i, w := range p.Witnesses {
		fewest[w.Name], under[w.Name] = 1, new(big.Int).SetBit(new(big.Int), i, 1)
	}
	for _, g := range p.groups {
		var of []int
		all, apart := new(big.Int), true
		for _, child := range g.of {
			of = append(of, fewest[child])
			apart = apart && new(big.Int).And(all, under[child]).Sign() == 0
			all.Or(all, under[child])
		}
		slices.Sort(of)
		fewest[g.name], under[g.name] = of[g.n-1], all
		for i := 0; apart && i < g.n-1; i++ {
			fewest[g.name] += of[i]
		}
	}
	return fewest[p.quorum]
}

// OpenCheckpoint checks the signatures of a checkpoint: the log's, and those of witnesses. It gives its text, who of the witnesses
// signed it, in the order in which they are given, and how many signatures there are of others. A signature of one of them that is
// wrong is an error.
func OpenCheckpoint(raw []byte, log note.Verifier, witnesses []Witness) (text string, by []Cosignature, others int, err error) {
	verifiers := []note.Verifier{log}
	for _, w := range witnesses {
		verifiers = append(verifiers, w.verifier)
	}
	opened, err := note.Open(raw, note.VerifierList(verifiers...))
	if err != nil {
		return "", nil, 0, fmt.Errorf("dossier: a checkpoint: %w", err)
	}
	by = []Cosignature{}
	for _, w := range witnesses {
		for _, s := range opened.Sigs {
			if !w.signed(s) {
				continue
			}
			at, err := cosignature.CoSigV1Timestamp(s)
			if err != nil {
				return "", nil, 0, fmt.Errorf("dossier: a cosignature: %w", err)
			}
			by = append(by, Cosignature{w.Name, w.Key, at.UTC()})
		}
	}
	if len(by) == len(opened.Sigs) {
		return "", nil, 0, errors.New("dossier: the log has not signed the checkpoint")
	}
	return opened.Text, by, len(opened.UnverifiedSigs), nil
}

func (w Witness) signed(s note.Signature) bool {
	return s.Name == w.verifier.Name() && s.Hash == w.verifier.KeyHash()
}

// Same reports whether signatures of a key look like those of the witness.
func (w Witness) same(v note.Verifier) bool {
	return w.verifier.Name() == v.Name() && w.verifier.KeyHash() == v.KeyHash()
}

// Same reports whether two witnesses have signatures of the same name and key hash.
func (w Witness) Same(other Witness) bool { return w.same(other.verifier) }

// Reduce leaves of a checkpoint the signatures of the log and of witnesses, and refuses those that are wrong.
func Reduce(raw []byte, log note.Verifier, witnesses []Witness) ([]byte, error) {
	verifiers := []note.Verifier{log}
	for _, w := range witnesses {
		verifiers = append(verifiers, w.verifier)
	}
	opened, err := note.Open(raw, note.VerifierList(verifiers...))
	if err != nil {
		return nil, fmt.Errorf("dossier: a checkpoint: %w", err)
	}
	out := []byte(opened.Text + "\n")
	for _, s := range opened.Sigs {
		out = append(out, "\u2014 "+s.Name+" "+s.Base64+"\n"...)
	}
	return out, nil
}

// Canonical reports whether a note has each of its n signatures once, in the one right spelling: base64 leaves bits of its last
// character unused.
func Canonical(raw []byte, n int) bool {
	lines := bytes.SplitAfter(raw, []byte("\n"))
	signatures := 0
	for _, line := range lines {
		if !bytes.HasPrefix(line, []byte("\u2014 ")) {
			continue
		}
		signatures++
		fields := strings.Split(strings.TrimSuffix(string(line), "\n"), " ")
		if len(fields) != 3 {
			return false
		}
		if _, err := base64.StdEncoding.Strict().DecodeString(fields[2]); err != nil {
			return false
		}
	}
	return signatures == n
}
