package redis

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// In Redis an event's id is `<sequence>-0`: a place in the stream is a place in the database, also after Redis was emptied.
var (
	// appendScript: sequence, length, milliseconds, fields… .
	appendScript = goredis.NewScript(`
local r = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], ARGV[2] .. '-0', unpack(ARGV, 5))
if type(r) == 'table' and r.err and not string.find(r.err, 'equal or smaller') then
	return r
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {ARGV[1], KEYS[1]}
`)

	lastOf = `
local function last(key)
	if redis.call('EXISTS', key) == 0 then
		return '0-0'
	end
	local info = redis.call('XINFO', 'STREAM', key)
	for i = 1, #info, 2 do
		if info[i] == 'last-generated-id' then
			return info[i + 1]
		end
	end
end
`
	// readScript: sequence, limit → last id, entries.
	readScript = goredis.NewScript(lastOf + `
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[2] .. '-0', '+', 'COUNT', ARGV[3])
return {ARGV[1], KEYS[1], last(KEYS[1]), entries}
`)

	// joinScript: group, sequence, milliseconds.
	joinScript = goredis.NewScript(`
local r = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[2], ARGV[3] .. '-0', 'MKSTREAM')
if type(r) == 'table' and r.err and not string.find(r.err, 'BUSYGROUP') then
	return r
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {ARGV[1], KEYS[1]}
`)

	// takeScript: group, consumer, limit, milliseconds → 1, last id, last id delivered before, entries taken before, ids of those that
	// are gone, new entries; or 0 where there is no such group.
	takeScript = goredis.NewScript(lastOf + `
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
local delivered = nil
for _, info in ipairs(groups.err and {} or groups) do
	local g = {}
	for i = 1, #info, 2 do
		g[info[i]] = info[i + 1]
	end
	if g['name'] == ARGV[2] then
		delivered = g['last-delivered-id']
	end
end
if not delivered then
	return {ARGV[1], KEYS[1], 0}
end
local again = redis.call('XAUTOCLAIM', KEYS[1], ARGV[2], ARGV[3], ARGV[5], '0-0', 'COUNT', ARGV[4])
local fresh = {}
if #again[2] == 0 and #(again[3] or {}) == 0 then
	local r = redis.call('XREADGROUP', 'GROUP', ARGV[2], ARGV[3], 'COUNT', ARGV[4], 'STREAMS', KEYS[1], '>')
	fresh = r and r[1][2] or {}
end
return {ARGV[1], KEYS[1], 1, last(KEYS[1]), delivered, again[2], again[3] or {}, fresh}
`)

	// acknowledgeScript: group, ids… .
	acknowledgeScript = goredis.NewScript(`
redis.call('XACK', KEYS[1], ARGV[2], unpack(ARGV, 3))
return {ARGV[1], KEYS[1]}
`)

	// leaveScript: group.
	leaveScript = goredis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 1 then
	redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[2])
