// Package redis is what replicas of a service tell each other without asking the database: which revision is the newest, who has
// called how often, what was answered already, what has happened. Each of the four is an interface with two implementations
// that pass the same suite: Shared… on Redis, and Local… in the process, for an installation that runs without Redis.
//
//   - [Revisions]: may a replica still answer from its decision cache?
//   - [Limiter]: one token bucket for all replicas of the gateway.
//   - [Replies]: answers to repeated requests, in front of the database that has the truth.
//   - [Events]: what has happened under a controller, for the platforms that follow it.
//
// # What Redis is not
//
// Redis is never truth: FLUSHALL, a restart from an old snapshot, a failover to a replica that lags, a lost message and a paused
// server cost time and nothing else. It never holds personal data: keys are hashes, events carry ids and pseudonyms of listed
// fields only, replies are sealed under a key that Redis does not have.
//
// # Keys
//
// Every key is `v1:{controller}:<kind>:<hex SHA-256 of the length-prefixed parts>`. The braces are the hash tag of a Redis
// cluster: a script touches one key, so one slot. What belongs to no controller has the tag {suite}.
//
// # Trust in replies
//
// Every command is a script whose reply repeats a nonce of the request and the key. A client that has lost step with its
// connection and hands out the reply of another request (CVE-2025-29923) is noticed: the reply is dropped, as if Redis were away.
//
// # When Redis is away
//
// Time-outs are short and a breaker lets one request a second find out whether Redis is back; all others get [ErrAway] at once.
// Errors say what kind of thing went wrong, never a key or a value: they go into spans.
package redis
