package redis_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/privacyops/privacyops/libs/redis"
)

// proxy stands between a client and a server. Each reply of the server goes through change, which gives what the client gets.
func proxy(t testing.TB, cfg redis.Config, address string, change func() func(reply []byte) []byte) redis.Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	group.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", address)
			if err != nil {
				client.Close()
				continue
			}
			mu.Lock()
			open = append(open, client, server)
			mu.Unlock()
			group.Go(func() {
				_, _ = io.Copy(server, client)
				server.Close()
			})
			group.Go(func() {
				replies(server, client, change())
				client.Close()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	cfg.URL = strings.Replace(cfg.URL, address, l.Addr().String(), 1)
	return cfg
}

func replies(from io.Reader, to io.Writer, change func([]byte) []byte) {
	r := bufio.NewReader(from)
	for {
		var reply bytes.Buffer
		if readReply(r, &reply) != nil {
			return
		}
		if _, err := to.Write(change(reply.Bytes())); err != nil {
			return
		}
	}
}

// readReply reads one reply of protocol 2.
func readReply(r *bufio.Reader, into *bytes.Buffer) error {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	into.Write(line)
	n, _ := strconv.Atoi(strings.TrimSpace(string(line[1:])))
	switch line[0] {
	case '$':
		if n >= 0 {
			_, err = io.CopyN(into, r, int64(n)+2)
		}
	case '*':
		for range n {
			if err = readReply(r, into); err != nil {
				return err
			}
		}
	}
	return err
}

// everyThird drops every third message of a subscription.
func everyThird() func([]byte) []byte {
	n := 0
	return func(reply []byte) []byte {
		if bytes.HasPrefix(reply, []byte("*3\r\n$7\r\nmessage\r\n")) {
			if n++; n%3 == 0 {
				return nil
			}
		}
		return reply
	}
}

// late gives, from a connection's fifth scripted reply on, always the one before.
func late() func([]byte) []byte {
	n := 0
	var last []byte
	return func(reply []byte) []byte {
		if reply[0] != '*' || bytes.HasPrefix(reply, []byte("*3\r\n$")) && bytes.Contains(reply, []byte("subscribe")) {
			return reply
		}
		now := bytes.Clone(reply)
		n++
		if n > 5 {
			reply = last
		}
		last = now
		return reply
	}
}
