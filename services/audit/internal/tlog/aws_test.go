package tlog

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/storagetest"
)

// halt makes a log's writer fall silent, as a process does that is halted or cut off. It does not know.
func halt(l *Log) {
	w := l.storage.(*sharedStorage).writer
	w.stop()
	w.done.Wait()
}

// TestTakeOver: a log is opened by another one only after the time of a lease without a sign of life. The database refuses leaves of
// the one before, which still believes that it is the writer, and so does Tessera's own appender behind it.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	ctx, p, key := context.Background(), onServers(t), testKey(t)
	if err := Free(ctx, p.options(key)); err != nil {
		t.Fatalf("a log that is not there is not free: %v", err)
	}
	before := open(t, p, key)
	appendLeaves(t, before, 0, 10)
	time.Sleep(lease + lease/4) // it lives
	if err := Free(ctx, p.options(key)); !errors.Is(err, ErrInUse) {
		t.Errorf("Free: %v, want %v", err, ErrInUse)
	}
	halt(before)
	silent := time.Now()
	var after *Log
	for after == nil {
		l, err := Open(ctx, p.options(key))
		if err != nil && !errors.Is(err, ErrInUse) || time.Since(silent) > 5*lease {
			t.Fatalf("Open: %v", err)
		}
		after = l
		time.Sleep(20 * time.Millisecond)
	}
	t.Cleanup(func() { closeLog(t, after) })
	if passed := time.Since(silent); passed < lease/2 {
		t.Errorf("it was replaced after %v without a sign of life", passed)
	}
	if _, err := before.Append(ctx, leaves(10, 1)); err == nil {
		t.Error("the one before has added a leaf")
	}
	appendLeaves(t, after, 10, 300)
	if _, err := before.Append(ctx, leaves(11, 300)); err == nil {
		t.Error("the one before has added leaves")
	}
	appendLeaves(t, after, 310, 1)
	if size, err := after.Size(ctx); err != nil || size != 311 {
		t.Errorf("the log has %d leaves (%v), want 311", size, err)
	}
	awaitHead(t, after, 311)
}

// TestHaltedInATransaction: rows that a halted writer has locked are free for the next one about a lease later.
func TestHaltedInATransaction(t *testing.T) {
	t.Parallel()
	ctx, p, key := t.Context(), onServers(t), testKey(t)
	before := open(t, p, key)
	appendLeaves(t, before, 0, 10)
	awaitHead(t, before, 10)
	db, err := sql.Open("mysql", before.storage.(*sharedStorage).dials.dsn) // one of its connections
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // the server has closed the connection
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"SeqCoord", "IntCoord", "PubCoord"} {
		if _, err := tx.ExecContext(ctx, "SELECT * FROM "+table+" FOR UPDATE"); err != nil {
			t.Fatal(err)
		}
	}
	halt(before)
	silent := time.Now()
	var after *Log
	for after == nil {
		l, err := Open(ctx, p.options(key))
		if err != nil && !errors.Is(err, ErrInUse) {
			t.Fatalf("Open: %v", err)
		}
		after = l
		time.Sleep(20 * time.Millisecond)
	}
	t.Cleanup(func() { closeLog(t, after) })
	appendLeaves(t, after, 10, 5)
	if passed := time.Since(silent); passed > answerTimeout/2 {
		t.Errorf("the next writer had to wait for %v", passed)
	}
}

