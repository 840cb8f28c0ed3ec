package redis

import (
	"context"
	"errors"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

var (
	// ErrAway is given where Redis did not answer in time, or has not lately. The caller goes to the database.
	ErrAway = errors.New("redis: away")
	// ErrReply is given where a reply was not the one to the request; it was dropped.
	ErrReply = errors.New("redis: a reply that does not belong to its request was dropped")
	// ErrNoGroup is given where a consumer group is unknown: it was never joined, or Redis was emptied.
	ErrNoGroup = errors.New("redis: the consumer group is unknown; join it again from the last event that you know")
)

// refusal is a reply of Redis that says no, by its class alone: the text may quote keys and values.
type refusal string

// Error names the class.
func (r refusal) Error() string { return "redis: refused: " + string(r) }

const errNoScript refusal = "NOSCRIPT"

// classes of refusals that help an operator: https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors.
// All others are ERR.
var classes = map[string]bool{
	"NOSCRIPT": true, "NOAUTH": true, "WRONGPASS": true, "NOPERM": true, "OOM": true, "READONLY": true, "LOADING": true, "BUSY": true,
	"WRONGTYPE": true, "MOVED": true, "ASK": true, "CROSSSLOT": true, "CLUSTERDOWN": true, "MASTERDOWN": true, "MISCONF": true,
	"NOREPLICAS": true, "TRYAGAIN": true,
}

// plain leaves of an error what may be seen: nothing that was sent or stored.
func plain(err error) error {
	var reply goredis.Error
	switch {
	case err == nil, errors.Is(err, ErrAway):
		return err
	case errors.Is(err, goredis.Nil):
		return goredis.Nil
	case errors.As(err, &reply):
		return refusalOf(reply.Error())
	case errors.Is(err, context.Canceled):
		return context.Canceled
	default:
		return ErrAway
	}
}

func refusalOf(text string) refusal {
	class, _, _ := strings.Cut(strings.TrimPrefix(text, "ERR "), " ")
	if classes[class] {
		return refusal(class)
	}
	return "ERR"
}
