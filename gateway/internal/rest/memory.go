package rest

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/redis"
)

// rememberFor is how long a reply is remembered. Who got no answer repeats a call within seconds or minutes; the service honours
// the key for long after. A short time also bounds how long a reply outlives the database that it came from, where an operator
// goes back to a backup.
const rememberFor = time.Hour

// memory answers repeated creating calls in front of the services. It is never the truth: what it does not know, or cannot
// report, goes to the service, which has every key in its own database (package idempotency) and refuses the ones that come
// again with another request.
type memory struct {
	replies redis.Replies
	keyring *keyring.Keyring
	reports *reports
}

// repeatable is a creating call that carries a key. Nil stands for all other calls, which are not remembered.
type repeatable struct {
	memory     *memory
	rule       *access.Method
	caller     access.Caller
	controller string
	request    redis.Request
}

// named reads the key of a call, by the rules of package idempotency: the field or the header, a UUID, and both the same. Nil
// where the service honours none (there is no such field), where there is none, or where the service would refuse it.
func (m *memory) named(out context.Context, rule *access.Method, c access.Caller, args proto.Message) *repeatable {
	if args.ProtoReflect().Descriptor().Fields().ByName("request_id") == nil || rule.GetEvent() == "" || !c.HasToken() {
		return nil
	}
	id := strings.ToLower(textField(args, "request_id"))
	md, _ := metadata.FromOutgoingContext(out)
	for _, header := range md.Get(idempotency.Header) {
		if header = strings.ToLower(header); id != "" && header != id {
			return nil
		}
		id = header
	}
	if _, err := uuid.Parse(id); err != nil || len(id) != 36 {
		return nil
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(args)
	if err != nil {
		return nil
	}
	controller := rule.Controller(args)
	return &repeatable{memory: m, rule: rule, caller: c, controller: controller, request: redis.Request{
		Controller: redis.Controller(controller), Method: rule.FullName, ID: id,
		Digest: m.keyring.Digest("gateway/request", c.Ref, rule.FullName, string(raw))}}
}

// recall gives the reply to the same request of the same caller, if it is remembered and the audit service has accepted the
// event of its being given. Otherwise the service answers, whatever into holds by then, and writes the event itself.
func (r *repeatable) recall(ctx context.Context, into proto.Message) bool {
	if r == nil {
		return false
	}
	raw, ok := r.memory.replies.Get(ctx, r.request)
	if !ok {
		return false
	}
	if err := proto.Unmarshal(raw, into); err != nil {
		return false
	}
	return r.memory.reports.replayed(ctx, r.rule, r.caller, r.controller, into) == nil
}

// remember keeps what the service has answered, also where the caller is gone by now: it is the one who will ask again.
func (r *repeatable) remember(ctx context.Context, reply proto.Message) {
	if r == nil {
		return
	}
	if raw, err := proto.Marshal(reply); err == nil {
		r.memory.replies.Put(context.WithoutCancel(ctx), r.request, raw, rememberFor)
	}
}
