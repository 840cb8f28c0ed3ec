package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// maxRequest is more than a request has: 63 hashes and a checkpoint.
const maxRequest = 64 << 10

// maxProof is the most hashes that a proof may have (C2SP tlog-witness).
const maxProof = 63

// request is what a log asks for.
type request struct {
	old        uint64
	proof      [][]byte
	checkpoint []byte
}

var errRequest = errors.New("the request is not `old <size>`, hashes in base64, an empty line and a checkpoint")

// parseRequest reads the body of add-checkpoint.
func parseRequest(body []byte) (r request, err error) {
	head, checkpoint, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok || len(checkpoint) == 0 {
		return request{}, errRequest
	}
	lines := strings.Split(string(head), "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	if r.old, err = parseSize(size); !ok || err != nil || len(lines) > 1+maxProof {
		return request{}, errRequest
	}
	for _, line := range lines[1:] {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(hash) != hashSize {
			return request{}, errRequest
		}
		r.proof = append(r.proof, hash)
	}
	r.checkpoint = checkpoint
	return r, nil
}

// parseSize reads a size as it must be written: decimal, no leading zero, no sign.
func parseSize(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, errRequest
	}
	return n, nil
}