// TestLost: who is replaced while it lives learns of it, and who cannot reach the database any more counts as replaced.
func TestLost(t *testing.T) {
	t.Parallel()
	p, at := onServersOf(t)
	l := open(t, p, testKey(t))
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Lost(ended); err != nil {
		t.Fatalf("Lost: %v", err)
	}
	db := at.Open(t)
	if _, err := db.ExecContext(t.Context(), `UPDATE PrivacyopsWriter SET term = term + 1`); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 5*lease)
	defer stop()
	if err := l.Lost(ctx); !errors.Is(err, ErrLost) {
		t.Errorf("replaced: %v, want %v", err, ErrLost)
	}
	if _, err := l.Append(ctx, leaves(0, 1)); !errors.Is(err, ErrLost) {
		t.Errorf("Append: %v, want %v", err, ErrLost)
	}

	p, at = onServersOf(t)
	l = open(t, p, testKey(t))
	if _, err := at.Open(t).ExecContext(t.Context(), `RENAME TABLE PrivacyopsWriter TO Away`); err != nil {
		t.Fatal(err)
	}
	if err := l.Lost(ctx); !errors.Is(err, ErrLost) {
		t.Errorf("cut off: %v, want %v", err, ErrLost)
	}
	if _, err := at.Open(t).ExecContext(t.Context(), `RENAME TABLE Away TO PrivacyopsWriter`); err != nil { // for Close
		t.Fatal(err)
	}
}

// TestHalfIntegrated: the bucket takes the bundles of leaves and refuses the tiles, and then the process is gone. The next one finds
// all leaves that were given a place, in the tree, whatever lies in the bucket from the attempt before.
func TestHalfIntegrated(t *testing.T) {
	t.Parallel()
	p, at := onServersOf(t)
	key := testKey(t)
	l := open(t, p, key)
	appendLeaves(t, l, 0, 5)
	awaitHead(t, l, 5)
	var refused atomic.Int64
	broken := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/tile/0/") {
			return false
		}
		refused.Add(1)
		w.WriteHeader(http.StatusForbidden) // one that is not tried again at once
		return true
	}
	at.Fault.Store(&broken)
	appendLeaves(t, l, 5, 20)
	within(t, "an attempt fails and leaves a bundle behind", func() bool {
		return refused.Load() > 0 && len(p.fsys.(bucketFS).keys("tile/entries/000.p/25")) == 1
	})
	halt(l)
	l.stop() // Tessera's work ends in its midst
	at.Fault.Store(nil)
	var again *Log
	within(t, "the next one opens", func() (ok bool) {
		var err error
		if again, err = Open(context.Background(), p.options(key)); err != nil && !errors.Is(err, ErrInUse) {
			t.Fatal(err)
		}
		return err == nil
	})
	t.Cleanup(func() { closeLog(t, again) })
	if size, err := again.Size(context.Background()); err != nil || size != 25 {
		t.Fatalf("the log has %d leaves (%v), want 25", size, err)
	}
	appendLeaves(t, again, 25, 1)
	awaitHead(t, again, 26)
	if err := fsckOf(t, p, key); err != nil {
		t.Errorf("Tessera's fsck: %v", err)
	}
}

// TestTamperedDatabase: a database that is empty, older, or not that of the tiles is not opened, and the published checkpoint stays.
func TestTamperedDatabase(t *testing.T) {
	t.Parallel()
	for name, statements := range map[string][]string{
		"empty":        {"DROP TABLE SeqCoord, Seq, IntCoord, PubCoord, GCCoord, Tessera"},
		"older":        {"UPDATE IntCoord SET seq = 3"},
		"another tree": {"UPDATE IntCoord SET rootHash = REPEAT('a', 32)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, at := onServersOf(t)
			key := testKey(t)
			l := open(t, p, key)
			appendLeaves(t, l, 0, 5)
			closeLog(t, l)
			checkpoint := p.read("checkpoint")
			for _, statement := range statements {
				if _, err := at.Open(t).ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			if again, err := Open(context.Background(), p.options(key)); !errors.Is(err, ErrTampered) {
				t.Errorf("Open: %v, want %v", err, ErrTampered)
				if err == nil {
					closeLog(t, again)
				}
			}
			if !bytes.Equal(p.read("checkpoint"), checkpoint) {
				t.Error("another checkpoint was published")
			}
		})
	}
}

