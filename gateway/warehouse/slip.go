package warehouse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A hand-over is found by the number on the referral slip, which sender and receiver
// write down and the gateway keys alike. The receiver's record may be of the same child;
// or of none, where the helpline or a clinic has no number of the child; or of another,
// where one of the two has mistyped it. Days of different children are shifted by
// different secrets, so of those only that the slip arrived is known, and not when.

// Columns of events: the number, and the sectors that hold it in a record of another
// child or of none, as bits.
const (
	slipColumn = "Slip"
	keptColumn = "Kept"
)

const noSlip = "toFixedString('', 16)"

// slipOf is the SQL of the number on a contract's rows.
func slipOf(contract *gateway.Contract) string {
	if slices.Contains(contract.Layout(), gateway.Column{Name: gateway.ColumnSlip, Type: gateway.ID}) {
		return quote(gateway.ColumnSlip)
	}
	return noSlip
}

// bearers is the SQL of (BornSlip, bearers): for each number, in which sector whose
// records have it. It sees rows without a child too.
func (c *counting) bearers() string {
	var parts []string
	for i, contract := range c.contracts {
		if slip := slipOf(contract); slip != noSlip {
			parts = append(parts, fmt.Sprintf("SELECT %s AS BornSlip, toUInt8(%d) AS BornIn, pid AS BornBy FROM %s WHERE %[1]s != %[4]s AND (%[5]s)",
				slip, i+1, c.w.rowsTable(contract.ID), noSlip, c.seen(contract, c.views)))
		}
	}
	return "SELECT BornSlip, groupUniqArray((BornIn, BornBy)) AS bearers FROM (" + strings.Join(parts, " UNION ALL ") + ") GROUP BY BornSlip"
}

// kept is the SQL of the sectors that hold an event's number for somebody else.
func kept() string {
	return "arrayReduce('groupBitOr', arrayPushBack(arrayMap(b -> if(b.2 = e.pid, toUInt64(0), toUInt64(bitShiftLeft(toUInt64(1), b.1 - 1))), bearers), toUInt64(0)))"
}

// slip is the day of a step that looks for the slips of the start, or never.
func (o *outcomes) slip(p *gateway.Path, at, i int) {
	s := &p.Steps[i]
	mask := uint64(0)
	var received []string
	for _, h := range s.Any {
		mask |= 1 << (o.c.order[h.Sector] - 1)
		for _, day := range on(h) {
			received = append(received, o.array(fmt.Sprintf("groupArrayIf((toInt64(%s), %s), %s AND %[1]s != %[4]d)", day, slipColumn, o.c.is(h), gateway.NoDay)))
		}
	}
	name := fmt.Sprintf("p%d", at)
	o.columns = append(o.columns,
		fmt.Sprintf("arrayFilter(s -> s.1 = %[1]s_s, %[1]s_all) AS %[1]s_first%[2]d", name, i),
		fmt.Sprintf(`arrayMin(arrayConcat([toInt64(%[1]d), if(arrayExists(s -> s.4 != %[2]s AND bitAnd(s.5, %[3]d) != 0, %[4]s_first%[5]d), %[4]s_s, toInt64(%[1]d))],
			arrayMap(r -> if(arrayExists(s -> (s.4 != %[2]s AND r.2 = s.4 AND r.1 - %[4]s_s BETWEEN %[6]d AND %[7]d)
				OR (s.4 = %[2]s AND abs(r.1 - %[4]s_s) <= %[8]d), %[4]s_first%[5]d), r.1, toInt64(%[1]d)), arrayConcat(%[9]s)))) AS %[4]s_t%[5]d`,
			never, noSlip, mask, name, i, s.From, s.To, s.Near, strings.Join(received, ", ")))
}
