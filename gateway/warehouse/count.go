package warehouse

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// A Build says what to count for a release.
type Build struct {
	Definition *gateway.Definition
	Release    gateway.ReleaseID
	Snapshot   uint64 // count batches committed up to this one
	Generation uint32 // of the keys that SubjectKey has; see [Marker]
	// Closed quarters count batches committed up to an earlier one only: what came
	// later waits for a revision (disclosure.md 2.8). Other quarters of the window,
	// and all of them where this is nil, count by Snapshot.
	Closed map[gateway.Quarter]uint64
	// Contracts are those whose rows are counted. Their order settles which of two
	// sectors that saw a child on the same day was first. Of several versions of
	// one contract the newest stands for all.
	Contracts  []*gateway.Contract
	SubjectKey func(pid [16]byte) uint64 // rk of disclosure.md 2.2
	Coverage   *gateway.Coverage         // decides who cannot be told to be reached
	// Units are the units of the loads of contracts that declare units, by the
	// registry's numbers, 0 for none: who sent them, never a column of theirs
	// (disclosure.md 2.4 rule 2). Other loads need none.
	Units map[gateway.LoadID]int
	// Order is of all batches of Snapshot. Where it has corrections they replace earlier
	// records; without it nothing does.
	Order     []Ordered
	RecordCap int                   // most records of one child that count in a cell, 1 to 65,535
	Progress  func(done, total int) // in grouping sets; may be nil
}

func (b *Build) validate() error {
	switch {
	case b.Definition == nil || b.Release == "" || b.SubjectKey == nil || b.Coverage == nil || len(b.Contracts) == 0:
		return broken("a build lacks its definition, release, keys, coverage or contracts")
	case b.RecordCap < 1 || b.RecordCap > 65535:
		return gateway.Errorf(gateway.Invalid, "the cap of a child's records must be from 1 to 65,535")
	case b.Definition.From == 0 || b.Definition.To < b.Definition.From || b.Definition.To-b.Definition.From >= maxQuarters:
		return gateway.Errorf(gateway.Invalid, "the release window ends before it starts")
	}
	for q, snapshot := range b.Closed {
		if q < b.Definition.From || q > b.Definition.To || snapshot > b.Snapshot {
			return broken("a closed quarter is not in the window, or counts batches that the build does not")
		}
	}
	return nil
}

// maxQuarters bounds a window, as [gateway.Definition.Window] does.
const maxQuarters = 40

// Count counts every non-empty cell of every grouping set that the definition
// admits, over the children's records of the window. It sees rows of batches
// that are published up to the snapshot, and only rows with a child id.
//
// The work is done in tables of the build_ database that hold children as
// numbers of this release; they are dropped before Count returns. A process
// killed meanwhile leaves them: see [Warehouse.DropBuilds].
func (w *Warehouse) Count(ctx context.Context, b Build) (*disclosure.Raw, error) {
	c, err := w.newCounting(b)
	if err != nil {
		return nil, err
	}
	defer c.drop(ctx)
	err = c.derive(ctx)
	if err != nil {
		return nil, err
	}
	raw := disclosure.NewRaw(b.Definition)
	err = c.cells(ctx, raw.Add, raw.AddSum)
	if err != nil {
		return nil, err
	}
	return raw, nil
}

// A counting is one run of Count.
type counting struct {
	Build
	w         *Warehouse
	contracts []*gateway.Contract        // one of each id
	order     map[gateway.ContractID]int // from 1: sectors as numbers
	columns   []sourceColumn             // what events carry for the sources
	happened  []sourceColumn             // and for the happenings of outcomes alone
	slips     bool                       // some step looks for referral slips
	slots     map[string]*slot
	word      string // type of an event's word
	regions   *regions
	children  uint32 // how many
	views     []view // what is counted
	closed    []view // of a comparison: what counted before
	units     unitSlot
}

func (w *Warehouse) newCounting(b Build) (*counting, error) {
	err := b.validate()
	if err != nil {
		return nil, err
	}
	c := &counting{Build: b, w: w, order: map[gateway.ContractID]int{}}
	for _, contract := range b.Contracts {
		err = validContract(contract)
		if err != nil {
			return nil, err
		}
		at, seen := c.order[contract.ID]
		switch {
		case !seen:
			c.contracts = append(c.contracts, contract)
			c.order[contract.ID] = len(c.contracts)
		case contract.Version > c.contracts[at-1].Version:
			c.contracts[at-1] = contract
		}
	}
	if len(c.contracts) > maxSectors {
		return nil, gateway.Errorf(gateway.Invalid, "a release counts at most %d contracts", maxSectors)
	}
	c.columns, err = c.sourceColumns()
	if err != nil {
		return nil, err
	}
	var eventBits uint
	c.slots, eventBits, err = newSlots(b.Definition, len(c.contracts), c.holdsSets)
	if err != nil {
		return nil, err
	}
	err = c.checkCrossed()
	if err != nil {
		return nil, err
	}
	eventBits, err = c.newUnits(eventBits)
	if err != nil {
		return nil, err
	}
	c.word = "UInt64"
	if eventBits < 32 {
		c.word = "UInt32"
	}
	c.regions = c.newRegions()
	c.views = b.views()
	return c, nil
}

