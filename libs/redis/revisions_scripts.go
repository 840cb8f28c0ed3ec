package redis

import goredis "github.com/redis/go-redis/v9"

// What Redis keeps for a controller is one hash:
//
//	revision  the newest that anybody told of
//	server    the run_id of the server that numbered the tickets; a restart and a failover begin a new era
//	era       random; tickets are numbered within it
//	drawn     how many tickets were drawn
//	ticket    the last one drawn, by its random name
//	proven    the number of the last ticket whose read of the database was reported here
//
// A replica draws a ticket, reads the database, and then reports under the ticket. Another replica that had seen `drawn` at 5 and
// later sees 6 as `proven` knows that the read happened after it had looked: that moment of its own clock is the proof's. Why it
// holds through all faults: a ticket is accepted only while it is the last one drawn, so one from before a FLUSHALL, a restart or a
// failover is refused, unless the snapshot restored is of the very moment when it was the last one; then its number is not
// above what anybody sees afterwards.
//
// The hash ends after an hour without tickets.
const raise = `
local function raise(key, revision)
	local known = redis.call('HGET', key, 'revision')
	if not known or tonumber(known) < tonumber(revision) then
		redis.call('HSET', key, 'revision', revision)
	end
	redis.call('PEXPIRE', key, 3600000)
end
`

var (
	// observeScript: → era, drawn, proven, revision.
	observeScript = goredis.NewScript(`
local h = redis.call('HMGET', KEYS[1], 'era', 'drawn', 'proven', 'revision')
return {ARGV[1], KEYS[1], h[1] or '', h[2] or '0', h[3] or '0', h[4] or '0'}
`)

	// drawScript: ticket → era, its number, run_id.
	drawScript = goredis.NewScript(`
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
if redis.call('HGET', KEYS[1], 'server') ~= server then
	redis.call('HSET', KEYS[1], 'server', server, 'era', ARGV[2], 'drawn', 0, 'proven', 0)
end
local drawn = redis.call('HINCRBY', KEYS[1], 'drawn', 1)
redis.call('HSET', KEYS[1], 'ticket', ARGV[2])
redis.call('PEXPIRE', KEYS[1], 3600000)
return {ARGV[1], KEYS[1], redis.call('HGET', KEYS[1], 'era'), tostring(drawn)}
`)

	// reportScript: ticket, its number, revision, channel, notice → 1 when it was accepted.
	reportScript = goredis.NewScript(raise + `
raise(KEYS[1], ARGV[4])
if redis.call('HGET', KEYS[1], 'ticket') ~= ARGV[2] then
	return {ARGV[1], KEYS[1], 0}
end
redis.call('HSET', KEYS[1], 'proven', ARGV[3])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return {ARGV[1], KEYS[1], 1}
`)

	// publishScript: revision, channel, notice.
	publishScript = goredis.NewScript(raise + `
raise(KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return {ARGV[1], KEYS[1]}
`)
)
