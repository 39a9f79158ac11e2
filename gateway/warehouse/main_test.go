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
func open(tb testing.TB) (*warehouse.Warehouse, string) {
	tb.Helper()
	e, name := enginetest.Start(tb), enginetest.Name(tb)
	w, err := warehouse.Open(tb.Context(), warehouse.Options{
		Addresses: []string{e.Addr()},
		Name:      name,
		Password:  func(user string) string { return e.Password(engine.User(user)) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.Close() })
	return w, name
}

// as connects to the engine as a user, past the warehouse.
func as(tb testing.TB, user string) driver.Conn {
	tb.Helper()
	e := enginetest.Start(tb)
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{e.Addr()}, Auth: clickhouse.Auth{Username: user, Password: e.Password(engine.User(user))},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}
