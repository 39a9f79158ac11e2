// Package warehouse keeps de-identified rows in ClickHouse and counts releases
// there. All SQL of Pana is here, and nothing else knows of ClickHouse but
// [github.com/pana-exchange/pana/gateway/warehouse/engine], which runs one.
//
// Call [Open] first, then [Warehouse.Prepare] with the contracts. An upload is
// [Warehouse.NewLoad], [Load.Append] for each block, [Load.Finish]; its rows
// count only after [Warehouse.Publish] wrote their marker. A release is
// [Warehouse.Count], which returns raw cells for disclosure to protect, and
// [Warehouse.StoreCells]; questions need [Warehouse.LoadCells] alone.
//
// The registry is the truth about batches; markers here mirror it. The package
// never retries a statement whose outcome it does not know: the caller abandons
// the load id and starts again under another (loading.md 2.5). It never shows
// the text of a server's or the driver's error, because those echo data.
//
// Three databases share a suffix, [Options.Name]: rows_ holds rows and markers,
// build_ the tables of a release while it is counted, cells_ published cells.
// Four users divide the work: admin makes tables and only that, loader writes
// rows, builder reads them and writes cells, reader sees cells and no row.
package warehouse

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway"
)

// The ClickHouse users. The server must know all four.
const (
	Admin   = "admin"   // creates databases and tables, at start only
	Loader  = "loader"  // writes, verifies and deletes rows
	Builder = "builder" // reads rows, counts, writes published cells
	Reader  = "reader"  // reads published cells
)

// DefaultName is the suffix of the databases when [Options.Name] is empty.
const DefaultName = "pana"

const dialTimeout = 10 * time.Second

// Options say where ClickHouse is.
type Options struct {
	Addresses []string                 // host:port of the native protocol; required
	Name      string                   // suffix of the databases: [a-z0-9_]+; default [DefaultName]
	Password  func(user string) string // of each of the four users; required
	TLS       *tls.Config              // nil: no TLS
}

func (o *Options) validate() error {
	if o.Name == "" {
		o.Name = DefaultName
	}
	switch {
	case len(o.Addresses) == 0:
		return gateway.Errorf(gateway.Invalid, "no ClickHouse address is configured")
	case o.Password == nil:
		return gateway.Errorf(gateway.Invalid, "no ClickHouse passwords are configured")
	case !validName(o.Name):
		return gateway.Errorf(gateway.Invalid, "the name of the databases must match [a-z0-9_]+")
	}
	return nil
}

// A Warehouse is a connection to ClickHouse as three of its users. It is safe
// for concurrent use.
type Warehouse struct {
	options Options
	loader  driver.Conn
	builder driver.Conn
	reader  driver.Conn
}

// Open connects, makes the databases and the common tables where they are
// missing, and refuses a server on which the gateway's statements would run with
// asynchronous or deduplicated inserts: those lose and double rows
// (loading.md 2.1).
func Open(ctx context.Context, options Options) (*Warehouse, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	w := &Warehouse{options: options}
	err := w.createDatabases(ctx)
	if err != nil {
		return nil, err
	}
	for _, pool := range []struct {
		conn *driver.Conn
		user string
	}{{&w.loader, Loader}, {&w.builder, Builder}, {&w.reader, Reader}} {
		*pool.conn, err = w.connect(pool.user, nil)
		if err == nil && pool.user != Reader {
			err = confirmSettings(ctx, *pool.conn, pool.user)
		}
		if err != nil {
			_ = w.Close()
			return nil, err
		}
	}
	return w, nil
}

// Close closes the connections. Loads in progress have their own and go on.
func (w *Warehouse) Close() error {
	var failed error
	for _, conn := range []driver.Conn{w.loader, w.builder, w.reader} {
		if conn == nil {
			continue
		}
		if err := conn.Close(); err != nil && failed == nil {
			failed = internal("closing connections", err)
		}
	}
	return failed
}

// Ping reports whether ClickHouse answers, for readiness.
func (w *Warehouse) Ping(ctx context.Context) error {
	return internal("asking whether ClickHouse answers", w.reader.Ping(ctx))
}

