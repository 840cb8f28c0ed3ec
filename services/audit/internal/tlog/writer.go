package tlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Numbers of errors of MySQL and MariaDB.
const (
	noSuchDatabase = 1049
	noSuchTable    = 1146
	triggerExists  = 1359
	signalled      = 1644
)

// writer is who may add leaves to a log that several processes could open.
//
// Tessera lets many processes add to one log. Ours counts on being alone: it numbers each controller's entries. So the database of the
// log has a row that says who writes it. Its term grows with each change of hands; the writer shows every now and then that it is
// alive, and one that has not for the time of a lease may be replaced. That alone would not do: a process that was halted, or cut off,
// goes on where it stopped. So each of its connections says in which term it was made, and a trigger refuses the places that another
// term gives to leaves, in the same transaction. It locks the row, so that no change of hands comes between.
type writer struct {
	db    *sql.DB
	lease time.Duration
	term  uint64

	gone chan struct{} // closed when the log has another writer
	stop context.CancelFunc
	done sync.WaitGroup
}

func newWriter(cfg *mysql.Config, lease time.Duration) (*writer, error) {
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("tlog: the log's database: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(4)
	return &writer{db: db, lease: lease, gone: make(chan struct{}), stop: func() {}}, nil
}

// now is the time of the database's clock, in microseconds: the one clock that all processes have in common.
const now = `CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)`

// claim makes this process the writer, or fails with ErrInUse while another one is.
func (w *writer) claim(ctx context.Context) error {
	for _, statement := range []string{
		`CREATE TABLE IF NOT EXISTS PrivacyopsWriter (id INT UNSIGNED NOT NULL PRIMARY KEY, term BIGINT UNSIGNED NOT NULL, aliveAt BIGINT NOT NULL) ENGINE=InnoDB`,
		`INSERT IGNORE INTO PrivacyopsWriter (id, term, aliveAt) VALUES (0, 0, 0)`,
	} {
		if _, err := w.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("tlog: preparing the log's database: %w", err)
		}
	}
	if err := w.suits(ctx); err != nil {
		return err
	}
	result, err := w.db.ExecContext(ctx, `UPDATE PrivacyopsWriter SET term = LAST_INSERT_ID(term + 1), aliveAt = `+now+` WHERE id = 0 AND aliveAt + ? <= `+now, w.lease.Microseconds())
	if err != nil {
		return fmt.Errorf("tlog: taking the log: %w", err)
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("tlog: taking the log: %w", err)
	}
	if changed == 0 {
		return fmt.Errorf("%w: another process writes it", ErrInUse)
	}
	term, err := result.LastInsertId()
	if err != nil {
		return fmt.Errorf("tlog: taking the log: %w", err)
	}
	w.term = uint64(term)
	life, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.done.Go(func() { w.live(life) })
	return nil
}

// free fails with ErrInUse while another process is the writer.
func (w *writer) free(ctx context.Context) error {
	var free bool
	err := w.db.QueryRowContext(ctx, `SELECT aliveAt + ? <= `+now+` FROM PrivacyopsWriter WHERE id = 0`, w.lease.Microseconds()).Scan(&free)
	switch {
	case isError(err, noSuchTable), isError(err, noSuchDatabase), errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("tlog: looking who writes the log: %w", err)
	case !free:
		return fmt.Errorf("%w: another process writes it", ErrInUse)
	}
	return nil
}

// largestPacket is more than a batch of leaves takes.
const largestPacket = 32 << 20

// suits refuses a server that would lose what it has acknowledged, or not take a batch of large leaves.
func (w *writer) suits(ctx context.Context) error {
	var flush, packet int64
	if err := w.db.QueryRowContext(ctx, `SELECT @@innodb_flush_log_at_trx_commit, @@max_allowed_packet`).Scan(&flush, &packet); err != nil {
		return fmt.Errorf("tlog: reading the settings of the log's database: %w", err)
	}
	switch {
	case flush != 1:
		return errors.New("tlog: the server of the log's database would lose commits with its power; set innodb_flush_log_at_trx_commit to 1")
	case packet < largestPacket:
		return fmt.Errorf("tlog: the server of the log's database takes %d MiB at once; set max_allowed_packet to %d MiB or more", packet>>20, largestPacket>>20)
	}
	return nil
}

