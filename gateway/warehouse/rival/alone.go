package rival

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/gateway/warehouse/engine"
)

// The tables of the two rivals.
const (
	clickhouseTable = "rows_clickhouse.police"
	goTable         = "rows_go.police"
)

// Alone is an engine without a gateway, with one table for each rival.
type Alone struct {
	job    *Job
	engine *engine.Engine
	admin  driver.Conn
}

// Open starts an engine in a directory of its own and makes the tables, laid out as
// the gateway's.
func Open(ctx context.Context, dir string, job *Job, progress io.Writer) (*Alone, error) {
	e, err := engine.Start(ctx, engine.Options{Dir: dir, Progress: progress})
	if err != nil {
		return nil, err
	}
	a := &Alone{job: job, engine: e}
	a.admin, err = admin(e)
	for _, name := range []string{"clickhouse", "go"} {
		if err == nil {
			err = prepare(ctx, e, name, job.Contract)
		}
	}
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func prepare(ctx context.Context, e *engine.Engine, name string, c *gateway.Contract) error {
	house, err := warehouse.Open(ctx, warehouse.Options{
		Addresses: []string{e.Addr()}, Name: name, Password: func(user string) string { return e.Password(engine.User(user)) },
	})
	if err != nil {
		return err
	}
	return errors.Join(house.Prepare(ctx, []*gateway.Contract{c}), house.Close())
}

// admin connects as the one user that may read files.
func admin(e *engine.Engine) (driver.Conn, error) {
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{e.Addr()}, Auth: clickhouse.Auth{Username: string(engine.Admin), Password: e.Password(engine.Admin)},
		DialTimeout: 10 * time.Second, ReadTimeout: time.Hour,
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to the engine: %w", err)
	}
	return conn, nil
}

// Close ends the engine.
func (a *Alone) Close() error {
	if a.admin != nil {
		return errors.Join(a.admin.Close(), a.engine.Stop())
	}
	return a.engine.Stop()
}

// Pid is the engine's process.
func (a *Alone) Pid() int { return a.engine.Pid() }

// Empty removes what an earlier round stored.
func (a *Alone) Empty(ctx context.Context) error {
	for _, table := range []string{clickhouseTable, goTable} {
		err := a.admin.Exec(ctx, "TRUNCATE TABLE "+table+" SYNC")
		if err != nil {
			return fmt.Errorf("emptying a table: %w", err)
		}
	}
	return nil
}

// Select loads a file by one statement, see [Job.Statement].
func (a *Alone) Select(ctx context.Context, file string) error {
	return a.admin.Exec(ctx, a.job.Statement(clickhouseTable, file))
}

// Loop loads a file row by row, see [Job.Loader].
func (a *Alone) Loop(ctx context.Context, file io.Reader) error {
	_, _, err := a.job.Loader(ctx, a.admin, goTable, file)
	return err
}

// Fingerprints are the check sums of what the two rivals stored last.
func (a *Alone) Fingerprints(ctx context.Context) (clickhouse, plain string, err error) {
	clickhouse, err = fingerprint(ctx, a.admin, a.job, clickhouseTable)
	if err != nil {
		return "", "", err
	}
	plain, err = fingerprint(ctx, a.admin, a.job, goTable)
	return clickhouse, plain, err
}

// FingerprintOf is the check sum of what a gateway stored, whose engine's directory
// is free now.
func FingerprintOf(ctx context.Context, dir, name string, job *Job) (sum string, err error) {
	e, err := engine.Start(ctx, engine.Options{Dir: dir})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, e.Stop()) }()
	conn, err := admin(e)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return fingerprint(ctx, conn, job, "rows_"+name+".police")
}

func fingerprint(ctx context.Context, conn driver.Conn, job *Job, table string) (string, error) {
	var rows, children, sum uint64
	err := conn.QueryRow(ctx, job.Fingerprint(table)).Scan(&rows, &children, &sum)
	if err != nil {
		return "", fmt.Errorf("taking a fingerprint: %w", err)
	}
	return fmt.Sprintf("%d rows, %d children, %016x", rows, children, sum), nil
}