// safeSettings are sent with every statement of the users that write;
// confirmSettings asks the server whether it obeys. Names and defaults are those
// of ClickHouse 26.
var safeSettings = clickhouse.Settings{
	"async_insert":                  0,
	"deduplicate_insert":            "disable",
	"deduplicate_insert_select":     "disable",
	"skip_unavailable_shards":       0, // a dead shard must not halve a count without a word
	"distributed_foreground_insert": 1,
	"select_sequential_consistency": 1,
	"max_query_size":                16 << 20, // code lists are spelled out in statements
}

func confirmSettings(ctx context.Context, conn driver.Conn, user string) error {
	var async bool
	var insert, insertSelect string
	row := conn.QueryRow(ctx, `SELECT toBool(getSetting('async_insert')),
		toString(getSetting('deduplicate_insert')), toString(getSetting('deduplicate_insert_select'))`)
	err := row.Scan(&async, &insert, &insertSelect)
	if err != nil {
		return internal("reading the settings of "+user, err)
	}
	if async || insert != "disable" || insertSelect != "disable" {
		return gateway.Errorf(gateway.Invalid,
			"ClickHouse keeps asynchronous or deduplicated inserts on for user %s; allow the gateway to turn them off", user)
	}
	return nil
}

// connect opens a pool as a user. A socket, where given, is told of the
// connection, and the pool is limited to that one.
func (w *Warehouse) connect(user string, s *socket) (driver.Conn, error) {
	options := &clickhouse.Options{
		Addr:            w.options.Addresses,
		Auth:            clickhouse.Auth{Database: "default", Username: user, Password: w.options.Password(user)},
		TLS:             w.options.TLS,
		DialTimeout:     dialTimeout,
		MaxOpenConns:    4, // the reader may have no more at once
		MaxIdleConns:    2,
		Settings:        clickhouse.Settings{},
		ReadTimeout:     time.Hour, // of one answer; contexts end statements sooner
		ConnMaxLifetime: time.Hour,
		BlockBufferSize: 4,
	}
	if user != Reader {
		maps.Copy(options.Settings, safeSettings)
	}
	if s != nil {
		options.MaxOpenConns, options.MaxIdleConns = 1, 1
		options.DialContext = s.dialer(w.options.TLS)
		// An agency's line may be slow: the server must wait for the next block.
		options.Settings["receive_timeout"] = 3600
		options.Settings["max_execution_time"] = 0
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, internal("opening connections as "+user, err)
	}
	return conn, nil
}

// insert runs one INSERT that fill gives its rows. There is one attempt, and on
// an error its connection is dropped: Close would end the statement in good
// order and commit what was sent (loading.md 2.5).
func insert(ctx context.Context, conn driver.Conn, doing, statement string, fill func(driver.Batch) error) error {
	batch, err := conn.PrepareBatch(ctx, statement) //nolint:clickhouselint // aborted below, never closed
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	err = fill(batch)
	if err == nil {
		err = batch.Send()
	}
	if err != nil {
		if !batch.IsSent() {
			_ = batch.Abort()
		}
		return internal(doing, orContext(ctx, err))
	}
	return nil
}

// A socket is the one connection of a load, kept so that it can be dropped at
// any moment, also while the driver writes to it: the driver's Flush knows no
// context.
type socket struct {
	mu      sync.Mutex
	conn    net.Conn
	dropped bool
}

func (s *socket) dialer(config *tls.Config) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		plain := &net.Dialer{Timeout: dialTimeout}
		var conn net.Conn
		var err error
		if config != nil {
			conn, err = (&tls.Dialer{NetDialer: plain, Config: config}).DialContext(ctx, "tcp", address)
		} else {
			conn, err = plain.DialContext(ctx, "tcp", address)
		}
		if err != nil {
			return nil, err
		}
		return conn, s.keep(conn)
	}
}

func (s *socket) keep(conn net.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped {
		_ = conn.Close()
		return fmt.Errorf("the load was dropped while it connected")
	}
	s.conn = conn
	return nil
}

// drop closes the connection, now or as soon as there is one.
func (s *socket) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped = true
	if s.conn != nil {
		_ = s.conn.Close()
	}
}
