package warehouse

import (
	"context"
	"fmt"
	"math/bits"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway"
)

// Units of disclosure.md 2.4 rule 2: of each cell, how many units have records in it
// and how many children the largest has. They are counted as cells are, with the unit
// of a record as one more dimension of events: a child is of a unit in a cell when it
// has a record of it there.
//
// The unit of a record is that of its load, which the caller of Count tells by number:
// it is nowhere in the rows, and nothing that an uploader writes can change it.

// A unitSlot is where a record's unit lies in the event's word: the highest bits. 0
// stands for all records of contracts that declare no units, 1 to known for the units
// of the build, and known+1 for the loads of declared contracts that have no unit: one
// together, which hides more than telling them apart.
type unitSlot struct {
	shift uint
	mask  uint64 // 0 where no contract declares units
	of    map[int]uint32
}

func (u *unitSlot) counted() bool { return u.mask != 0 }

// known is how many units the build has.
func (u *unitSlot) known() int { return len(u.of) }

// newUnits numbers the units of the loads and places them above the other bits of an
// event's word.
func (c *counting) newUnits(eventBits uint) (uint, error) {
	if !slices.ContainsFunc(c.contracts, func(k *gateway.Contract) bool { return k.Unit }) {
		return eventBits, nil
	}
	c.units.of = map[int]uint32{}
	for _, unit := range c.Units {
		if _, seen := c.units.of[unit]; unit != 0 && !seen {
			c.units.of[unit] = uint32(len(c.units.of) + 1) //nolint:gosec // G115: as many as loads, at most
		}
	}
	width := uint(bits.Len(uint(c.units.known() + 1)))
	c.units.shift, c.units.mask = eventBits, 1<<width-1
	if eventBits+width > maxWordBits {
		return 0, gateway.Errorf(gateway.Invalid, "the dimensions have too many codes to be counted with the units; make another release for some of them")
	}
	return eventBits + width, nil
}

// insertLoads stores the unit of each load.
func (c *counting) insertLoads(ctx context.Context) error {
	if !c.units.counted() {
		return nil
	}
	doing := "counting " + string(c.Release) + ": the units of loads"
	return insert(ctx, c.w.builder, doing, "INSERT INTO "+c.table("loads")+" (load_id, UnitOfLoad)", func(batch driver.Batch) error {
		for load, unit := range c.Units {
			err := batch.Append(uint64(load), c.units.of[unit])
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// unitOf is the SQL that joins the units of their loads to a contract's rows, and of
// the column that a record's unit is read from.
func (c *counting) unitOf(contract *gateway.Contract) (join, column string) {
	if !contract.Unit {
		return "", "toUInt32(0) AS Unit"
	}
	// A load that is not in the table reads as 0, and so as one without a unit.
	return " LEFT ANY JOIN " + c.table("loads") + " USING (load_id)",
		fmt.Sprintf("if(UnitOfLoad = 0, toUInt32(%d), UnitOfLoad) AS Unit", c.units.known()+1)
}

// countUnits counts the units of the cells of a part. The rows come by unit, so what
// is held of the unit at hand is one number a cell.
func (c *counting) countUnits(ctx context.Context, p *part) error {
	if !c.units.counted() {
		return nil
	}
	with := *p
	with.units = true
	doing := "counting " + string(c.Release) + ": counting units"
	words := c.runs(&with, 1)
	if p.marks {
		words = c.markedUnits(p)
	}
	// The unit has the highest bits: by e is by unit.
	rows, err := c.w.builder.Query(ctx, fmt.Sprintf("SELECT a, toUInt64(e) AS w, count() AS n FROM (%s) GROUP BY a, e ORDER BY w", words))
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	defer func() { _ = rows.Close() }()
	unit := uint64(0)
	for rows.Next() {
		var b base
		err = rows.Scan(&b.attr, &b.event, &b.children)
		if err != nil {
			return internal(doing, err)
		}
		if of := b.event >> c.units.shift; of != unit {
			p.endUnit(unit)
			unit = of
		}
		for _, t := range p.sets {
			t.addUnit(&b)
		}
	}
	p.endUnit(unit)
	err = rows.Err()
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	return nil
}

// markedUnits is the SQL of one row for each child, outcome and unit that has any
// record of the child: an outcome is of the child, not of a record.
func (c *counting) markedUnits(p *part) string {
	return fmt.Sprintf(`SELECT bitAnd(attr, %d) AS a, bitOr(toUInt64(u), toUInt64(o)) AS e FROM (
		SELECT attr, o, arrayDistinct(arrayMap(x -> bitAnd(toUInt64(x), %d), ev)) AS us FROM %s ARRAY JOIN %s AS o) ARRAY JOIN us AS u`,
		p.attrs, c.units.mask<<c.units.shift, c.table("kids"), marksColumn)
}

// addUnit adds children of the unit at hand to their cells.
func (t *tally) addUnit(b *base) {
	for _, at := range t.locate(b) {
		cell := &t.cells[at]
		if cell.ofUnit == 0 {
			t.touched = append(t.touched, at)
		}
		cell.ofUnit += b.children
	}
}

// endUnit takes what was counted of a unit into its cells. The records of contracts
// without units count as a unit, but never as the largest.
func (p *part) endUnit(unit uint64) {
	for _, t := range p.sets {
		for _, at := range t.touched {
			cell := &t.cells[at]
			cell.units++
			if unit != 0 {
				cell.topUnit = max(cell.topUnit, cell.ofUnit)
			}
			cell.ofUnit = 0
		}
		t.touched = t.touched[:0]
	}
}
