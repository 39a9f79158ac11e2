package warehouse

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Child returns, of each load that has rows of a child under a contract, how many there
// are and the sum of their MACs. It is the same statement whether there are any or not.
func (w *Warehouse) Child(ctx context.Context, c gateway.ContractID, pid [16]byte) (map[gateway.LoadID]Sums, error) {
	if !validID(string(c)) {
		return nil, broken("a contract id that is none")
	}
	if pid == ([16]byte{}) {
		return nil, broken("the pid of rows without a child")
	}
	doing := "looking for a child in " + string(c)
	rows, err := w.loader.Query(ctx, fmt.Sprintf("SELECT load_id, count(), sum(%s) FROM %s WHERE %s GROUP BY load_id",
		gateway.ColumnMAC, w.rowsTable(c), ofChild), named("pid", hex.EncodeToString(pid[:])))
	if err != nil {
		return nil, internal(doing, orContext(ctx, err))
	}
	defer func() { _ = rows.Close() }()
	found := map[gateway.LoadID]Sums{}
	for rows.Next() {
		var id uint64
		var sums Sums
		err = rows.Scan(&id, &sums.Rows, &sums.MAC)
		if err != nil {
			return nil, internal(doing, err)
		}
		found[gateway.LoadID(id)] = sums
	}
	return found, internal(doing, rows.Err())
}

// ofChild takes the pid as a parameter, so that it is in no statement's text.
const ofChild = gateway.ColumnPID + " = toFixedString(unhex({pid:String}), 16)"

// erasedAtOnce is how many rows one statement names.
const erasedAtOnce = 1000

// EraseChild deletes the rows of a child in some loads. When it returns without an error
// no statement can read them and the files that held them are unlinked. It may be
// repeated, and must be after an error.
//
// The server keeps the text of a deletion, so it does not name the child: it names the
// rows by their MACs, which say nothing once the rows are gone.
func (w *Warehouse) EraseChild(ctx context.Context, c gateway.ContractID, pid [16]byte, loads ...gateway.LoadID) error {
	if !validID(string(c)) || pid == ([16]byte{}) {
		return broken("a contract id or a pid that is none")
	}
	byPartition := map[uint64][]gateway.LoadID{}
	for _, load := range loads {
		partition := uint64(load) % loadPartitions
		byPartition[partition] = append(byPartition[partition], load)
	}
	for _, partition := range slices.Sorted(maps.Keys(byPartition)) {
		for _, load := range byPartition[partition] {
			err := w.eraseChild(ctx, c, partition, load, pid)
			if err != nil {
				return err
			}
		}
		// Also where an earlier attempt has deleted, and was killed before it knew.
		err := w.awaitUnlinked(ctx, c, partition)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *Warehouse) eraseChild(ctx context.Context, c gateway.ContractID, partition uint64, load gateway.LoadID, pid [16]byte) error {
	doing := "erasing a child in " + string(c)
	param := named("pid", hex.EncodeToString(pid[:]))
	in := fmt.Sprintf("%s = %d AND ", loadColumn, uint64(load))
	for {
		var macs []uint64
		var rows, named uint64
		err := w.loader.QueryRow(ctx, fmt.Sprintf("SELECT groupUniqArray(%d)(%s), count() FROM %s WHERE %s%s",
			erasedAtOnce, gateway.ColumnMAC, w.rowsTable(c), in, ofChild), param).Scan(&macs, &rows)
		if err != nil {
			return internal(doing, orContext(ctx, err))
		}
		if rows == 0 {
			return nil
		}
		var list []string
		for _, mac := range macs {
			list = append(list, fmt.Sprint(mac))
		}
		where := in + fmt.Sprintf("%s IN (%s)", gateway.ColumnMAC, strings.Join(list, ", "))
		// A row of another child with the same MAC in the same load: of n rows, a chance of
		// n/2^64 for each that goes. Nothing is deleted then.
		err = w.loader.QueryRow(ctx, fmt.Sprintf("SELECT countIf(NOT (%s)) FROM %s WHERE %s", ofChild, w.rowsTable(c), where), param).Scan(&named)
		if err != nil {
			return internal(doing, orContext(ctx, err))
		}
		if named != 0 {
			return broken("another child's row of %s has the check sum of a row that is to go", c)
		}
		err = w.loader.Exec(ctx, fmt.Sprintf("ALTER TABLE %s DELETE IN PARTITION %d WHERE %s SETTINGS mutations_sync = 2", w.rowsTable(c), partition, where))
		if err != nil {
			return internal(doing, orContext(ctx, err))
		}
	}
}
