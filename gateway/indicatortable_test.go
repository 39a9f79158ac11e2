package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// shares is an indicator whose numerators are nodes of one dimension, in a cohort that
// another cube holds.
func shares() *Indicator {
	return &Indicator{
		ID: "i", Shape: ShapeStages, Cube: "outcomes",
		Parts: []Reading{
			{Title: Text{EN: "Sent"}, Filter: map[string]string{"outcome": "sent"}},
			{Title: Text{EN: "Received"}, Filter: map[string]string{"outcome": "received"}},
		},
		Of:         Reading{Title: Text{EN: "Known"}, Cube: "pathways", Filter: map[string]string{"sector": "police"}},
		CannotTell: map[string]string{"outcome": "untold"},
		By:         []string{"region"},
	}
}

func TestIndicatorAsks(t *testing.T) {
	t.Parallel()
	two := shares()
	two.Parts = []Reading{{Filter: map[string]string{"outcome": "sent", "sex": "F"}}, {Filter: map[string]string{"sex": "F", "outcome": "sent"}}}
	two.CannotTell = nil
	overlap := &Indicator{Cube: "overlap", Parts: []Reading{{Filter: map[string]string{"pair": "a+b"}}, {Filter: map[string]string{"pair": "a+c"}}}, Of: Reading{Cube: "pathways"}}
	own := shares()
	own.Of = Reading{Filter: map[string]string{"outcome": "known"}}
	children := func(cube string, by ...string) Question {
		return Question{Cube: cube, Measure: CountChildren, GroupBy: by}
	}
	for _, c := range []struct {
		name string
		of   *Indicator
		by   string
		want []Question
	}{
		{"nodes of one dimension are one table", shares(), "", []Question{children("outcomes", "outcome"), children("pathways", "sector")}},
		{"by a dimension", shares(), "region", []Question{children("outcomes", "region", "outcome"), children("pathways", "region", "sector")}},
		{"by the dimension of the filter", shares(), "outcome", []Question{children("outcomes", "outcome"), children("pathways", "outcome", "sector")}},
		{"the denominator in the same table", own, "", []Question{children("outcomes", "outcome")}},
		{"all children", overlap, "", []Question{children("overlap", "pair"), children("pathways")}},
		{"all children of a group", overlap, "region", []Question{children("overlap", "region", "pair"), children("pathways", "region")}},
		{"several filters stay filters, in any order", two, "", []Question{
			{Cube: "outcomes", Measure: CountChildren, Filter: map[string]string{"outcome": "sent", "sex": "F"}}, children("pathways", "sector"),
		}},
	} {
		if diff := cmp.Diff(c.want, c.of.Asks(c.by)); diff != "" {
			t.Errorf("%s, wanted (-) and got (+):\n%s", c.name, diff)
		}
	}
}

func value(n int64, nodes ...string) Cell {
	return Cell{Nodes: nodes, Status: StatusValue, Value: &n}
}

func hidden(s CellStatus, nodes ...string) Cell { return Cell{Nodes: nodes, Status: s} }

func regionsOfTwo() *Dimension {
	return &Dimension{Name: "region", Levels: []string{"region"}, Nodes: []Node{
		{Code: "10", Title: Text{EN: "North"}, Number: 1}, {Code: "11", Title: Text{EN: "South"}, Number: 2}, {Code: "12", Number: 3},
	}}
}

// tables answer shares by region; the order of a table's dimensions is the table's own.
func tablesByRegion() []Table {
	return []Table{
		{Release: "demo-1", Cube: "outcomes", Label: "a", Decision: "one", Variance: 50, Dimensions: []string{"outcome@outcome", "region@region"}, Cells: []Cell{
			value(40, "sent", "10"), value(20, "received", "10"), value(20, "untold", "10"),
			value(70, "sent", "11"), hidden(StatusSuppressed, "received", "11"), hidden(StatusNotReported, "untold", "11"),
		}},
		{Release: "demo-1", Cube: "pathways", Label: "b", Decision: "two", Variance: 60, Dimensions: []string{"region@region", "sector@sector"}, Cells: []Cell{
			value(100, "10", "police"), value(990, "10", "health"), value(200, "11", "police"), value(10, "12", "health"),
		}},
		// Of the same cube, but of one filter: its cells are of other children.
		{Release: "demo-1", Cube: "pathways", Dimensions: []string{"region@region", "sector@sector"}, Filter: map[string]string{"sex": "F"}, Cells: []Cell{value(5, "12", "police")}},
	}
}

