package keys_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
	"github.com/privacyops/privacyops/services/audit/internal/keystore"
)

const (
	victimVariable = "PRIVACYOPS_KEYS_VICTIM"
	crowd          = 500
	erasedOnes     = crowd / 10
)

func TestMain(m *testing.M) {
	if file := os.Getenv(victimVariable); file != "" {
		runVictim(file)
		return
	}
	os.Exit(m.Run())
}

func subject(n int) audit.SubjectRef { return audit.SubjectRef(fmt.Sprintf("sub_%040d", n)) }

// runVictim seals and opens events about many people, and does what it is told on its standard input.
func runVictim(file string) {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, sqldb.Config{URL: "sqlite:" + file})
	if err != nil {
		panic(err)
	}
	store, err := keystore.Open(ctx, db)
	if err != nil {
		panic(err)
	}
	now, log := clock.NewFake(start), &memoryLog{}
	k := keys.New(keys.Config{Store: store, Keyring: ring(), Clock: now, NewID: func() string { return string(uuid(1 << 20)) }})
	destroyer := keys.NewDestroyer(k, log, "audit")
	w := &world{clock: now}
	work := func(round int) {
		var events []audit.Event
		for n := range crowd {
			events = append(events, w.about(round*crowd+n+1, subject(n), subject((n+1)%crowd)))
		}
		sealed, err := k.Seal(ctx, events)
		if err == nil {
			_, err = log.Accept(ctx, sealed)
		}
		if err == nil {
			_, err = keys.NewReader(k, log).Search(ctx, audit.Query{Controller: school, Limit: 2 * crowd})
		}
		if err != nil {
			panic(err)
		}
	}
	work(0)
	now.Advance(2 * keys.KeyTime) // the second time keys are read from the store
	destroyer.Purge()
	work(1)
	var gone []audit.SubjectRef
	var marked []keys.Marked
	for n := range erasedOnes {
		gone = append(gone, subject(10*n))
		marked = append(marked, keys.Marked{Ref: subject(10 * n), Mark: strconv.Itoa(n)})
	}
	orders := bufio.NewScanner(os.Stdin)
	for fmt.Println("ready"); orders.Scan(); fmt.Println("done") {
		switch orders.Text() {
		case "destroy":
			_, err = destroyer.Subjects(ctx, school, gone, keys.Cause{Resource: "controllers/school-a/erasures/1", Service: "erasure"})
		case "sabotage": // the store's part alone
			_, err = store.Destroy(ctx, keys.Destruction{Event: uuid(7), Controller: school, Time: start}, marked)
		case "age":
			now.Advance(keys.KeyTime)
			destroyer.Purge()
		}
		if err != nil {
			panic(err)
		}
	}
}

// victim is such a process.
type victim struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

func startVictim(t *testing.T, file string) *victim {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimVariable+"="+file)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	v := &victim{t, cmd, in, bufio.NewScanner(out)}
	v.await("ready")
	return v
}

func (v *victim) await(word string) {
	v.t.Helper()
	if !v.out.Scan() || v.out.Text() != word {
		v.t.Fatalf("the process said %q", v.out.Text())
	}
}

func (v *victim) do(order string) {
	v.t.Helper()
	if _, err := fmt.Fprintln(v.in, order); err != nil {
		v.t.Fatal(err)
	}
	v.await("done")
}

// memory is all that the process can read and write: what a core dump holds.
func (v *victim) memory() []byte {
	v.t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(v.cmd.Process.Pid))
	maps, err := os.ReadFile(filepath.Join(proc, "maps"))
	if err != nil {
		v.t.Skip("there is no /proc here: the memory of a process cannot be read")
	}
	mem, err := os.Open(filepath.Join(proc, "mem"))
	if err != nil {
		v.t.Skip("the memory of another process cannot be read here")
	}
	defer mem.Close()
	var out bytes.Buffer
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		_, _ = io.Copy(&out, io.NewSectionReader(mem, from, to-from)) // special regions cannot be read
	}
	return out.Bytes()
}

// found is how many of these keys are somewhere in a memory.
func found(memory []byte, secrets map[int][]byte, of func(n int) bool) (n int) {
	for who, key := range secrets {
		if of(who) && bytes.Contains(memory, key) {
			n++
		}
	}
	return n
}

// secretsIn unwraps all keys of a database, as whoever has the master key can.
func secretsIn(t *testing.T, file string) map[int][]byte {
	t.Helper()
	ctx := context.Background()
	db, err := sqldb.Open(ctx, sqldb.Config{URL: "sqlite:" + file})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	out := map[int][]byte{}
	err = db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		var over []byte
		if err := q.QueryRow(ctx, `SELECT wrapped FROM controller_key`).Scan(&over); err != nil {
			return err
		}
		envelope, err := ring().OpenEnvelope("controllers/school-a/auditKeys", over)
		if err != nil {
			return err
		}
		rows, err := q.Query(ctx, `SELECT subject_ref, wrapped FROM subject_key WHERE subject_ref LIKE 'sub%'`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var ref string
			var wrapped []byte
			if err := rows.Scan(&ref, &wrapped); err != nil {
				return err
			}
			plain, err := envelope.Open(wrapped)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(ref[4:])
			if err != nil {
				return err
			}
			out[n] = plain[16:]
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func erased(n int) bool { return n%10 == 0 }

// TestCoreDump looks for keys in the memory of a process that has used them: those that were destroyed are gone at once, all after
// the cache's time.
func TestCoreDump(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys.db")
	v := startVictim(t, file)
	secrets := secretsIn(t, file)
	if len(secrets) != crowd {
		t.Fatalf("%d keys", len(secrets))
	}
	if n := found(v.memory(), secrets, erased); n == 0 {
		t.Fatal("keys in use are not found: the test looks in the wrong place")
	}
	v.do("destroy")
	memory := v.memory()
	if n := found(memory, secrets, erased); n != 0 {
		t.Errorf("%d destroyed keys are in memory", n)
	}
	if n := found(memory, secrets, func(n int) bool { return !erased(n) }); n == 0 {
		t.Error("no other key is in memory either: the test does not tell them apart")
	}
	v.do("age")
	if n := found(v.memory(), secrets, func(int) bool { return true }); n != 0 {
		t.Errorf("%d keys are in memory after %s", n, keys.KeyTime)
	}
}

// TestCoreDumpFindsSabotage: a destruction that forgets the memory is found out.
func TestCoreDumpFindsSabotage(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys.db")
	v := startVictim(t, file)
	secrets := secretsIn(t, file)
	v.do("sabotage")
	if n := found(v.memory(), secrets, erased); n < erasedOnes/2 {
		t.Errorf("only %d of %d keys that were left in memory are found", n, erasedOnes)
	}
}