end
return {ARGV[1], KEYS[1]}
`)
)

// SharedEvents is [Events] of several replicas, as one stream of Redis for each controller. The stream's key is
//
//	v1:{<controller>}:events:<hex SHA-256 of controller and stream, each after its length as 8 bytes, big-endian>
type SharedEvents struct {
	client *Client
	stream string
}

// NewSharedEvents makes one. The stream is named after the service whose database numbers the events, such as "consent": two
// services number theirs apart.
func NewSharedEvents(client *Client, stream string) *SharedEvents {
	return &SharedEvents{client: client, stream: stream}
}

func (s *SharedEvents) key(controller Controller) string {
	return keyOf(controller, kindEvents, s.stream)
}

// The names of what an entry holds besides fields. An entry repeats its key.
const (
	entryKey      = "_key"
	entryPrevious = "_previous"
	entryKind     = "_kind"
	entryTime     = "_time" // microseconds since 1970
)

// Append fulfils [Events].
func (s *SharedEvents) Append(ctx context.Context, controller Controller, e Event) error {
	if err := e.valid(); err != nil {
		return err
	}
	key := s.key(controller)
	args := []any{
		e.Sequence, StreamLength, StreamAge.Milliseconds(),
		entryKey, key, entryPrevious, e.Previous, entryKind, e.Kind, entryTime, e.Time.UnixMicro(),
	}
	for f, v := range e.Fields {
		args = append(args, string(f), v)
	}
	_, err := s.client.call(ctx, appendScript, key, args...)
	return err
}

// Read fulfils [Events].
func (s *SharedEvents) Read(ctx context.Context, controller Controller, after int64, limit int) (Page, error) {
	limit = pageLimit(limit)
	key := s.key(controller)
	reply, err := s.client.call(ctx, readScript, key, max(after, 0), limit)
	if err != nil {
		return Page{}, err
	}
	events, err := entries(key, items(reply, 1))
	if err != nil {
		return Page{}, err
	}
	return follow(events, after, sequenceOf(text(reply, 0)), len(events) < limit), nil
}

// Join fulfils [Events].
func (s *SharedEvents) Join(ctx context.Context, controller Controller, group string, after int64) error {
	if !namePattern.MatchString(group) || after < 0 {
		return errNames
	}
	_, err := s.client.call(ctx, joinScript, s.key(controller), group, after, StreamAge.Milliseconds())
	return err
}

// Take fulfils [Events].
func (s *SharedEvents) Take(ctx context.Context, controller Controller, group, consumer string, limit int) (Page, error) {
	if !namePattern.MatchString(group) || !namePattern.MatchString(consumer) {
		return Page{}, errNames
	}
	limit = pageLimit(limit)
	key := s.key(controller)
	reply, err := s.client.call(ctx, takeScript, key, group, consumer, limit, Redelivery.Milliseconds())
	if err != nil {
		return Page{}, err
	}
	if number(reply, 0) != 1 {
		return Page{}, ErrNoGroup
	}
	again, err := entries(key, items(reply, 3))
	if err != nil {
		return Page{}, err
	}
	if gone := items(reply, 4); len(again)+len(gone) > 0 {
		p := Page{Events: again}
		for i := range gone {
			sequence := sequenceOf(text(gone, i))
			p.Gaps = append(p.Gaps, Gap{After: sequence - 1, Through: sequence})
		}
		return p, nil
	}
	fresh, err := entries(key, items(reply, 5))
	if err != nil {
		return Page{}, err
	}
	return follow(fresh, sequenceOf(text(reply, 2)), sequenceOf(text(reply, 1)), len(fresh) < limit), nil
}

// Acknowledge fulfils [Events].
func (s *SharedEvents) Acknowledge(ctx context.Context, controller Controller, group string, sequences ...int64) error {
	if !namePattern.MatchString(group) {
		return errNames
	}
	for part := range slices.Chunk(sequences, MaxPage) {
		args := []any{group}
		for _, sequence := range part {
			args = append(args, strconv.FormatInt(sequence, 10)+"-0")
		}
		if _, err := s.client.call(ctx, acknowledgeScript, s.key(controller), args...); err != nil {
			return err
		}
	}
	return nil
}

// Leave fulfils [Events].
func (s *SharedEvents) Leave(ctx context.Context, controller Controller, group string) error {
	_, err := s.client.call(ctx, leaveScript, s.key(controller), group)
	return err
}

// entries reads what Redis stored: each an id and a list of names and values.
func entries(key string, stored []any) ([]Event, error) {
	var events []Event
	for i := range stored {
		entry := items(stored, i)
		e := Event{Sequence: sequenceOf(text(entry, 0)), Fields: map[Field]string{}}
		named := items(entry, 1)
		owner := ""
		for j := 0; j+1 < len(named); j += 2 {
			switch name, value := text(named, j), text(named, j+1); name {
			case entryKey:
				owner = value
			case entryPrevious:
				e.Previous = number(named, j+1)
			case entryKind:
				e.Kind = value
			case entryTime:
				e.Time = time.UnixMicro(number(named, j+1)).UTC()
			default:
				e.Fields[Field(name)] = value
			}
		}
		if owner != key || e.valid() != nil {
			return nil, ErrReply
		}
		events = append(events, e)
	}
	return events, nil
}

// sequenceOf reads the sequence from an id.
func sequenceOf(id string) int64 {
	digits, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}
