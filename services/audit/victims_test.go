package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
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
)

// runVictim is the process that is killed.
func runVictim(role string) {
	run := map[string]func(dir, address, sabotage string) error{"audit": runAudit, "reporter": runReporter, "drain": runDrain}[role]
	if err := run(os.Getenv(folderVariable), os.Getenv(addressVariable), os.Getenv(sabotageVariable)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runAudit serves the audit service.
func runAudit(dir, address, sabotage string) error {
	ctx := context.Background()
	service, _, tel, err := openService(ctx, dir, &bytes.Buffer{})
	if err != nil {
		return err
	}
	srv, err := server.New(server.Config{Service: "audit", TLS: server.In(filepath.Join(dir, "certs"), "audit"), Verifier: noVerifier(dir),
		Outbox: service.Outbox(), Ready: service.Ready, Telemetry: tel, Clock: clock.System()})
	if err != nil {
		return err
	}
	if sabotage == acknowledgedEarly {
		var in ingest
		service.Register(&in)
		auditv1.RegisterAuditIngestServer(srv, early{AuditIngestServer: in.AuditIngestServer})
	} else {
		service.Register(srv)
	}
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() { _ = service.Run(ctx) }()
	fmt.Println("ready")
	return srv.Serve(ctx, lis)
}

// early answers before it has done anything.
type early struct{ auditv1.AuditIngestServer }

func (e early) AppendAuditEvents(ctx context.Context, req *auditv1.AppendAuditEventsRequest) (*auditv1.AppendAuditEventsResponse, error) {
	go func() {
		time.Sleep(50 * time.Millisecond)
		_, _ = e.AuditIngestServer.AppendAuditEvents(context.WithoutCancel(ctx), req)
	}()
	return &auditv1.AppendAuditEventsResponse{}, nil
}

// reporter is a service that makes changes and reports them.
type reporter struct {
	db  *sqldb.DB
	out *outbox.Outbox
	to  auditv1.AuditIngestClient
	tel *telemetry.Telemetry
}

func openReporter(ctx context.Context, dir, address, sabotage string) (*reporter, error) {
	db, err := sqldb.Open(ctx, sqldb.Config{URL: "sqlite:" + filepath.Join(dir, "reporter.db")})
	if err != nil {
		return nil, err
	}
	if err := db.Ensure(ctx, `CREATE TABLE IF NOT EXISTS change (id TEXT PRIMARY KEY)`); err != nil {
		return nil, err
	}
	r := &reporter{db: db}
	if r.out, err = outbox.New(ctx, outbox.Config{Service: "erasure", DB: db, Clock: clock.System(), Keyring: testKeyring(), NewID: newID}); err != nil {
		return nil, err
	}
	if r.tel, err = telemetry.New(ctx, telemetry.Config{Service: "erasure", Log: &bytes.Buffer{}}); err != nil {
		return nil, err
	}
	conn, err := server.Dial(server.Peer{Service: "audit", Address: address}, server.In(filepath.Join(dir, "certs"), "erasure"), r.tel)
	if err != nil {
		return nil, err
	}
	r.to = stutter{auditv1.NewAuditIngestClient(conn), sabotage}
	return r, nil
}

// stutter reports some events again, as a relay does that has not heard the answer.
type stutter struct {
	auditv1.AuditIngestClient
	sabotage string
}

func (s stutter) AppendAuditEvents(ctx context.Context, req *auditv1.AppendAuditEventsRequest, opts ...grpc.CallOption) (*auditv1.AppendAuditEventsResponse, error) {
	resp, err := s.AuditIngestClient.AppendAuditEvents(ctx, req, opts...)
	if rand.IntN(4) > 0 {
		return resp, err
	}
	if s.sabotage == countedTwice {
		for _, e := range req.GetEvents() {
			e.Id = newID()
		}
	}
	return s.AuditIngestClient.AppendAuditEvents(ctx, req, opts...)
}

// runReporter makes changes without end and tells of each one that is committed.
func runReporter(dir, address, sabotage string) error {
	ctx := context.Background()
	r, err := openReporter(ctx, dir, address, sabotage)
	if err != nil {
		return err
	}
	go r.out.Relay(ctx, r.to, r.tel.Log)
	for {
		id := newID()
		event := outbox.Event{Controller: "school-" + id[len(id)-1:], Action: "erasure.approve", Kind: outbox.Modify, Resource: "changes/" + id,
			Detail: map[string]string{"change": id}}
		err := r.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO change (id) VALUES ($1)`, id); err != nil || sabotage == recordedApart {
				return err
			}
			_, err := r.out.Record(ctx, tx, event)
			return err
		})
		if err == nil && sabotage == recordedApart {
			time.Sleep(2 * time.Millisecond)
			err = r.out.RecordAlone(ctx, event)
		}
		if err != nil {
			return err
		}
		fmt.Println(id)
		time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
	}
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