// TestUnfenced: a database that does not keep other writers out is not worked with.
func TestUnfenced(t *testing.T) {
	t.Parallel()
	p, at := onServersOf(t)
	key := testKey(t)
	closeLog(t, open(t, p, key))
	db := at.Open(t)
	for _, statement := range []string{"DROP TRIGGER privacyops_one_writer", "CREATE TRIGGER privacyops_one_writer BEFORE UPDATE ON SeqCoord FOR EACH ROW SET NEW.next = NEW.next"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if l, err := Open(context.Background(), p.options(key)); err == nil {
		closeLog(t, l)
		t.Error("the log is opened")
	}
}

// TestLargeBatch: a batch of large leaves, as many bytes as the recorder adds at once, arrives whole.
func TestLargeBatch(t *testing.T) {
	t.Parallel()
	p := onServers(t)
	l := open(t, p, testKey(t))
	large := make([][]byte, 2040)
	for i := range large {
		large[i] = bytes.Repeat([]byte{byte(i)}, 8<<10)
	}
	if _, err := l.Append(context.Background(), large); err != nil {
		t.Fatal(err)
	}
	if size, err := l.Size(context.Background()); err != nil || size != uint64(len(large)) {
		t.Fatalf("size %d, %v", size, err)
	}
	if got, err := l.Leaves(context.Background(), 2039, 1); err != nil || len(got) != 1 || !bytes.Equal(got[0], large[2039]) {
		t.Errorf("the last leaf: %d leaves, %v", len(got), err)
	}
}

// TestShards: the shards of a log are logs of their own on the same servers, and one is removed without the others, and not while
// somebody writes it.
func TestShards(t *testing.T) {
	t.Parallel()
	ctx, key := context.Background(), testKey(t)
	p, at := onServersOf(t)
	shards := map[string]*Shared{}
	for _, name := range []string{"2025", "2026"} {
		shard, err := p.shared.Shard(name)
		if err != nil {
			t.Fatal(err)
		}
		shards[name] = &shard
		l := open(t, &place{shared: &shard}, key)
		appendLeaves(t, l, 0, 3)
		awaitHead(t, l, 3)
		if err := Remove(ctx, shard); !errors.Is(err, ErrInUse) {
			t.Errorf("removing a shard in use: %v, want %v", err, ErrInUse)
		}
		closeLog(t, l)
	}
	if err := Remove(ctx, *shards["2025"]); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"2025": false, "2026": true} {
		if got, err := Exists(ctx, Options{Shared: shards[name]}); err != nil || got != want {
			t.Errorf("%s exists: %v (%v), want %v", name, got, err, want)
		}
	}
	in := bucketFS{at.Objects, at.Prefix}
	if gone, left := len(in.keys("2025")), len(in.keys("2026")); gone != 0 || left == 0 {
		t.Errorf("%d objects of the removed shard are left, and %d of the other one", gone, left)
	}
	if _, err := p.shared.Shard("../2026"); err == nil {
		t.Error("a shard may be called ../2026")
	}
}

// TestTidied: partial tiles and bundles that full ones have replaced are deleted, also behind a bundle that was never partial: there is
// nothing to delete, and servers refuse a list of nothing. Readers who know a partial one get the full one.
func TestTidied(t *testing.T) {
	t.Parallel()
	p, at := onServersOf(t)
	strict := func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("delete") {
			return false
		}
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err == nil && bytes.Contains(body, []byte("<Key>")) {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<Error><Code>MalformedXML</Code></Error>")
		return true
	}
	at.Fault.Store(&strict)
	l := open(t, p, testKey(t))
	partials := func() (all []string) {
		for _, bundle := range []string{"000", "001", "002"} {
			all = append(append(all, p.fsys.(bucketFS).keys("tile/entries/"+bundle+".p")...), p.fsys.(bucketFS).keys("tile/0/"+bundle+".p")...)
		}
		return all
	}
	size := 0
	for _, grow := range []int{10, 502, 100, 200} { // the second bundle is full at once
		appendLeaves(t, l, size, grow)
		size += grow
		awaitHead(t, l, uint64(size))
		if size == 10 && len(partials()) != 2 {
			t.Fatalf("partial at first: %v", partials())
		}
	}
	db := at.Open(t)
	within(t, "nothing partial is left, and it goes on behind that", func() bool {
		var tidied int
		err := db.QueryRowContext(t.Context(), `SELECT fromSize FROM GCCoord`).Scan(&tidied)
		return err == nil && tidied == 768 && len(partials()) == 0
	})
	tile, err := l.reader.ReadTile(context.Background(), 0, 0, 10)
	if err != nil || len(tile) != 256*32 {
		t.Errorf("a partial tile that was replaced: %d bytes, %v", len(tile), err)
	}
	if bundle, err := l.reader.ReadEntryBundle(context.Background(), 0, 10); err != nil || !bytes.Contains(bundle, []byte("leaf 255")) {
		t.Errorf("a partial bundle that was replaced: %v", err)
	}
	if _, err := l.reader.ReadTile(context.Background(), 0, 9, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a tile that was never there: %v", err)
	}
}

