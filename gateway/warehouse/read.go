package warehouse

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"

	"github.com/pana-exchange/pana/gateway"
)

// ReadLoad streams the rows of one load, column by column, into blocks that it takes
// from free and sends to full, in no order of the rows. It closes neither channel. It
// refuses a table that has other columns than the contract: what a newer version of the
// contract stores would be lost on the way.
//
// It goes around clickhouse-go, which hands out rows only: a reflected scan of every
// value takes microseconds a row, whole columns take none.
func (w *Warehouse) ReadLoad(
	ctx context.Context, c *gateway.Contract, id gateway.LoadID, free <-chan *gateway.Block, full chan<- *gateway.Block,
) error {
	err := validContract(c)
	if err != nil {
		return err
	}
	layout := c.Layout()
	err = w.sameColumns(ctx, c.ID, layout)
	if err != nil {
		return err
	}
	doing := "reading a load of " + string(c.ID)
	client, err := w.columnar(ctx)
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	defer func() { _ = client.Close() }()
	// A read that waits for the server does not look at its context.
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	read := newReading(layout)
	err = client.Do(ctx, ch.Query{
		Body: fmt.Sprintf("SELECT %s FROM %s WHERE %s = %d", read.names(), w.rowsTable(c.ID), loadColumn, uint64(id)),
		Settings: []ch.Setting{
			ch.SettingInt("max_block_size", gateway.BlockRows), ch.SettingInt("max_execution_time", 0),
			ch.SettingInt("skip_unavailable_shards", 0), ch.SettingInt("select_sequential_consistency", 1),
		},
		Result: read.results,
		OnResult: func(ctx context.Context, b proto.Block) error {
			return read.pass(ctx, b.Rows, free, full)
		},
	})
	return internal(doing, orContext(ctx, err))
}

// columnar connects as the loader, past clickhouse-go.
func (w *Warehouse) columnar(ctx context.Context) (*ch.Client, error) {
	var dialer ch.Dialer = &net.Dialer{Timeout: dialTimeout}
	if w.options.TLS != nil {
		dialer = &tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: w.options.TLS}
	}
	var client *ch.Client
	var err error
	for _, address := range w.options.Addresses {
		client, err = ch.Dial(ctx, ch.Options{
			Address: address, Database: "default", User: Loader, Password: w.options.Password(Loader),
			Dialer: dialer, DialTimeout: dialTimeout, ReadTimeout: ch.NoTimeout,
		})
		if err == nil {
			break
		}
	}
	return client, err
}

// sameColumns refuses a table whose columns are not those of the layout.
func (w *Warehouse) sameColumns(ctx context.Context, c gateway.ContractID, layout []gateway.Column) error {
	rows, err := w.loader.Query(ctx, "SELECT * FROM "+w.rowsTable(c)+" LIMIT 0") //nolint:unqueryvet // every column is what it is about
	if err != nil {
		return internal("reading the columns of "+string(c), orContext(ctx, err))
	}
	defer func() { _ = rows.Close() }()
	have := map[string]string{}
	for _, column := range rows.ColumnTypes() {
		have[column.Name()] = column.DatabaseTypeName()
	}
	same := len(have) == len(layout)+1
	for _, column := range layout {
		same = same && have[column.Name] == typeName(column.Type)
	}
	if !same {
		return gateway.Errorf(gateway.Conflict,
			"the table of %s has other columns than its contract: start a gateway that has the newest version of the contract", c)
	}
	return nil
}

// A reading is where the columns of one block from the server land.
type reading struct {
	layout  []gateway.Column
	results proto.Results
	u8      map[int]*proto.ColUInt8
	u16     map[int]*proto.ColUInt16
	u64     map[int]*proto.ColUInt64
	i32     map[int]*proto.ColInt32
	id      map[int]*proto.ColFixedStr
}

func newReading(layout []gateway.Column) *reading {
	r := &reading{
		layout: layout, u8: map[int]*proto.ColUInt8{}, u16: map[int]*proto.ColUInt16{}, u64: map[int]*proto.ColUInt64{},
		i32: map[int]*proto.ColInt32{}, id: map[int]*proto.ColFixedStr{},
	}
	for i, column := range layout {
		r.results = append(r.results, proto.ResultColumn{Name: column.Name, Data: r.column(i, column.Type)})
	}
	return r
}

func (r *reading) column(i int, t gateway.ColumnType) proto.ColResult {
	switch t {
	case gateway.Uint8:
		r.u8[i] = &proto.ColUInt8{}
		return r.u8[i]
	case gateway.Uint16:
		r.u16[i] = &proto.ColUInt16{}
		return r.u16[i]
	case gateway.Uint64:
		r.u64[i] = &proto.ColUInt64{}
		return r.u64[i]
	case gateway.Int32:
		r.i32[i] = &proto.ColInt32{}
		return r.i32[i]
	case gateway.ID:
		r.id[i] = &proto.ColFixedStr{Size: idBytes}
		return r.id[i]
	}
	panic("warehouse: internal error: column type")
}

const idBytes = 16

func (r *reading) names() string {
	names := make([]string, len(r.layout))
	for i, column := range r.layout {
		names[i] = quote(column.Name)
	}
	return strings.Join(names, ", ")
}

// pass hands the rows of one block of the server on in blocks of ours.
func (r *reading) pass(ctx context.Context, rows int, free <-chan *gateway.Block, full chan<- *gateway.Block) error {
	for from := 0; from < rows; from += gateway.BlockRows {
		var b *gateway.Block
		select {
		case b = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		r.copy(b, from, min(rows, from+gateway.BlockRows))
		select {
		case full <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (r *reading) copy(b *gateway.Block, from, to int) {
	b.SetRows(to - from)
	for i := range r.layout {
		switch r.layout[i].Type {
		case gateway.Uint8:
			copy(b.Uint8s(i), (*r.u8[i])[from:to])
		case gateway.Uint16:
			copy(b.Uint16s(i), (*r.u16[i])[from:to])
		case gateway.Uint64:
			copy(b.Uint64s(i), (*r.u64[i])[from:to])
		case gateway.Int32:
			copy(b.Int32s(i), (*r.i32[i])[from:to])
		case gateway.ID:
			ids, buf := b.IDs(i), r.id[i].Buf[from*idBytes:]
			for n := range to - from {
				ids[n] = [idBytes]byte(buf[n*idBytes:])
			}
		}
	}
}