// live shows that this process is alive, until it is replaced or ends. Where it cannot for so long that another may have taken its
// place, it counts as replaced.
func (w *writer) live(ctx context.Context) {
	tick, over := time.NewTicker(w.lease/4), time.NewTimer(w.lease*3/4)
	defer tick.Stop()
	defer over.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-over.C:
			close(w.gone)
			return
		case <-tick.C:
		}
		switch ours, err := w.alive(ctx); {
		case err != nil: // perhaps the next time
		case !ours:
			close(w.gone)
			return
		default:
			over.Reset(w.lease * 3 / 4)
		}
	}
}

// alive shows it once, and reports whether this process is still the writer.
func (w *writer) alive(ctx context.Context) (ours bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.lease/4)
	defer cancel()
	result, err := w.db.ExecContext(ctx, `UPDATE PrivacyopsWriter SET aliveAt = `+now+` WHERE id = 0 AND term = ?`, w.term)
	if err != nil {
		return false, err
	}
	found, err := result.RowsAffected()
	return found > 0, err
}

// fence has the database refuse the places that any but the writer gives, and makes sure that it does.
func (w *writer) fence(ctx context.Context) error {
	_, err := w.db.ExecContext(ctx, `CREATE TRIGGER privacyops_one_writer BEFORE UPDATE ON SeqCoord FOR EACH ROW BEGIN
		DECLARE writing BIGINT UNSIGNED;
		SELECT term INTO writing FROM PrivacyopsWriter WHERE id = 0 LOCK IN SHARE MODE;
		IF @privacyops_term IS NULL OR @privacyops_term <> writing THEN
			SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'another process writes this log';
		END IF;
	END`)
	if err != nil && !isError(err, triggerExists) {
		return fmt.Errorf("tlog: keeping other writers out of the log's database, for which its user needs the right to make triggers: %w", err)
	}
	if _, err = w.db.ExecContext(ctx, `UPDATE SeqCoord SET next = next WHERE id = 0`); !isError(err, signalled) {
		return fmt.Errorf("tlog: the log's database does not keep other writers out: %w", errors.Join(errors.New("an update of nobody's is taken"), err))
	}
	return nil
}

// state is what the database knows of the tree; fresh: there is none yet.
func (w *writer) state(ctx context.Context) (size uint64, root []byte, fresh bool, err error) {
	err = w.db.QueryRowContext(ctx, `SELECT seq, rootHash FROM IntCoord WHERE id = 0`).Scan(&size, &root)
	if isError(err, noSuchTable) || errors.Is(err, sql.ErrNoRows) {
		return 0, nil, true, nil
	}
	if err != nil {
		return 0, nil, false, fmt.Errorf("tlog: reading the state of the tree: %w", err)
	}
	return size, root, false, nil
}

// next is the place of the next leaf. It waits for a transaction that gives places, also one whose client is gone: what comes of that
// is decided when next returns.
func (w *writer) next(ctx context.Context) (next uint64, err error) {
	err = w.db.QueryRowContext(ctx, `SELECT next FROM SeqCoord WHERE id = 0 LOCK IN SHARE MODE`).Scan(&next)
	if err != nil {
		return 0, fmt.Errorf("tlog: reading the end of the log: %w", err)
	}
	return next, nil
}

// release makes room for another process at once.
func (w *writer) release() error {
	w.stop()
	w.done.Wait()
	var err error
	if w.term > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
		defer cancel()
		_, err = w.db.ExecContext(ctx, `UPDATE PrivacyopsWriter SET aliveAt = 0 WHERE id = 0 AND term = ?`, w.term)
	}
	if err != nil {
		err = fmt.Errorf("tlog: giving the log back: %w", err)
	}
	return errors.Join(err, w.db.Close())
}

func isError(err error, number uint16) bool {
	e := (*mysql.MySQLError)(nil)
	return errors.As(err, &e) && e.Number == number
}
