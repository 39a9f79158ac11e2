package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// CountNested counts what Count counts in another way: one plain nested GROUP BY
// over the events for each grouping set, with distinct children by uniqExact and
// attributes by argMin, LIMIT BY and joins. It shares the events table with
// Count, and nothing after that. It is also what Count is measured against.
func (w *Warehouse) CountNested(ctx context.Context, b Build, add func(gateway.GroupingSet, []string, disclosure.Count) error) error {
	c, err := w.newCounting(b)
	if err != nil {
		return err
	}
	defer c.drop(ctx)
	err = c.derive(ctx)
	if err != nil {
		return err
	}
	for _, statement := range []string{"DROP TABLE IF EXISTS " + c.table("nested"), c.nestedTable()} {
		err = c.w.builder.Exec(ctx, statement)
		if err != nil {
			return err
		}
	}
	defer func() { _ = c.w.builder.Exec(context.WithoutCancel(ctx), "DROP TABLE IF EXISTS "+c.table("nested")) }()
	for _, set := range c.Definition.AdmittedSets() {
		err = c.nestedSet(ctx, set, add)
		if err != nil {
			return err
		}
	}
	return nil
}

// nestedTable makes events with the value of every child dimension beside them.
func (c *counting) nestedTable() string {
	selected := []string{"e.child AS child", "e.* EXCEPT child"}
	joins := ""
	for i := range c.Definition.Dimensions {
		d := &c.Definition.Dimensions[i]
		if eventDimension(d) {
			continue
		}
		selected = append(selected, fmt.Sprintf("n%d.v AS v_%d", i, i))
		joins += fmt.Sprintf(" LEFT JOIN (%s) AS n%d ON e.child = n%[2]d.child", c.nestedAttribute(d), i)
	}
	return "CREATE TABLE " + c.table("nested") + " ENGINE = MergeTree ORDER BY child AS SELECT " + strings.Join(selected, ", ") +
		" FROM " + c.table("events") + " AS e" + joins
}

func (c *counting) nestedAttribute(d *gateway.Dimension) string {
	const order = "(if(Day = -2147483648, 2147483648, toInt64(Day)), Sector)"
	v, from := codes(d.Source.Column), c.table("events")
	switch d.Source.Kind {
	case gateway.ChildConst:
		return "SELECT child, if(uniqExact(" + v + ") = 1, any(" + v + "), 0) AS v FROM " + from + " WHERE " + v + " > 0 GROUP BY child"
	case gateway.ChildFirst:
		return "SELECT child, argMin(" + v + ", (" + order + ", " + v + " = 0, " + v + ")) AS v FROM " + from + " GROUP BY child"
	case gateway.FirstSector:
		return "SELECT child, argMin(Sector, " + order + ") AS v FROM " + from + " GROUP BY child"
	case gateway.ChildMost:
		return c.nestedMost(v)
	case gateway.SectorCount:
		return "SELECT child, uniqExact(Sector) AS v FROM " + from + " GROUP BY child"
	case gateway.SectorPair:
		return c.nestedPairs()
	case gateway.ReachedIn:
		return c.nestedReached(d)
	case gateway.EventSector, gateway.EventColumn, gateway.EventQuarter, gateway.EventYear, gateway.EventSectorCode, gateway.ChildOutcome:
	}
	panic("not a child dimension")
}

// nestedPairs joins the sectors of each child with one another, by name.
func (c *counting) nestedPairs() string {
	name := "''"
	for id, number := range c.order {
		name = fmt.Sprintf("if(Sector = %d, '%s', %s)", number, id, name)
	}
	names := "(SELECT DISTINCT child, " + name + " AS name FROM " + c.table("events") + ")"
	return "SELECT a.child AS child, groupUniqArray(concat(a.name, '+', b.name)) AS v FROM " + names + " AS a INNER JOIN " + names +
		" AS b ON a.child = b.child WHERE a.name < b.name GROUP BY child"
}

func (c *counting) nestedMost(v string) string {
	return fmt.Sprintf(`SELECT child, if(count() = 2 AND min(votes) = max(votes) AND min(first) = max(first), 0, argMax(code, (votes, -first))) AS v
		FROM (SELECT child, %[1]s AS code, uniqExact(Sector) AS votes, min(if(Day = -2147483648, 2147483648, toInt64(Day))) AS first
			FROM %[2]s WHERE %[1]s > 0 GROUP BY child, code ORDER BY votes DESC, first LIMIT 2 BY child) GROUP BY child`, v, c.table("events"))
}

