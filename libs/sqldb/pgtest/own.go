package pgtest

import (
	"context"
	"syscall"
	"testing" //nolint:depguard // it serves the tests of several packages
)

// Server is a private PostgreSQL of one test, which may do with it what it likes.
type Server struct{ server *server }

// Start starts a server for one test. It ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := start(context.Background())
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(s.stop)
	return &Server{s}
}

// URL leads to the server's default database, as one who may do everything.
func (s *Server) URL() string { return s.server.dsn }

// Stop ends the server as its operator would: sessions are broken off, what was committed stays.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.server.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-s.server.done
}

// Restart starts a stopped server again, on the same port and data.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.server.run(context.Background()); err != nil {
		t.Fatal(err)
	}
}
