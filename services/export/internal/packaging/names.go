package packaging

import (
	"fmt"
	"strings"

	"github.com/privacyops/privacyops/services/export/internal/export"
)

// maxName bounds the name of a file, without its ending.
const maxName = 80

// reserved are names that Windows keeps for devices, whatever their ending.
var reserved = map[string]bool{
	"con": true, "prn": true, "aux": true, "nul": true, "com1": true, "com2": true, "com3": true, "com4": true, "com5": true,
	"com6": true, "com7": true, "com8": true, "com9": true, "lpt1": true, "lpt2": true, "lpt3": true, "lpt4": true, "lpt5": true,
	"lpt6": true, "lpt7": true, "lpt8": true, "lpt9": true,
}

// names gives each dataset a file name that no other has, on file systems that ignore case too.
type names map[string]bool

// data is the path of a dataset's files without their ending. Systems and datasets are named by others; nothing that they are
// called leads out of the folder `data`.
func (n names) data(s export.SystemID, dataset string) string {
	folder, name := "data/"+plain(string(s))+"/", plain(dataset)
	path := folder + name
	for i := 2; n[path]; i++ {
		path = fmt.Sprintf("%s%s-%d", folder, name, i)
	}
	n[path] = true
	return path
}

// plain leaves of a name what is safe everywhere: lower-case letters, digits, dash, underscore, and dots inside.
func plain(name string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, name)
	safe = strings.ReplaceAll(strings.Trim(safe[:min(len(safe), maxName)], "."), "..", "_")
	stem, _, _ := strings.Cut(safe, ".")
	if safe == "" || reserved[stem] {
		return "_" + safe
	}
	return safe
}