// nestedReached joins each start with each target date.
func (c *counting) nestedReached(d *gateway.Dimension) string {
	var dates []string
	for sector, names := range d.Source.Targets {
		for _, name := range names {
			dates = append(dates, fmt.Sprintf("SELECT child, `D_%s` AS date FROM %s WHERE Sector = %d AND date != -2147483648",
				name, c.table("events"), c.order[sector]))
		}
	}
	told := "if(m.v IN (0), " + fmt.Sprint(int(c.nestedTold(d, ""))) + ", 0)"
	if list := c.regionList(); list != nil {
		for i, code := range list.Codes {
			told += fmt.Sprintf(" + if(m.v = %d, %d, 0)", i+1, c.nestedTold(d, code.Code))
		}
	}
	return fmt.Sprintf(`SELECT k.child AS child, multiIf(s.q = 0, 4, s.day = -2147483648, 3, s.q > %s, 3, t.hits > 0, 1, 2) AS v
		FROM (SELECT DISTINCT child FROM %[2]s) AS k
		LEFT JOIN (SELECT child, argMin(Quarter, (Day = -2147483648, Day, Quarter)) AS q, argMin(Day, (Day = -2147483648, Day)) AS day
			FROM %[2]s WHERE Sector = %[3]d GROUP BY child) AS s ON s.child = k.child
		LEFT JOIN (%[4]s) AS m ON m.child = k.child
		LEFT JOIN (SELECT s.child AS child, countIf(date >= day AND date <= day + %[5]d) AS hits FROM
			(SELECT child, argMin(Day, (Day = -2147483648, Day)) AS day FROM %[2]s WHERE Sector = %[3]d GROUP BY child) AS s
			INNER JOIN (%[6]s) AS x ON x.child = s.child GROUP BY child) AS t ON t.child = k.child`,
		told, c.table("events"), c.order[d.Source.Start], c.nestedMost(codes(gateway.ColumnRegion)), d.Source.Days,
		strings.Join(dates, " UNION ALL "))
}

// nestedTold is the last quarter that can be told in a region, or in all.
func (c *counting) nestedTold(d *gateway.Dimension, region string) gateway.Quarter {
	told := gateway.Quarter(0)
	for q := c.Definition.From; q <= c.Definition.To; q++ {
		sectors := []gateway.ContractID{d.Source.Start}
		for sector := range d.Source.Targets {
			sectors = append(sectors, sector)
		}
		places := []string{region}
		if region == "" {
			places = c.regions.all
		}
		for _, place := range places {
			for _, sector := range sectors {
				h := c.Coverage.Horizon(sector, place, c.Definition.From)
				if h == 0 || int(h.Last()) < int(q.Last())+d.Source.Days {
					return told
				}
			}
		}
		told = q
	}
	return told
}

func (c *counting) nestedSet(ctx context.Context, a gateway.AdmittedSet, add func(gateway.GroupingSet, []string, disclosure.Count) error) error {
	names, exprs, where := []string{}, []string{}, []string{"1"}
	for i, sd := range a.Set {
		names = append(names, fmt.Sprintf("n%d", i))
		exprs = append(exprs, fmt.Sprintf("%s AS n%d", c.nestedNode(sd), i))
		where = append(where, fmt.Sprintf("n%d != ''", i))
	}
	group := ""
	if len(names) > 0 {
		group = "GROUP BY " + strings.Join(names, ", ")
	}
	query := fmt.Sprintf(`SELECT [%s] AS nodes, uniqExact(child) AS n, sum(least(rec, %[2]d)) AS records, sumDistinct(rk) AS ck,
			arraySlice(arrayReverseSort(groupArray(toUInt32(least(rec, %[2]d)))), 1, 6) AS top
		FROM (SELECT %[3]s, any(rk) AS rk, count() AS rec FROM (SELECT %[4]s, rk FROM %[5]s) WHERE %[6]s GROUP BY %[3]s) %[7]s`,
		strings.Join(append([]string{"''"}, names...), ", "), c.RecordCap, strings.Join(append(slices.Clone(names), "child"), ", "),
		strings.Join(append(exprs, "child"), ", "), c.table("nested"), strings.Join(where, " AND "), group)
	rows, err := c.w.builder.Query(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var nodes []string
		var n disclosure.Count
		err = rows.Scan(&nodes, &n.Children, &n.Records, &n.Key, &n.Top)
		if err != nil {
			return err
		}
		if n.Children == 0 {
			continue
		}
		if !slices.Contains(a.Measures, gateway.CountRecords) {
			n.Records, n.Top = 0, nil
		}
		err = add(a.Set, nodes[1:], n)
		if err != nil {
			return err
		}
	}
	return rows.Err()
}

