package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// CountMasks counts children and keys in a third way, by agreement masks
// (performance.md F): each event carries one bit mask for each earlier event of
// its child, telling in which dimension@level they agree; it is the child's first
// in a grouping set when no mask contains the set. It shares the events with
// Count and the dimensions' values with CountNested. It counts no records.
func (w *Warehouse) CountMasks(ctx context.Context, b Build, add func(gateway.GroupingSet, []string, disclosure.Count) error) error {
	c, err := w.newCounting(b)
	if err != nil {
		return err
	}
	defer c.drop(ctx)
	err = c.derive(ctx)
	if err != nil {
		return err
	}
	m := masks{counting: c, bits: c.maskBits()}
	for _, statement := range []string{
		"DROP TABLE IF EXISTS " + c.table("nested"), c.nestedTable(),
		"DROP TABLE IF EXISTS " + c.table("masks"), m.table(),
	} {
		err = c.w.builder.Exec(ctx, statement)
		if err != nil {
			return err
		}
	}
	defer func() {
		for _, kind := range []string{"nested", "masks"} {
			_ = c.w.builder.Exec(context.WithoutCancel(ctx), "DROP TABLE IF EXISTS "+c.table(kind))
		}
	}()
	for _, set := range c.Definition.AdmittedSets() {
		err = m.count(ctx, set.Set, add)
		if err != nil {
			return err
		}
	}
	return nil
}

type masks struct {
	*counting
	bits []gateway.SetDimension // the dimension@levels of all sets: one bit each
}

func (c *counting) maskBits() []gateway.SetDimension {
	var bits []gateway.SetDimension
	for _, a := range c.Definition.AdmittedSets() {
		for _, sd := range a.Set {
			if !slices.Contains(bits, sd) {
				bits = append(bits, sd)
			}
		}
	}
	return bits
}

// table makes one row an event, and one more for each further value of a column
// that holds several, with its masks. An event without a value keeps one row, with
// "" in the column, which no set counts.
func (m masks) table() string {
	var columns, tuple, agree, out []string
	for i, sd := range m.bits {
		node := m.nestedNode(sd)
		if several, found := strings.CutPrefix(node, "arrayJoin("); found {
			node = "arrayJoin(if(empty(" + strings.TrimSuffix(several, ")") + "), [''], " + several + ")"
		}
		columns = append(columns, fmt.Sprintf("%s AS n%d", node, i))
		tuple = append(tuple, fmt.Sprintf("n%d", i))
		agree = append(agree, fmt.Sprintf("(p.%d = e.%[1]d) * %d", i+1, 1<<i))
		out = append(out, fmt.Sprintf("e.%d AS n%d", i+1, i))
	}
	return fmt.Sprintf(`CREATE TABLE %s ENGINE = MergeTree ORDER BY tuple() AS
		SELECT rk, arrayDistinct(arrayMap(p -> toUInt64(%s), arraySlice(ev, 1, i - 1))) AS agree, %s
		FROM (SELECT any(rk) AS rk, groupArray(tuple(%s)) AS ev FROM (SELECT child, rk, %s FROM %s) GROUP BY child)
		ARRAY JOIN ev AS e, arrayEnumerate(ev) AS i`,
		m.counting.table("masks"), strings.Join(agree, " + "), strings.Join(out, ", "), strings.Join(tuple, ", "),
		strings.Join(columns, ", "), m.counting.table("nested"))
}

func (m masks) count(ctx context.Context, set gateway.GroupingSet, add func(gateway.GroupingSet, []string, disclosure.Count) error) error {
	names, where, mask := []string{"''"}, []string{"1"}, 0
	inner := []string{"rk"}
	for _, sd := range set {
		i := slices.Index(m.bits, sd)
		mask |= 1 << i
		names = append(names, fmt.Sprintf("n%d", i))
		inner = append(inner, fmt.Sprintf("n%d", i))
		where = append(where, fmt.Sprintf("n%d != ''", i))
	}
	rows, err := m.w.builder.Query(ctx, fmt.Sprintf(`SELECT [%s] AS nodes, countIf(f) AS n, sumWithOverflowIf(rk, f) AS ck
		FROM (SELECT %s, NOT arrayExists(m -> bitAnd(m, %d) = %[3]d, agree) AS f FROM %s WHERE %s) GROUP BY nodes`,
		strings.Join(names, ", "), strings.Join(inner, ", "), mask, m.counting.table("masks"), strings.Join(where, " AND ")))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var nodes []string
		var n disclosure.Count
		err = rows.Scan(&nodes, &n.Children, &n.Key)
		if err != nil {
			return err
		}
		err = add(set, nodes[1:], n)
		if err != nil {
			return err
		}
	}
	return rows.Err()
}