func TestIndicatorReads(t *testing.T) {
	t.Parallel()
	n := shares()
	got := n.Read(regionsOfTwo(), tablesByRegion())
	if got.Release != "demo-1" || got.Variance != 60 || got.By != "region" || got.Of.EN != "Known" || len(got.Parts) != 2 {
		t.Errorf("the table is %+v", got)
	}
	if diff := cmp.Diff([]string{"a", "b", ""}, got.Questions); diff != "" {
		t.Error(diff)
	}
	half, quarter := 0.5, 0.25
	untold := func(c Cell) *Cell { return &c }
	want := []IndicatorRow{
		{
			Group: "10", Title: Text{EN: "North"}, Of: value(100), CannotTell: untold(value(20)),
			Parts: []Cell{value(40), value(20)}, Shares: []*float64{&half, &quarter},
		},
		// A share of a hidden number is none, and neither is one of a cohort whose part
		// that cannot be told is hidden.
		{
			Group: "11", Title: Text{EN: "South"}, Of: value(200), CannotTell: untold(hidden(StatusNotReported)),
			Parts: []Cell{value(70), hidden(StatusSuppressed)}, Shares: []*float64{nil, nil},
		},
		// What no table holds is hidden, not zero.
		{
			Group: "12", Of: hidden(StatusSuppressed), CannotTell: untold(hidden(StatusSuppressed)),
			Parts: []Cell{hidden(StatusSuppressed), hidden(StatusSuppressed)}, Shares: []*float64{nil, nil},
		},
	}
	if diff := cmp.Diff(want, got.Rows); diff != "" {
		t.Errorf("rows wanted (-) and got (+):\n%s", diff)
	}
}

// In all there is one row, and tables by region say nothing of it.
func TestIndicatorReadsInAll(t *testing.T) {
	t.Parallel()
	tables := append(tablesByRegion(),
		Table{Cube: "outcomes", Dimensions: []string{"outcome@outcome"}, Cells: []Cell{value(110, "sent"), value(25, "received"), value(0, "untold")}},
		Table{Cube: "pathways", Dimensions: []string{"sector@sector"}, Cells: []Cell{value(440, "police")}})
	got := shares().Read(nil, tables)
	if len(got.Rows) != 1 || got.By != "" || got.Rows[0].Group != "" {
		t.Fatalf("%+v", got.Rows)
	}
	row := got.Rows[0]
	if *row.Of.Value != 440 || *row.Parts[0].Value != 110 || *row.Shares[0] != 0.25 || *row.CannotTell.Value != 0 {
		t.Errorf("%+v", row)
	}
}

func TestDerive(t *testing.T) {
	t.Parallel()
	row := func(of Cell, cannot *Cell, parts ...Cell) IndicatorRow {
		return IndicatorRow{Of: of, CannotTell: cannot, Parts: parts}
	}
	some := func(n int64) *Cell { c := value(n); return &c }
	none := hidden(StatusSuppressed)
	for _, c := range []struct {
		name string
		row  IndicatorRow
		want []float64 // -1 is none
	}{
		{"of all", row(value(200), nil, value(50), value(200)), []float64{0.25, 1}},
		{"of those of whom it can be told", row(value(200), some(100), value(50)), []float64{0.5}},
		{"noise can lift a part over its whole", row(value(100), some(60), value(45)), []float64{1}},
		{"a hidden part", row(value(200), nil, value(50), none), []float64{0.25, -1}},
		{"a hidden whole", row(none, nil, value(50)), []float64{-1}},
		{"hidden, how many cannot be told", row(value(200), &none, value(50)), []float64{-1}},
		{"nobody can be told", row(value(200), some(200), value(10)), []float64{-1}},
		{"noise: more cannot be told than there are", row(value(200), some(205), value(10)), []float64{-1}},
		{"an impossible part", row(value(200), nil, hidden(StatusImpossible)), []float64{-1}},
	} {
		c.row.Derive(&Indicator{Shape: ShapeShare, Parts: make([]Reading, len(c.row.Parts))})
		for i, share := range c.row.Shares {
			if share == nil && c.want[i] >= 0 || share != nil && *share != c.want[i] {
				t.Errorf("%s: share %d is %v, want %v", c.name, i, share, c.want[i])
			}
		}
		if len(c.row.Shares) != len(c.want) || c.row.Median != nil {
			t.Errorf("%s: %d shares, median %v", c.name, len(c.row.Shares), c.row.Median)
		}
	}
}