// nestedNode is the SQL of the code of a row's node.
func (c *counting) nestedNode(sd gateway.SetDimension) string {
	d := c.Definition.Dimension(sd.Name)
	i := slices.IndexFunc(c.Definition.Dimensions, func(x gateway.Dimension) bool { return x.Name == sd.Name })
	if node := c.nestedSectorNode(d, i); node != "" {
		return node
	}
	var values, nodes []string
	for _, leaf := range d.AtLevel(len(d.Levels) - 1) {
		v := int(leaf.Number)
		switch d.Source.Kind {
		case gateway.EventSector, gateway.FirstSector:
			v = c.order[gateway.ContractID(leaf.Code)]
		case gateway.ReachedIn:
			v = map[string]int{"yes": 1, "no": 2, "cannot_tell": 3, "no_start": 4}[leaf.Code]
		case gateway.EventColumn, gateway.EventQuarter, gateway.EventYear, gateway.EventSectorCode, gateway.ChildConst,
			gateway.ChildFirst, gateway.ChildMost, gateway.SectorCount, gateway.SectorPair, gateway.ChildOutcome:
		}
		node := leaf
		for node.Level > sd.Level {
			node = *d.Node(node.Parent)
		}
		values, nodes = append(values, fmt.Sprint(v)), append(nodes, "'"+node.Code+"'")
	}
	to := "[" + strings.Join(values, ", ") + "], [" + strings.Join(nodes, ", ") + "], ''"
	value := fmt.Sprintf("v_%d", i)
	if eventDimension(d) {
		value = eventValue(d)
	}
	if c.holdsSets(d) {
		return "arrayJoin(arrayDistinct(arrayMap(b -> transform(toUInt16(b + 1), " + to + "), bitPositionsToArray(" + value + "))))"
	}
	return "transform(toUInt16(" + value + "), " + to + ")"
}

// nestedSectorNode is the SQL of the code of years and of nodes made of sectors,
// "" for other dimensions.
func (c *counting) nestedSectorNode(d *gateway.Dimension, i int) string {
	var nodes []string
	for _, n := range d.Nodes {
		nodes = append(nodes, "'"+n.Code+"'")
	}
	known := func(value string) string {
		return "if(" + value + " IN (" + strings.Join(nodes, ", ") + "), " + value + ", '')"
	}
	switch d.Source.Kind {
	case gateway.EventYear:
		return known("toString(intDiv(Quarter, 4))")
	case gateway.SectorPair:
		return fmt.Sprintf("arrayJoin(arrayFilter(x -> x IN (%s), v_%d))", strings.Join(nodes, ", "), i)
	case gateway.SectorCount:
		value := fmt.Sprintf("if(v_%d < %d, toString(v_%[1]d), '%[2]d+')", i, len(nodes))
		if len(nodes) == len(c.contracts) {
			value = fmt.Sprintf("toString(v_%d)", i)
		}
		return known(value)
	case gateway.EventSectorCode:
		value := "''"
		for _, contract := range c.contracts {
			f := codedField(contract, d.Source.Column)
			if f == nil {
				continue
			}
			for number, code := range f.List.Codes {
				value = fmt.Sprintf("if(Sector = %d AND %s = %d, '%s.%s', %s)", c.order[contract.ID], codes(d.Source.Column), number+1, contract.ID, code.Code, value)
			}
		}
		return known(value)
	case gateway.EventSector, gateway.EventColumn, gateway.EventQuarter, gateway.ChildConst, gateway.ChildFirst,
		gateway.ChildMost, gateway.FirstSector, gateway.ReachedIn, gateway.ChildOutcome:
	}
	return ""
}
