package warehouse_test

import (
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/gateway/warehouse/engine"
	"github.com/pana-exchange/pana/gateway/warehouse/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// open returns a warehouse of the test's own and the suffix of its databases.
func open(t testing.TB) (*warehouse.Warehouse, string) {
	t.Helper()
	e, name := enginetest.Start(t), enginetest.Name(t)
	w, err := warehouse.Open(t.Context(), warehouse.Options{
		Addresses: []string{e.Addr()},
		Name:      name,
		Password:  func(user string) string { return e.Password(engine.User(user)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w, name
}

// as connects to the engine as a user, past the warehouse.
func as(t testing.TB, user string) driver.Conn {
	t.Helper()
	e := enginetest.Start(t)
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{e.Addr()}, Auth: clickhouse.Auth{Username: user, Password: e.Password(engine.User(user))},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