func bands(shape Shape) *Indicator {
	return &Indicator{Shape: shape, Parts: []Reading{{Days: []int{0, 1}}, {Days: []int{2, 7}}, {Days: []int{8, 30}}, {Days: []int{31, 180}}}}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	none := hidden(StatusSuppressed)
	untold := value(100)
	for _, c := range []struct {
		name   string
		of     Cell
		cannot *Cell
		parts  []Cell
		want   float64 // -1 is none
	}{
		// Half of 100 is 30 before the band from 2 to 7, and 20 of its 40: the middle of it.
		{"inside a band", value(100), nil, []Cell{value(30), value(40), value(10), value(10)}, 5},
		{"of those of whom it can be told", value(200), &untold, []Cell{value(30), value(40), value(10), value(10)}, 5},
		{"at the end of a band", value(100), nil, []Cell{value(50), value(40), value(10), value(0)}, 2},
		{"half by the end of a band, and none in the next", value(100), nil, []Cell{value(50), value(0), value(40), value(0)}, 2},
		{"an empty band", value(100), nil, []Cell{value(0), value(0), value(100), value(0)}, 19.5},
		{"half were never found", value(100), nil, []Cell{value(10), value(10), value(10), value(10)}, -1},
		{"a band that is needed is hidden", value(100), nil, []Cell{value(30), none, value(30), value(30)}, -1},
		{"a band after it is hidden", value(100), nil, []Cell{value(30), value(40), none, none}, 5},
		{"the whole is hidden", none, nil, []Cell{value(30), value(40), value(10), value(10)}, -1},
		{"too few", value(49), nil, []Cell{value(30), value(10), value(0), value(0)}, -1},
		{"just enough", value(50), nil, []Cell{value(0), value(50), value(0), value(0)}, 5},
	} {
		row := IndicatorRow{Of: c.of, CannotTell: c.cannot, Parts: c.parts}
		row.Derive(bands(ShapeBands))
		if row.Median == nil && c.want >= 0 || row.Median != nil && *row.Median != c.want {
			t.Errorf("%s: got %+v, want a median of %v", c.name, row, c.want)
		}
	}
	row := IndicatorRow{Of: value(100), Parts: []Cell{value(30), value(40), value(10), value(10)}}
	row.Derive(bands(ShapeStages))
	if row.Median != nil {
		t.Error("parts that are no bands have a median")
	}
}

// Whatever is published: shares are of nothing hidden and between 0 and 1, and a median
// lies in the band that holds the middle child.
func TestDeriveLaws(t *testing.T) {
	t.Parallel()
	n := bands(ShapeBands)
	rapid.Check(t, func(t *rapid.T) {
		cell := func(name string, most int64) Cell {
			if rapid.IntRange(0, 9).Draw(t, name+" is hidden") == 0 {
				return hidden(StatusSuppressed)
			}
			return value(rapid.Int64Range(0, most).Draw(t, name))
		}
		row := IndicatorRow{Of: cell("of", 1000)}
		for range n.Parts {
			row.Parts = append(row.Parts, cell("part", 400))
		}
		if rapid.Bool().Draw(t, "some cannot be told") {
			cannot := cell("cannot", 500)
			row.CannotTell = &cannot
		}
		row.Derive(n)
		whole := row.Of.Value != nil && (row.CannotTell == nil || row.CannotTell.Value != nil)
		for i, share := range row.Shares {
			if share != nil && (!whole || row.Parts[i].Value == nil || *share < 0 || *share > 1) {
				t.Fatalf("share %d of %+v is %v", i, row, *share)
			}
		}
		if row.Median == nil {
			return
		}
		told := float64(*row.Of.Value)
		if row.CannotTell != nil {
			told -= float64(*row.CannotTell.Value)
		}
		below := 0.0
		for i, p := range row.Parts {
			if p.Value == nil {
				t.Fatalf("a median of hidden numbers: %+v", row)
			}
			if below += float64(*p.Value); below >= told/2 && *p.Value > 0 {
				if days := n.Parts[i].Days; *row.Median < float64(days[0]) || *row.Median > float64(days[1]+1) || told < 50 {
					t.Fatalf("the median of %+v is %v, of %v children, in the band %v", row, *row.Median, told, days)
				}
				return
			}
		}
		t.Fatalf("%+v has a median", row)
	})
}
