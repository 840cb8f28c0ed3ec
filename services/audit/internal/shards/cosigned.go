package shards

import "github.com/privacyops/privacyops/services/audit/internal/audit"

// Cosigned gives the last checkpoint of the shard of a year that enough witnesses have cosigned; its size is 0 where there is none.
func (l *Log) Cosigned(year int) audit.Head {
	p, err := l.ofYear(year)
	if err != nil {
		return audit.Head{}
	}
	return p.face.Cosigned()
}
