package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/privacyops/privacyops/libs/server"
)

// peerVariable makes the test program one of the peers that are measured: `echo|json ADDRESS TLSDIR`.
const peerVariable = "PRIVACYOPS_BENCH_PEER"

// servePeer serves until it is ended, where this process was started to.
func servePeer() (served bool) {
	words := strings.Fields(os.Getenv(peerVariable))
	if len(words) != 3 {
		return false
	}
	lis, err := new(net.ListenConfig).Listen(context.Background(), "tcp", words[1])
	if err != nil {
		panic(err)
	}
	if words[0] == "json" {
		panic((&http.Server{Handler: http.HandlerFunc(bareJSON), ReadHeaderTimeout: time.Second}).Serve(lis))
	}
	config, err := server.In(words[2], "export").ServerTLS()
	if err != nil {
		panic(err)
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "bench.Echo", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{MethodName: "Echo",
		Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := &wrapperspb.BytesValue{}
			return in, dec(in)
		}}}}, nil)
	panic(s.Serve(lis))
}

// bareJSON reads a question and writes an answer, and does nothing else.
func bareJSON(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Subject  struct{ Type, Value string }
		Activity string
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"decision": "ALLOW", "reason": "CONSENT_HOLDS", "activity": in.Activity, "activityVersion": "1"})
}

// peer starts the test program as a peer.
func (b *checkBench) peer(kind string) (pid int, address string) {
	b.t.Helper()
	address = freeAddress(b.t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s", peerVariable, kind, address, b.path("tls")))
	must(b.t, cmd.Start())
	b.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	awaitPort(b.t, address)
	return cmd.Process.Pid, address
}

func awaitPort(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody answers at %s", address)
		}
	}
}

func (b *checkBench) echo() (pid int, call func(context.Context, int, int) error) {
	pid, address := b.peer("echo")
	var conns []*grpc.ClientConn
	for range 4 {
		conns = append(conns, b.dial("export", address))
	}
	in := wrapperspb.Bytes(bytes.Repeat([]byte("x"), 100))
	return pid, func(ctx context.Context, caller, _ int) error {
		return conns[caller%len(conns)].Invoke(ctx, "/bench.Echo/Echo", in, &wrapperspb.BytesValue{})
	}
}

func (b *checkBench) jsonHandler() (pid int, call func(context.Context, int, int) error) {
	pid, address := b.peer("json")
	post := poster()
	return pid, func(ctx context.Context, caller, n int) error {
		body, err := protojson.Marshal(b.question(caller, n))
		if err != nil {
			return err
		}
		_, err = post(ctx, "http://"+address+"/check", "", body)
		return err
	}
}

func (b *checkBench) rest(token string) func(context.Context, int, int) error {
	post, url := poster(), b.URL+"/v1/controllers/"+checkSchool+"/legalBasis:check"
	return func(ctx context.Context, caller, n int) error {
		q := b.question(caller, n)
		q.Parent = ""
		body, err := protojson.Marshal(q)
		if err != nil {
			return err
		}
		answer, err := post(ctx, url, token, body)
		if err == nil && !bytes.Contains(answer, []byte(`CONSENT_HOLDS`)) {
			err = fmt.Errorf("answered %s", answer)
		}
		return err
	}
}

// poster posts over connections that stay open.
func poster() func(ctx context.Context, url, token string, body []byte) ([]byte, error) {
	hc := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: checkCallers}}
	return func(ctx context.Context, url, token string, body []byte) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := hc.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
			err = fmt.Errorf("%s: %s", resp.Status, answer)
		}
		return answer, err
	}
}

// openFGA runs OpenFGA's own program, named by PRIVACYOPS_BENCH_OPENFGA, with an equivalent model: who may, by a tuple for each person.
// It is run four times. At its best: in memory, with a thousand people, because its memory engine goes through all tuples where its
// cache does not help, and a cache that holds every answer for an hour; with TLS for gRPC, as our service, and without behind REST,
// since its door would use TLS inside. And twice with the people that we have, on SQLite as we are, with its own settings of the cache, by which an
// answer may be ten seconds old (ours: two).
func (b *checkBench) openFGA() []*contender {
	program := os.Getenv("PRIVACYOPS_BENCH_OPENFGA")
	if program == "" {
		b.t.Log("OpenFGA is left out: PRIVACYOPS_BENCH_OPENFGA names no program")
		return nil
	}
	tls := []string{"--grpc-tls-enabled", "--grpc-tls-cert=" + b.path("tls", "export.crt"), "--grpc-tls-key=" + b.path("tls", "export.key")}
	best := []string{"--datastore-engine=memory", "--check-query-cache-ttl=1h", "--check-cache-limit=100000"}
	database := "file:" + b.path("openfga.db") + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)"
	migrate := exec.Command(program, "migrate", "--datastore-engine=sqlite", "--datastore-uri="+database)
	if out, err := migrate.CombinedOutput(); err != nil {
		b.t.Fatalf("%v: %s", err, out)
	}
	ours := []string{"--datastore-engine=sqlite", "--datastore-uri=" + database}
	all := b.newFGA(program, b.people, append(tls, ours...)...)
	return []*contender{
		b.newFGA(program, fgaPeople, append(tls, best...)...).overGRPC("OpenFGA Check, gRPC (TLS), memory, 1,000 people, every answer cached"),
		b.newFGA(program, fgaPeople, best...).overREST("OpenFGA Check, REST, memory, 1,000 people, every answer cached"),
		all.overGRPC("OpenFGA Check, gRPC (TLS), SQLite, all people, its own cache settings"),
		b.startFGA(program, ours...).with(all).overREST("OpenFGA Check, REST, SQLite, all people, its own cache settings"),
	}
}

