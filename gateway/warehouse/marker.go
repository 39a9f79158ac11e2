package warehouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway"
)

// A Marker says that a batch, in the rows of one load, became visible or ceased
// to be. It mirrors a decision of the registry.
type Marker struct {
	Seq      uint64 // order of the decision; later ones win
	Batch    gateway.BatchID
	Load     gateway.LoadID
	Contract gateway.ContractID
	State    gateway.BatchState // BatchPublished or BatchWithdrawn
	// Generation says for which rotations of keys this load stands for the batch: from
	// this one on, until a later generation has another. A withdrawal is of all.
	Generation uint32
}

// Publish writes a marker. Writing the same one again changes nothing, so a
// caller that does not know whether it was written writes it again. A withdrawal
// that shares its Seq with the publication wins.
func (w *Warehouse) Publish(ctx context.Context, m Marker) error {
	if m.State != gateway.BatchPublished && m.State != gateway.BatchWithdrawn {
		return broken("a marker of state %s", m.State)
	}
	if !validID(string(m.Contract)) || m.Batch == "" {
		return broken("a marker without a contract or a batch")
	}
	if m.State == gateway.BatchWithdrawn {
		m.Generation = 0
	}
	return insert(ctx, w.loader, "writing a marker", "INSERT INTO "+w.commits()+" (contract, batch, seq, load_id, state, generation)",
		func(batch driver.Batch) error {
			return batch.Append(string(m.Contract), string(m.Batch), m.Seq, uint64(m.Load), string(m.State), m.Generation)
		})
}

// visible is the SQL of the load ids of a contract that count for a snapshot:
// of each batch, the load of its newest marker up to the snapshot, when that
// published it and no later marker withdrew it. A batch that was withdrawn after
// the snapshot is gone at once, also from a release that is being built. Of loads that
// hold the same batch under other keys, the one of the generation counts: a snapshot
// is of the same batches before and after a rotation.
func (w *Warehouse) visible(c gateway.ContractID, at Snapshot) string {
	return fmt.Sprintf(`SELECT argMaxIf(load_id, (seq, state, generation), seq <= %[1]d) AS id FROM %[2]s
		WHERE contract = '%[3]s' AND generation <= %[4]d
		GROUP BY batch HAVING countIf(seq <= %[1]d) > 0
		AND argMaxIf(state, (seq, state), seq <= %[1]d) = 'published' AND argMax(state, (seq, state)) = 'published'`,
		at.Seq, w.commits(), string(c), at.Generation)
}

// A Snapshot is what of the batches counts: those committed up to Seq, in the rows that
// the generation of keys has of them.
type Snapshot struct {
	Seq        uint64
	Generation uint32 // see [Marker]
}

// Visible returns the loads of a contract whose rows count for a snapshot: those
// of batches published up to it and not withdrawn.
func (w *Warehouse) Visible(ctx context.Context, c gateway.ContractID, at Snapshot) ([]gateway.LoadID, error) {
	if !validID(string(c)) {
		return nil, broken("a contract id that is none")
	}
	var ids []uint64
	err := w.loader.QueryRow(ctx, "SELECT groupUniqArray(id) FROM ("+w.visible(c, at)+")").Scan(&ids)
	if err != nil {
		return nil, internal("reading markers", err)
	}
	loads := make([]gateway.LoadID, len(ids))
	for i, id := range ids {
		loads[i] = gateway.LoadID(id)
	}
	return loads, nil
}