// TestServersByTLS: both servers are asked by TLS when an authority is named, and one that it has not certified is not talked to.
func TestServersByTLS(t *testing.T) {
	t.Parallel()
	p, _ := onServersOf(t)
	byTLS := *p.shared
	byTLS.Authority = storagetest.Authority(t)
	w := func(s Shared) error {
		cfg, err := s.database()
		if err != nil {
			return err
		}
		cfg.DBName = ""
		connected, err := newWriter(cfg, lease)
		if err != nil {
			return err
		}
		defer connected.db.Close() // it is only looked at
		var name, cipher string
		if err := connected.db.QueryRowContext(t.Context(), `SHOW STATUS LIKE 'Ssl_cipher'`).Scan(&name, &cipher); err != nil {
			return err
		}
		if cipher == "" {
			return errors.New("the connection is not encrypted")
		}
		return nil
	}
	if err := w(byTLS); err != nil {
		t.Error(err)
	}
	other := byTLS
	other.Database = strings.Replace(other.Database, "127.0.0.1", "localhost", 1) // not in the certificate
	if err := w(other); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate for another name: %v", err)
	}
}

// TestSharedSettings: addresses that would send something in the clear, or hold a secret, are refused, and no refusal repeats a secret.
func TestSharedSettings(t *testing.T) {
	t.Parallel()
	dir := storagetest.Folder(t)
	keyFile := dir + "/key"
	write(t, keyFile, []byte("ID\nSECRET\n"))
	good := Shared{Database: "mysql://audit@db.example.org/audit", Bucket: "https://s3.example.org/bucket/logs/one", KeyFile: keyFile}
	if st, err := newShared(good); err != nil || st.config.TLS == nil || st.config.Addr != "db.example.org:3306" || st.where.prefix != "logs/one" || st.where.name != "bucket" {
		t.Fatalf("good settings: %v", err)
	} else if err := st.db.Close(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(s *Shared){
		"password in the URL":     func(s *Shared) { s.Database = "mysql://audit:hunter2@db.example.org/audit" },
		"no user":                 func(s *Shared) { s.Database = "mysql://db.example.org/audit" },
		"no database":             func(s *Shared) { s.Database = "mysql://audit@db.example.org" },
		"parameters":              func(s *Shared) { s.Database += "?tls=false" },
		"another engine":          func(s *Shared) { s.Database = "postgres://audit@db.example.org/audit" },
		"no password file":        func(s *Shared) { s.PasswordFile = dir + "/none" },
		"plain bucket":            func(s *Shared) { s.Bucket = "http://s3.example.org/bucket" },
		"key in the URL":          func(s *Shared) { s.Bucket = "https://ID:hunter2@s3.example.org/bucket" },
		"no bucket":               func(s *Shared) { s.Bucket = "https://s3.example.org/" },
		"no access key":           func(s *Shared) { s.KeyFile = dir + "/none" },
		"half an access key":      func(s *Shared) { s.KeyFile = dir + "/half"; write(t, s.KeyFile, []byte("hunter2\n")) },
		"an authority of nothing": func(s *Shared) { s.Authority = keyFile },
	} {
		s := good
		spoil(&s)
		st, err := newShared(s)
		if err == nil {
			_ = st.db.Close()
			t.Errorf("%s: taken", name)
		} else if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: the refusal repeats the secret: %v", name, err)
		}
	}
}