const fgaPeople = 1000

// fga is a running OpenFGA.
type fga struct {
	*checkBench
	grpc, rest, store string
	people            int
	pids              []int
	send              func(ctx context.Context, url, token string, body []byte) ([]byte, error)
}

// startFGA starts OpenFGA with what is in its database.
func (b *checkBench) startFGA(program string, settings ...string) *fga {
	b.t.Helper()
	f := &fga{checkBench: b, grpc: freeAddress(b.t), rest: freeAddress(b.t), send: poster()}
	cmd := exec.Command(program, append([]string{"run", "--grpc-addr=" + f.grpc, "--http-addr=" + f.rest, "--playground-enabled=false", "--log-level=none",
		"--metrics-enabled=false", "--check-query-cache-enabled", "--profiler-enabled=false"}, settings...)...)
	must(b.t, cmd.Start())
	b.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	f.pids = []int{cmd.Process.Pid}
	awaitPort(b.t, f.rest)
	return f
}

// with makes it answer about the people of another one that has the same database.
func (f *fga) with(other *fga) *fga {
	f.store, f.people = other.store, other.people
	return f
}

// newFGA starts OpenFGA and gives it people who have consented.
func (b *checkBench) newFGA(program string, people int, settings ...string) *fga {
	b.t.Helper()
	f := b.startFGA(program, settings...)
	f.people = people
	ask := func(path string, in any) map[string]any {
		body, err := json.Marshal(in)
		must(b.t, err)
		answer, err := f.send(b.t.Context(), "http://"+f.rest+path, "", body)
		must(b.t, err)
		var out map[string]any
		must(b.t, json.Unmarshal(answer, &out))
		return out
	}
	f.store = fmt.Sprint(ask("/stores", map[string]any{"name": "bench"})["id"])
	ask("/stores/"+f.store+"/authorization-models", map[string]any{"schema_version": "1.1", "type_definitions": []any{
		map[string]any{"type": "activity"},
		map[string]any{"type": "person", "relations": map[string]any{"consented": map[string]any{"this": map[string]any{}}},
			"metadata": map[string]any{"relations": map[string]any{"consented": map[string]any{"directly_related_user_types": []any{map[string]any{"type": "activity"}}}}}},
	}})
	for from := 0; from < people; from += 100 {
		var tuples []any
		for n := from; n < min(from+100, people); n++ {
			tuples = append(tuples, map[string]any{"user": "activity:photos", "relation": "consented", "object": "person:" + benchPerson(n)})
		}
		ask("/stores/"+f.store+"/write", map[string]any{"writes": map[string]any{"tuple_keys": tuples}})
	}
	return f
}

// overGRPC asks over four connections, as our own check is.
func (f *fga) overGRPC(name string) *contender {
	var conns []*grpc.ClientConn
	for range 4 {
		conns = append(conns, f.dial("export", f.grpc, grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{}))))
	}
	return &contender{name: name, pids: f.pids, call: func(ctx context.Context, caller, n int) error {
		return f.check(ctx, conns[caller%len(conns)], caller, n)
	}}
}

func (f *fga) overREST(name string) *contender {
	return &contender{name: name, pids: f.pids, call: f.post}
}

func (f *fga) object(caller, n int) string {
	return "person:" + benchPerson((caller*7919+n*104729)%f.people)
}

func (f *fga) check(ctx context.Context, conn *grpc.ClientConn, caller, n int) error {
	var key []byte
	for field, text := range []string{"activity:photos", "consented", f.object(caller, n)} {
		key = protowire.AppendString(protowire.AppendTag(key, protowire.Number(field+1), protowire.BytesType), text)
	}
	in := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), f.store)
	in = protowire.AppendBytes(protowire.AppendTag(in, 2, protowire.BytesType), key)
	var out []byte
	if err := conn.Invoke(ctx, "/openfga.v1.OpenFGAService/Check", &in, &out); err != nil {
		return err
	}
	if len(out) < 2 || out[0] != 8 || out[1] != 1 { // allowed = 1: true
		return fmt.Errorf("answered %x", out)
	}
	return nil
}

func (f *fga) post(ctx context.Context, caller, n int) error {
	answer, err := f.send(ctx, "http://"+f.rest+"/stores/"+f.store+"/check", "",
		fmt.Appendf(nil, `{"tuple_key":{"user":"activity:photos","relation":"consented","object":"%s"}}`, f.object(caller, n)))
	if err == nil && !bytes.Contains(answer, []byte("true")) {
		err = fmt.Errorf("answered %s", answer)
	}
	return err
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil } //nolint:forcetypeassert // all calls give one
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(data) //nolint:forcetypeassert // all calls give one
	return nil
}