// Loads returns every load that has rows of a contract, visible or not, with the
// sums of what is stored. It reads the MAC of every row: it is for the sweeper
// and fsck.
func (w *Warehouse) Loads(ctx context.Context, c gateway.ContractID) (map[gateway.LoadID]Sums, error) {
	if !validID(string(c)) {
		return nil, broken("a contract id that is none")
	}
	rows, err := w.loader.Query(ctx, "SELECT load_id, count(), sum(chk) FROM "+w.rowsTable(c)+" GROUP BY load_id")
	if err != nil {
		return nil, internal("reading loads of "+string(c), err)
	}
	defer func() { _ = rows.Close() }()
	loads := map[gateway.LoadID]Sums{}
	for rows.Next() {
		var id uint64
		var sums Sums
		err = rows.Scan(&id, &sums.Rows, &sums.MAC)
		if err != nil {
			return nil, internal("reading loads of "+string(c), err)
		}
		loads[gateway.LoadID(id)] = sums
	}
	return loads, internal("reading loads of "+string(c), rows.Err())
}

// eraseTries and erasePause bound how long an erasure waits until the server has
// unlinked the parts that held the rows; tableSettings makes that a few seconds.
const (
	eraseTries = 120
	erasePause = 500 * time.Millisecond
)

// Erase deletes the rows of loads. When it returns without an error no
// statement can read them and the files that held them are unlinked. A load
// without rows is no error, so it may be repeated, and must be after an error.
// Withdraw the batch's marker first.
func (w *Warehouse) Erase(ctx context.Context, c gateway.ContractID, loads ...gateway.LoadID) error {
	if !validID(string(c)) {
		return broken("a contract id that is none")
	}
	byPartition := map[uint64][]string{}
	for _, load := range loads {
		partition := uint64(load) % loadPartitions
		byPartition[partition] = append(byPartition[partition], strconv.FormatUint(uint64(load), 10))
	}
	for _, partition := range slices.Sorted(maps.Keys(byPartition)) {
		err := w.erase(ctx, c, partition, byPartition[partition])
		if err != nil {
			return err
		}
	}
	return nil
}

// erase deletes the rows of loads of one partition, all by one rewriting of its parts.
func (w *Warehouse) erase(ctx context.Context, c gateway.ContractID, partition uint64, loads []string) error {
	doing := "erasing loads of " + string(c)
	where := fmt.Sprintf("%s IN (%s)", loadColumn, strings.Join(loads, ", "))
	// One mutation that rewrites the parts, instead of a mask and a second
	// mutation that applies it: nothing masked is ever left behind.
	err := w.loader.Exec(ctx, fmt.Sprintf("ALTER TABLE %s DELETE IN PARTITION %d WHERE %s SETTINGS mutations_sync = 2",
		w.rowsTable(c), partition, where))
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	var left uint64
	err = w.loader.QueryRow(ctx, "SELECT count() FROM "+w.rowsTable(c)+" WHERE "+where).Scan(&left)
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	if left != 0 {
		return broken("an erased load of %s still holds %d rows", c, left)
	}
	return w.awaitUnlinked(ctx, c, partition)
}

// awaitUnlinked waits for the parts of a partition that are replaced now; ones
// that later merges replace never held the rows.
func (w *Warehouse) awaitUnlinked(ctx context.Context, c gateway.ContractID, partition uint64) error {
	doing := "waiting for erased parts of " + string(c)
	query := `SELECT groupArray(name) FROM system.parts WHERE database = {d:String} AND table = {t:String}
		AND partition_id = {p:String} AND NOT active`
	var doomed []string
	for try := range eraseTries {
		var replaced []string
		err := w.loader.QueryRow(ctx, query, named("d", w.rowsDatabase()), named("t", string(c)),
			named("p", strconv.FormatUint(partition, 10))).Scan(&replaced)
		if err != nil {
			return internal(doing, orContext(ctx, err))
		}
		if try == 0 {
			doomed = replaced
		}
		doomed = slices.DeleteFunc(doomed, func(part string) bool { return !slices.Contains(replaced, part) })
		if len(doomed) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return internal(doing, ctx.Err())
		case <-time.After(erasePause):
		}
	}
	return broken("parts that held an erased load of %s are still on disk", c)
}

func named(name string, value any) driver.NamedValue { return clickhouse.Named(name, value) }
