package sqlmap

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"

	"github.com/privacyops/privacyops/services/participant/internal/datamap"
	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// chunk is how many rows are held in memory, and named in one statement, at a time.
const chunk = 500

// Config says which database an adapter speaks for.
type Config struct {
	Engine Engine
	DSN    string       // SQLite: path of the existing file; PostgreSQL: connection string
	Map    *datamap.Map // from datamap.Load
	Ledger string       // path of the adapter's own SQLite file, made when absent, mode 0600
}

// Adapter is a participant over a relational database.
type Adapter struct {
	e       Engine
	schema  string
	db      *sql.DB
	plan    *plan
	digest  string
	ledger  *ledger
	mu      sync.Mutex
	running map[string]chan struct{} // requests in work in this process
}

var _ participant.Participant = (*Adapter)(nil)

// Open connects, reads the catalogue, and checks the data map against it. An error of
// the map is a [datamap.Errors] that names every place.
func Open(ctx context.Context, c Config) (*Adapter, error) {
	if c.Map == nil {
		return nil, fmt.Errorf("sqlmap: a data map is required")
	}
	db, err := openTarget(c.Engine, c.DSN)
	if err != nil {
		return nil, err
	}
	store, err := openLedger(ctx, c.Ledger)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	a, err := newAdapter(ctx, c, db, store)
	if err != nil {
		_, _ = db.Close(), store.close()
		return nil, err
	}
	return a, nil
}

func newAdapter(ctx context.Context, c Config, db *sql.DB, l *ledger) (*Adapter, error) {
	cat, schema, err := readCatalogue(ctx, c.Engine, db, c.Map.Schema)
	if err != nil {
		return nil, err
	}
	p, err := bind(c.Engine, cat, c.Map)
	if err != nil {
		return nil, err
	}
	return &Adapter{e: c.Engine, schema: schema, db: db, plan: p, digest: c.Map.Digest(), ledger: l,
		running: map[string]chan struct{}{}}, nil
}

// Ready reports whether the adapter can do its part: whether its ledger answers. A platform's database that is down is told to
// whoever asks for that system; it is no reason to take the other systems of the process away.
func (a *Adapter) Ready(ctx context.Context) error {
	if err := a.ledger.db.PingContext(ctx); err != nil {
		return failed("asking the ledger", err)
	}
	return nil
}

// Close closes the database and the ledger. Calls that are under way fail.
func (a *Adapter) Close() error {
	err := a.db.Close()
	if e := a.ledger.close(); err == nil {
		err = e
	}
	return err
}

// stmt begins a statement for the system's database.
func (a *Adapter) stmt() *stmt { return &stmt{e: a.e, schema: a.schema} }

// read runs f in one read-only transaction: one snapshot of the database.
func (a *Adapter) read(ctx context.Context, doing string, f func(tx *sql.Tx) error) error {
	tx, err := a.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: a.snapshotLevel()})
	if err != nil {
		return failed(doing, err)
	}
	defer func() { _ = tx.Rollback() }()
	return f(tx)
}

func (a *Adapter) snapshotLevel() sql.IsolationLevel {
	if a.e == PostgreSQL {
		return sql.LevelRepeatableRead
	}
	return sql.LevelDefault // in SQLite every transaction reads one snapshot
}

// query runs a built statement and calls each for every row.
func (a *Adapter) query(ctx context.Context, q querier, doing string, s *stmt, each func(read func(...any) error) error) error {
	var inner error
	err := scan(ctx, q, s.text.String(), s.args, func(read func(...any) error) error {
		inner = each(func(dest ...any) error { return failed(doing, read(dest...)) })
		return inner
	})
	if inner != nil {
		return inner // of the callback, or already made safe
	}
	return failed(doing, err)
}

// count runs a statement that yields one number.
func (a *Adapter) count(ctx context.Context, q querier, doing string, s *stmt) (int64, error) {
	var n int64
	err := a.query(ctx, q, doing, s, func(read func(...any) error) error { return read(&n) })
	return n, err
}

// Describe says what the data map says.
func (a *Adapter) Describe(context.Context) (participant.Description, error) {
	d := participant.Description{System: a.plan.m.System, DataMapDigest: a.digest, Capabilities: []participant.Capability{
		participant.CanExport, participant.CanErase, participant.CanFence,
		participant.CanVerifyLinks, participant.CanVerifyRecord, participant.CanVerifyContent}}
	for _, id := range a.plan.ids {
		t := participant.IdentifierType(id.def.Type)
		if !id.def.Shared && !slices.Contains(d.Accepts, t) {
			d.Accepts = append(d.Accepts, t)
		}
		if id.def.Provide && !slices.Contains(d.Provides, t) {
			d.Provides = append(d.Provides, t)
		}
	}
	for _, s := range a.plan.datasets {
		d.Datasets = append(d.Datasets, describe(s))
	}
	for _, m := range a.plan.mentions {
		d.Datasets = append(d.Datasets, participant.Dataset{
			Name: m.def.Name, Table: m.table.name, Category: m.def.Category, Activity: m.def.Activity, Mention: true,
			Erasure: participant.Keep, Ground: m.def.Ground, Article: m.def.Article,
			Explanation: participant.Explanation(m.def.Explanation),
			Withheld:    []participant.Withheld{{Column: m.col.name, Ground: othersGround, Article: othersArticle}},
		})
	}
	return d, nil
}

func describe(s *dataset) participant.Dataset {
	d := participant.Dataset{
		Name: s.def.Name, Table: s.table.name, Category: s.def.Category, Activity: s.def.Activity,
		SubjectProvided: s.def.SubjectProvided, Identity: s.def.Identity(), Erasure: s.action(),
		Ground: s.def.Erase.Ground, Article: s.def.Erase.Article,
		Explanation: participant.Explanation(s.def.Erase.Explanation),
	}
	for _, c := range s.exported {
		d.Columns = append(d.Columns, c.name)
	}
	for _, w := range s.withheld {
		d.Withheld = append(d.Withheld, participant.Withheld{Column: w.col.name, Ground: w.ground, Article: w.article})
	}
	return d
}

// action is the dataset's action in the words of the protocol.
func (d *dataset) action() participant.Action {
	switch d.def.Erase.Action {
	case datamap.Delete:
		return participant.Erase
	case datamap.Columns:
		return participant.Anonymise
	case datamap.Keep: // as for whatever is not named here
	}
	return participant.Keep
}
