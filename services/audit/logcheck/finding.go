package logcheck

import (
	"fmt"
	"sort"
	"time"
)

// Kind says what part of a log is wrong.
type Kind string

// Kinds of findings.
const (
	// Checkpoint: the checkpoint is missing, malformed or not signed by the pinned key.
	Checkpoint Kind = "checkpoint"
	// Witnesses: the policy's witnesses have not cosigned the checkpoint.
	Witnesses Kind = "witnesses"
	// Tile: a tile of hashes is missing or wrong.
	Tile Kind = "tile"
	// Entry: an entry is missing, or is not the one whose hash the tree holds.
	Entry Kind = "entry"
	// Root: the tiles agree with each other and not with the checkpoint.
	Root Kind = "root"
	// Rollback: the log is shorter than it was.
	Rollback Kind = "rollback"
	// Fork: the log is another one than it was.
	Fork Kind = "fork"
	// Leaf: an entry is none of an audit log.
	Leaf Kind = "leaf"
	// Sequence: a controller's entries are not numbered without a gap.
	Sequence Kind = "sequence"
	// Chain: a shard is missing, was altered after it was sealed, or does not continue the one before it.
	Chain Kind = "chain"
	// Tombstone: what stands in the place of a shard is no tombstone of it.
	Tombstone Kind = "tombstone"
)

// Finding is one thing that is wrong with a log.
type Finding struct {
	Kind Kind `json:"kind"`
	// First and Last are the entries concerned, by index, which runs on through all shards. With an empty log both are 0.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	// File is the path of the resource, below the log's folder or address; empty where no single one is wrong.
	File string `json:"file,omitempty"`
	// Problem says in words what is wrong. It quotes nothing of an entry.
	Problem string `json:"problem"`
}

// String says where and what.
func (f Finding) String() string {
	where := fmt.Sprintf("index %d", f.First)
	if f.Last > f.First {
		where = fmt.Sprintf("index %d to %d", f.First, f.Last)
	}
	if f.File != "" {
		where += ", " + f.File
	}
	return fmt.Sprintf("%s: %s (%s)", where, f.Problem, f.Kind)
}

// maxFindings is how many findings a report holds: one is enough to distrust a log.
const maxFindings = 100

// Report is the result of a verification.
type Report struct {
	// Origin is the log's name, from its key.
	Origin string `json:"origin"`
	// Size is how many entries the checkpoint covers; Root is its hash. Both are of no worth unless the checkpoint is sound.
	Size uint64 `json:"size"`
	Root []byte `json:"root,omitempty"`
	// Note is the checkpoint itself, of several shards one after the other: what to keep and to hand in as Options.Known the next time.
	Note []byte `json:"-"`
	// Entries says whether the entries themselves were read, and not only hashes.
	Entries bool `json:"entries"`
	// Controllers is how many controllers the entries name.
	Controllers int `json:"controllers,omitempty"`
	// First and Last are the earliest and the latest time of receipt among the entries.
	First time.Time `json:"firstTime,omitzero"`
	Last  time.Time `json:"lastTime,omitzero"`
	// KnownSize is the size of the earlier checkpoint that the log was compared with; 0 without one.
	KnownSize uint64 `json:"knownSize,omitempty"`
	// Cosigned says whether the witnesses of the policy have cosigned the checkpoint.
	Cosigned bool `json:"cosigned,omitempty"`
	// Shards are the parts that the log is divided into; none where it is one.
	Shards []ShardReport `json:"shards,omitempty"`
	// Findings is what is wrong, by index, at most 100. The log is sound when there is none.
	Findings []Finding `json:"findings"`
}

// Sound reports whether nothing is wrong.
func (r Report) Sound() bool { return len(r.Findings) == 0 }

func (r *Report) add(f ...Finding) {
	r.Findings = append(r.Findings, f...)
	if len(r.Findings) > maxFindings {
		r.sort()
		r.Findings = r.Findings[:maxFindings]
	}
}

func (r *Report) sort() {
	sort.SliceStable(r.Findings, func(i, j int) bool { return r.Findings[i].First < r.Findings[j].First })
}
