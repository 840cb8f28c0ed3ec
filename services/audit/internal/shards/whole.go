package shards

import (
	"context"
	"errors"
	"io/fs"

	"github.com/privacyops/privacyops/services/audit/internal/tlog"
)

// whole is the storage of a log that is never divided.
type whole struct{ options tlog.Options }

// Whole keeps a log on servers (tlog.Options.Shared), which is one shard for all its years: who writes it is settled in its one
// database. The log must not be told to turn.
func Whole(options tlog.Options) Storage { return whole{options} }

var errWhole = errors.New("shards: a log on servers is not divided into years")

func (w whole) Years(context.Context) ([]int, error) { return nil, nil }

func (w whole) Open(ctx context.Context, year int, key tlog.Key) (*tlog.Log, error) {
	if year != 0 {
		return nil, errWhole
	}
	o := w.options
	o.Key = key
	return tlog.Open(ctx, o)
}

func (w whole) Sealed(context.Context, int, tlog.Key) (*tlog.Log, error) { return nil, errWhole }
func (w whole) Discard(context.Context, int) error                       { return errWhole }
func (w whole) Tombstone(context.Context, int) ([]byte, error)           { return nil, fs.ErrNotExist }
func (w whole) Mark(context.Context, int, []byte) error                  { return errWhole }
func (w whole) Clear(context.Context, int) error                         { return errWhole }
func (w whole) Close() error                                             { return nil }
