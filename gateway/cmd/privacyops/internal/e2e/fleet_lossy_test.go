package e2e

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// lossy stands between processes and Redis and swallows every third message that was published. Everything else it passes on.
type lossy struct {
	address  string
	passed   atomic.Int64
	dropped  atomic.Int64
	requests atomic.Int64 // replies to commands: one for each round trip
}

// newLossy starts one in front of an address. It ends with the test.
func newLossy(t *testing.T, redis string) *lossy {
	t.Helper()
	lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	l := &lossy{address: lis.Addr().String()}
	var group sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	group.Go(func() {
		for {
			client, err := lis.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", redis)
			if err != nil {
				_ = client.Close()
				continue
			}
			mu.Lock()
			open = append(open, client, server)
			mu.Unlock()
			group.Go(func() {
				_, _ = io.Copy(server, client)
				_ = server.Close()
			})
			group.Go(func() {
				l.pass(server, client)
				_ = client.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = lis.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	return l
}

func (l *lossy) pass(from io.Reader, to io.Writer) {
	in := bufio.NewReader(from)
	for {
		var reply bytes.Buffer
		if readReply(in, &reply) != nil {
			return
		}
		if !bytes.HasPrefix(reply.Bytes(), []byte("*3\r\n$7\r\nmessage\r\n")) {
			l.requests.Add(1)
		} else if l.passed.Add(1)%3 == 0 {
			l.dropped.Add(1)
			continue
		}
		if _, err := to.Write(reply.Bytes()); err != nil {
			return
		}
	}
}

// readReply reads one reply of Redis' protocol 2.
func readReply(in *bufio.Reader, into *bytes.Buffer) error {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	into.Write(line)
	n, _ := strconv.Atoi(strings.TrimSpace(string(line[1:])))
	switch line[0] {
	case '$':
		if n >= 0 {
			_, err = io.CopyN(into, in, int64(n)+2)
		}
	case '*':
		for range n {
			if err = readReply(in, into); err != nil {
				return err
			}
		}
	}
	return err
}
