package participant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/privacyops/privacyops/services/participant/internal/datamap"
	"github.com/privacyops/privacyops/services/participant/internal/sqlmap"
)

// openSQL opens the adapter of a database.
func openSQL(ctx context.Context, c SystemConfig, ledgerDir string) (*sqlmap.Adapter, error) {
	engine, dsn, err := database(c.Database)
	if err != nil {
		return nil, err
	}
	m, err := datamap.Load(c.DataMap)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(ledgerDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the ledger directory: %w", err)
	}
	return sqlmap.Open(ctx, sqlmap.Config{Engine: engine, DSN: dsn, Map: m, Ledger: filepath.Join(ledgerDir, c.Name+".db")})
}

// database reads a database URL. Errors do not repeat it: it may hold a password.
func database(url string) (sqlmap.Engine, string, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok && path != "" && !strings.ContainsAny(path, "?#") {
		if strings.HasPrefix(path, "//") {
			path = "/" + strings.TrimLeft(path, "/")
		}
		return sqlmap.SQLite, path, nil
	}
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		return sqlmap.PostgreSQL, url, nil
	}
	return "", "", errors.New(`a database is "sqlite:" and the path of a file, or a "postgres://" connection string`)
}

// transientStates are the classes of SQLSTATE that pass by themselves: connection, transaction rollback, resources, lock
// not available, operator intervention, system error.
var transientStates = []string{"08", "40", "53", "55", "57", "58"}

// transientResults are SQLite's primary result codes that pass by themselves or that the operator cures: BUSY, LOCKED,
// IOERR, FULL, CANTOPEN.
var transientResults = []int{5, 6, 10, 13, 14}

// explain tells what is known of an error of the SQL adapter, whose own texts hold names of the data map and codes only, and
// whether the database does not serve at the moment.
func explain(err error) (text string, unavailable bool) {
	var db *sqlmap.DatabaseError
	if !errors.As(err, &db) {
		return "", false
	}
	return db.Error(), transient(db.Code)
}

// transient reports whether a code says that the database does not serve at the moment. No code means no answer.
func transient(code string) bool {
	if state, ok := strings.CutPrefix(code, "SQLSTATE "); ok {
		return len(state) == 5 && slices.Contains(transientStates, state[:2])
	}
	if result, ok := strings.CutPrefix(code, "SQLite code "); ok {
		n, err := strconv.Atoi(result)
		return err == nil && slices.Contains(transientResults, n&0xff)
	}
	return code == ""
}
