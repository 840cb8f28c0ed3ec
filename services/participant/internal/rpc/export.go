package rpc

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/fault"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

const (
	// chunkBytes is how large a chunk grows; only one that holds a single larger record is larger.
	chunkBytes = 256 << 10
	// recordBytes is the largest record: with its frame it fits a message of 16 MiB, which is what callers accept.
	recordBytes = 15 << 20
)

// Export streams the person's records, then what was left out, and says that it is complete.
func (s *Server) Export(r *participantv1.ExportRequest, stream grpc.ServerStreamingServer[participantv1.ExportChunk]) error {
	sys, err := s.findFor(r.GetParticipant(), r.GetController())
	if err != nil {
		return err
	}
	ctx, o := s.begin(stream.Context(), "export", sys)
	w := &chunks{send: stream.Send, done: o.counted, chunk: &participantv1.ExportChunk{}}
	omitted, err := sys.Export(ctx, participant.ExportRequest{
		Subject: subjectOf(r.GetController(), r.GetIdentifiers()), Datasets: r.GetDatasets()}, w.add)
	if err == nil {
		err = w.finish(omitted)
	}
	return o.end(ctx, err)
}

// chunks gathers records into chunks and sends them. It holds one chunk at a time.
type chunks struct {
	send    func(*participantv1.ExportChunk) error
	done    func(dataset string, n int64)
	chunk   *participantv1.ExportChunk
	size    int
	dataset string
	count   int64
}

// add takes one record.
func (c *chunks) add(r participant.Record) error {
	object, err := objectOf(r)
	if err != nil {
		return err
	}
	if len(object) > recordBytes {
		return fault.Newf(fault.Precondition, "RECORD_TOO_LARGE", "A record of dataset %s is larger than %d bytes; "+
			"withhold its largest column in the data map, and hand it over in another way.", r.Dataset, recordBytes).With("dataset", r.Dataset)
	}
	record := &participantv1.Record{Dataset: r.Dataset, Json: object}
	n := proto.Size(record) + 8 // its frame in the chunk
	if c.size > 0 && c.size+n > chunkBytes {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if r.Dataset != c.dataset {
		c.done(c.dataset, c.count)
		c.dataset, c.count = r.Dataset, 0
	}
	c.count++
	c.chunk.Records, c.size = append(c.chunk.Records, record), c.size+n
	return nil
}

// flush sends what is gathered.
func (c *chunks) flush() error {
	err := c.send(c.chunk)
	c.chunk, c.size = &participantv1.ExportChunk{}, 0
	return err
}

// finish sends the rest and the last chunk, with the omissions.
func (c *chunks) finish(omitted []participant.Omission) error {
	c.done(c.dataset, c.count)
	for _, o := range omitted {
		c.chunk.Omissions = append(c.chunk.Omissions, &participantv1.Omission{
			Dataset: o.Dataset, Column: o.Column, Count: o.Count, Ground: o.Ground, Article: o.Article})
	}
	c.chunk.Complete = true
	return c.flush()
}
