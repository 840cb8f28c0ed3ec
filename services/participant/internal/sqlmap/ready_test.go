package sqlmap

import "testing"

func TestReadyAsksTheLedger(t *testing.T) {
	t.Parallel()
	store, err := openLedger(t.Context(), t.TempDir()+"/ledger.db")
	if err != nil {
		t.Fatal(err)
	}
	a := &Adapter{ledger: store}
	if err := a.Ready(t.Context()); err != nil {
		t.Errorf("an open ledger is not ready: %v", err)
	}
	if err := store.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Ready(t.Context()); err == nil {
		t.Error("a closed ledger is ready")
	}
}