// table names a table of this build.
func (c *counting) table(kind string) string {
	return quote(c.w.buildDatabase()) + "." + quote(string(c.Release)+"_"+kind)
}

// buildTables are the tables of a build, and of a comparison before it.
var buildTables = []string{"loads", "children", "events", "kids", "now", "was", "changed", "ordered", "replaced"}

// derive makes the tables of the build.
func (c *counting) derive(ctx context.Context) error {
	err := c.link(ctx, c.createTables())
	if err != nil {
		return err
	}
	for from := uint32(0); from < c.children; from += slice {
		err = c.exec(ctx, "deriving children", c.insertKids(from, from+slice))
		if err != nil {
			return err
		}
	}
	return nil
}

// link makes tables and fills those of children and events.
func (c *counting) link(ctx context.Context, tables []string) error {
	for _, kind := range buildTables {
		err := c.exec(ctx, "dropping an older build", "DROP TABLE IF EXISTS "+c.table(kind)+" SYNC")
		if err != nil {
			return err
		}
	}
	for _, create := range tables {
		err := c.exec(ctx, "creating tables", create)
		if err != nil {
			return err
		}
	}
	err := c.findReplaced(ctx)
	if err != nil {
		return err
	}
	err = c.numberChildren(ctx)
	if err != nil {
		return err
	}
	err = c.insertLoads(ctx)
	if err != nil {
		return err
	}
	return c.exec(ctx, "linking events", c.insertEvents())
}

// slice is how many children are derived by one statement, which bounds its
// memory.
const slice = 1 << 20

// dropTime is how long dropping the tables of a build may take after its end.
const dropTime = 30 * time.Second

// drop is best effort: DropBuilds finds what it leaves.
func (c *counting) drop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTime)
	defer cancel()
	for _, kind := range buildTables {
		_ = c.exec(ctx, "dropping tables", "DROP TABLE IF EXISTS "+c.table(kind)+" SYNC")
	}
}

func (c *counting) exec(ctx context.Context, doing, statement string) error {
	err := c.w.builder.Exec(ctx, statement)
	if err != nil {
		return internal("counting "+string(c.Release)+": "+doing, orContext(ctx, err))
	}
	return nil
}

// DropBuilds drops the tables of all builds. Call it when no build is running
// anywhere: at start, where one gateway owns the warehouse.
func (w *Warehouse) DropBuilds(ctx context.Context) error {
	var tables []string
	err := w.builder.QueryRow(ctx, "SELECT groupArray(name) FROM system.tables WHERE database = {d:String}",
		named("d", w.buildDatabase())).Scan(&tables)
	if err != nil {
		return internal("looking for tables of builds", orContext(ctx, err))
	}
	for _, table := range tables {
		err = w.builder.Exec(ctx, "DROP TABLE IF EXISTS "+quote(w.buildDatabase())+"."+quote(table)+" SYNC")
		if err != nil {
			return internal("dropping tables of builds", orContext(ctx, err))
		}
	}
	return nil
}

// numberChildren streams the distinct pids out, and puts each back with its
// number in this release and its subject key.
func (c *counting) numberChildren(ctx context.Context) error {
	doing := "counting " + string(c.Release) + ": numbering children"
	rows, err := c.w.builder.Query(ctx, "SELECT pid FROM ("+c.union(nil)+") GROUP BY pid")
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	defer func() { _ = rows.Close() }()
	err = insert(ctx, c.w.builder, doing, "INSERT INTO "+c.table("children")+" (pid, child, rk)",
		func(batch driver.Batch) error {
			k := &keyed{batch: batch}
			var pid []byte
			for rows.Next() {
				err := rows.Scan(&pid)
				if err == nil {
					err = k.add([16]byte(pid), c.SubjectKey([16]byte(pid)))
				}
				if err != nil {
					return err
				}
			}
			err := rows.Err()
			if err != nil {
				return err
			}
			c.children = k.children
			return k.flush()
		})
	if err == nil && c.children > maxChildren {
		return gateway.Errorf(gateway.TooLarge, "a release of more than %d children", maxChildren)
	}
	return err
}

// maxChildren leaves room to count slices in 32 bits.
const maxChildren = 1 << 31
