package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/server"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit"
)

// What a process of this test binary is told in the environment: that it is a victim and in which role, where, and what it does wrong.
const (
	victimVariable   = "PRIVACYOPS_AUDIT_VICTIM"
	folderVariable   = "PRIVACYOPS_AUDIT_FOLDER"
	addressVariable  = "PRIVACYOPS_AUDIT_ADDRESS"
	sabotageVariable = "PRIVACYOPS_AUDIT_SABOTAGE"
)

// The ways to do it wrong, which the tests have to notice.
const (
	// acknowledgedEarly: the audit service answers before the log has the events.
	acknowledgedEarly = "acknowledged early"
	// recordedApart: the reporting service writes a change and its event in two transactions.
	recordedApart = "recorded apart"
	// countedTwice: the reporting service gives an event another id whenever it reports it.
	countedTwice = "counted twice"
	// heldBack: the audit service writes a checkpoint a minute.
	heldBack = "held back"
)

// victim is a process that is killed.
type victim struct {
	b      *battle
	cmd    *exec.Cmd
	stdin  io.Writer
	stderr bytes.Buffer
	read   chan struct{}
	dead   bool
}

// start starts a process and waits until it works: until it has said its first word, or ends.
func (b *battle) start(role string) *victim {
	b.t.Helper()
	v := &victim{b: b, cmd: exec.Command(os.Args[0], "-test.run=^$"), read: make(chan struct{})}
	v.cmd.Env = append(os.Environ(), victimVariable+"="+role, folderVariable+"="+b.dir, addressVariable+"="+b.address, sabotageVariable+"="+b.sabotage)
	v.cmd.Stderr = &v.stderr
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if v.stdin, err = v.cmd.StdinPipe(); err != nil {
		b.t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = v.cmd.Process.Kill() })
	works := make(chan struct{})
	go func() {
		defer close(v.read)
		said := sync.OnceFunc(func() { close(works) })
		defer said()
		for lines := bufio.NewReader(out); ; said() {
			line, err := lines.ReadString('\n')
			if err != nil {
				return // a line that was cut was not said
			}
			if role == "reporter" {
				b.hear(strings.TrimSpace(line))
			}
		}
	}()
	<-works
	return v
}

// hear takes what a reporter says: the id of a change, or that of one that was refused.
func (b *battle) hear(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if refused, no := strings.CutPrefix(id, "-"); no {
		b.refused[refused] = true
	} else {
		b.told[id] = true
	}
}

// kill kills the process, which must not have ended by itself.
func (v *victim) kill() {
	v.b.t.Helper()
	if v.dead {
		return
	}
	v.dead = true
	_ = v.cmd.Process.Kill()
	<-v.read
	if err := v.cmd.Wait(); err == nil || v.cmd.ProcessState.ExitCode() != -1 {
		v.b.t.Fatalf("a victim ended by itself: %v\n%s", err, v.stderr.String())
	}
}

// ended waits until the process has ended, and says whether all was well.
func (v *victim) ended() bool {
	<-v.read
	return v.cmd.Wait() == nil
}

// runVictim is the process that is killed.
func runVictim(role string) {
	run := map[string]func(dir, address, sabotage string) error{"audit": runAudit, "reporter": runReporter, "drain": runDrain,
		"serve": func(string, string, string) error { return runServe() }}[role]
	if err := run(os.Getenv(folderVariable), os.Getenv(addressVariable), os.Getenv(sabotageVariable)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runAudit serves the audit service.
func runAudit(dir, address, sabotage string) error {
	ctx := context.Background()
	service, _, tel, err := openService(ctx, dir, &bytes.Buffer{}, func(c *audit.Config) {
		if sabotage == heldBack {
			c.CheckpointInterval = time.Minute
		}
	})
	if err != nil {
		return err
	}
	srv, err := server.New(server.Config{Service: "audit", TLS: server.In(filepath.Join(dir, "certs"), "audit"), Verifier: noVerifier(dir),
		Outbox: service.Outbox(), Ready: service.Ready, Telemetry: tel, Clock: clock.System()})
	if err != nil {
		return err
	}
	var in ingest
	service.Register(&in)
	auditv1.RegisterAuditIngestServer(srv, receiver{in.AuditIngestServer, sabotage})
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	if err := watchStorage(filepath.Join(dir, "log")); err != nil {
		return err
	}
	go takeAim()
	go func() { _ = service.Run(ctx) }()
	fmt.Println("ready")
	return srv.Serve(ctx, lis)
}

// receiver is the audit service's ingest, or answers before it has done anything.
type receiver struct {
	auditv1.AuditIngestServer
	sabotage string
}

func (r receiver) AppendAuditEvents(ctx context.Context, req *auditv1.AppendAuditEventsRequest) (*auditv1.AppendAuditEventsResponse, error) {
	if len(req.GetEvents()) > 0 {
		reached(received)
	}
	if r.sabotage != acknowledgedEarly {
		return r.AuditIngestServer.AppendAuditEvents(ctx, req)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		_, _ = r.AuditIngestServer.AppendAuditEvents(context.WithoutCancel(ctx), req)
	}()
	return &auditv1.AppendAuditEventsResponse{}, nil
}

// runDrain reports what waits and ends.
func runDrain(dir, address, sabotage string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := openReporter(ctx, dir, address, sabotage)
	if err != nil {
		return err
	}
	for {
		if err := r.out.Flush(ctx, r.to); err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
