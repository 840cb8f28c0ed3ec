package rpc

import (
	"context"
	"fmt"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// logPath is where the first shard is served; the others are below it.
const logPath = "/v1/audit"

// ListLogShards lists the shards, which is public: their first entries concern nobody, and hold the checkpoints that chain them.
func (s *Server) ListLogShards(ctx context.Context, _ *auditv1.ListLogShardsRequest) (*auditv1.ListLogShardsResponse, error) {
	shards, err := s.cfg.Log.Shards(ctx)
	if err != nil {
		return nil, translate(err)
	}
	out := &auditv1.ListLogShardsResponse{}
	for _, shard := range shards {
		out.Shards = append(out.Shards, shardMessage(shard))
	}
	return out, nil
}

func shardMessage(s audit.Shard) *auditv1.LogShard {
	out := &auditv1.LogShard{Year: uint32(s.Year), Origin: s.Origin, Key: s.Key, Path: logPath, Position: int64(s.First),
		Size: int64(s.Head.Size), Root: s.Head.Root, State: auditv1.LogShard_OPEN, Opening: s.Opening, Tombstone: string(s.Note)}
	if s.Year != 0 {
		out.Path = fmt.Sprintf("%s/shards/%d", logPath, s.Year)
	}
	switch {
	case s.Tombstone != nil:
		out.State = auditv1.LogShard_DROPPED
	case s.Sealed:
		out.State = auditv1.LogShard_SEALED
	}
	return out
}
