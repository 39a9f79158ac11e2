package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Combinations asks how many children of one contract have each combination of
// stored values, for the risk page's figures on the stored rows.
type Combinations struct {
	Contract  gateway.ContractID
	Snapshot  Snapshot        // rows of batches visible at it
	From, To  gateway.Quarter // of the release's window
	Quasi     []Values
	Sensitive []Values
}

// Values is one stored column as a number below Size; anything else is 0.
type Values struct {
	Column string
	Size   int
	From   int   // the stored number that counts as 1; 0 means 1
	Map    []int // by stored number: the number that it counts as; nil keeps them
	Set    bool  // a set of codes, of which the lowest counts
}

// childrenAtOnce bounds how many children are held in memory while they are
// grouped; more rows take several passes, each over a part of the children.
const childrenAtOnce = 2 << 20

// maxWord is below which both packed words of a combination stay.
const maxWord = uint64(1) << 62

// Children streams the combinations of one contract with how many children have
// each. A child counts once, by the earliest of its records (of equal days, and of those
// without a day, a random one): class sizes then add up over columns, and memory does not grow with the
// records of a child. A combination may come several times. Rows without a child
// count nowhere. The slices given to each are reused.
func (w *Warehouse) Children(ctx context.Context, c Combinations, each func(quasi, sensitive []int, children int) error) error {
	if !validID(string(c.Contract)) {
		return broken("a contract id that is none")
	}
	quasi, err := packed(c.Quasi)
	if err != nil {
		return err
	}
	sensitive, err := packed(c.Sensitive)
	if err != nil {
		return err
	}
	from := fmt.Sprintf("%s WHERE %s IN (%s) AND %s BETWEEN %d AND %d AND %s != toFixedString('', 16)",
		w.rowsTable(c.Contract), loadColumn, w.visible(c.Contract, c.Snapshot), gateway.ColumnQuarter, c.From, c.To, gateway.ColumnPID)
	var rows uint64
	err = w.builder.QueryRow(ctx, "SELECT count() FROM "+from).Scan(&rows)
	if err != nil {
		return internal("counting the rows of "+string(c.Contract), orContext(ctx, err))
	}
	parts := rows/childrenAtOnce + 1
	for part := range parts {
		query := fmt.Sprintf(`SELECT v.1 AS q, v.2 AS s, count() AS n FROM (
			SELECT argMin((%s, %s), (%s = %d, %[3]s, %[5]s)) AS v FROM %[6]s AND reinterpretAsUInt64(%[7]s) %% %[8]d = %[9]d GROUP BY %[7]s)
			GROUP BY q, s`, quasi, sensitive, gateway.ColumnDay, gateway.NoDay, gateway.ColumnRandom, from, gateway.ColumnPID, parts, part)
		err = w.combinations(ctx, &c, query, each)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *Warehouse) combinations(ctx context.Context, c *Combinations, query string, each func(quasi, sensitive []int, children int) error) error {
	doing := "counting combinations of " + string(c.Contract)
	rows, err := w.builder.Query(ctx, query)
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	defer func() { _ = rows.Close() }()
	quasi, sensitive := make([]int, len(c.Quasi)), make([]int, len(c.Sensitive))
	var q, s, n uint64
	for rows.Next() {
		err = rows.Scan(&q, &s, &n)
		if err != nil {
			return internal(doing, err)
		}
		unpack(q, c.Quasi, quasi)
		unpack(s, c.Sensitive, sensitive)
		err = each(quasi, sensitive, int(n))
		if err != nil {
			return err
		}
	}
	return internal(doing, orContext(ctx, rows.Err()))
}

// packed is the SQL of several values in one word: digits of mixed bases.
func packed(values []Values) (string, error) {
	word, stride := []string{"toUInt64(0)"}, uint64(1)
	for _, v := range slices.Backward(values) {
		if !validID(v.Column) || v.Size < 1 || stride >= maxWord/uint64(v.Size) {
			return "", broken("columns that do not fit one word")
		}
		word = append(word, fmt.Sprintf("%s * toUInt64(%d)", v.sql(), stride))
		stride *= uint64(v.Size)
	}
	return strings.Join(word, " + "), nil
}

func unpack(word uint64, values []Values, into []int) {
	for i, v := range slices.Backward(values) {
		size := uint64(v.Size)                    //nolint:gosec // at least 1
		into[i], word = int(word%size), word/size //nolint:gosec // below Size
	}
}

func (v *Values) sql() string {
	column := "toUInt64(" + quote(v.Column) + ")"
	switch {
	case v.Set:
		column = fmt.Sprintf("bitCount(if(%[1]s = 0, 0, bitXor(%[1]s, %[1]s - 1)))", column)
	case v.Map != nil:
		from := make([]int, len(v.Map))
		for i := range from {
			from[i] = i
		}
		column = transform(column, from, v.Map)
	case v.From > 1:
		column = fmt.Sprintf("(toUInt64(%s) - %d)", column, v.From-1)
	}
	return fmt.Sprintf("if(%[1]s < %[2]d, toUInt64(%[1]s), toUInt64(0))", column, v.Size)
}
