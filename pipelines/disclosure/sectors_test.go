package disclosure

import (
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// seen is a definition of sectors, their pairs, their codes and years.
func seen() *gateway.Definition {
	codes := flat("type", gateway.Multi, gateway.EventSectorCode, "police.A", "police.B", "health.A")
	codes.Source.Column = "event_type"
	d := definition([]gateway.Dimension{
		flat("sector", gateway.Multi, gateway.EventSector, "police", "health", "social"),
		flat("pair", gateway.Multi, gateway.SectorPair, "health+police", "police+social", "health+social"), codes,
		flat("year", gateway.Multi, gateway.EventYear, "2023", "2024"),
	}, cube("one", gateway.Children, 2, "sector", "pair", "type", "year"))
	d.From, _ = gateway.ParseQuarter("2023Q1")
	d.To = d.From + 7
	d.Cubes[0].Apart = [][]string{{"sector", "pair", "type"}}
	implied := func(dim, node, sector string) {
		d.Implied = append(d.Implied, gateway.Implication{
			If: gateway.Fact{Dimension: dim, Node: node}, Then: gateway.Fact{Dimension: "sector", Node: sector},
		})
	}
	for pair, of := range map[string][]string{"health+police": {"health", "police"}, "police+social": {"police", "social"}, "health+social": {"health", "social"}} {
		for _, sector := range of {
			implied("pair", pair, sector)
		}
	}
	implied("type", "police.A", "police")
	implied("type", "police.B", "police")
	implied("type", "health.A", "health")
	return d
}

// "Every child known to A is known to B": few children of a sector outside the pair
// hide the pair, and few without one of its codes hide the code (disclosure.md 2.7).
func TestNearTheSectorsOfAPair(t *testing.T) {
	for _, test := range []struct {
		health, pair, code int
		wantPair, wantCode state
	}{{300, 150, 150, shown, shown}, {300, 295, 150, hiddenNear, shown}, {300, 150, 295, shown, hiddenNear}, {300, 300, 300, hiddenNear, hiddenNear}} {
		d := seen()
		raw := NewRaw(d)
		add(t, raw, total, nil, 5000, 900)
		add(t, raw, gateway.GroupingSet{{Name: "sector"}}, []string{"health"}, test.health, 300)
		add(t, raw, gateway.GroupingSet{{Name: "sector"}}, []string{"police"}, 2000, 500)
		add(t, raw, gateway.GroupingSet{{Name: "pair"}}, []string{"health+police"}, test.pair, 200)
		add(t, raw, gateway.GroupingSet{{Name: "type"}}, []string{"health.A"}, test.code, 250)
		p := inside(t, raw, release(d, 1, 1))
		if got := statesOf(p, "pair@pair")[0]; got != test.wantPair {
			t.Errorf("%+v: the pair is %d", test, got)
		}
		if got := statesOf(p, "type@type")[2]; got != test.wantCode {
			t.Errorf("%+v: the code is %d", test, got)
		}
	}
}

// The near parent is looked up beside other conditions too.
func TestNearTheSectorInAYear(t *testing.T) {
	d := seen()
	raw := NewRaw(d)
	both := gateway.GroupingSet{{Name: "pair"}, {Name: "year"}}
	one := gateway.GroupingSet{{Name: "sector"}, {Name: "year"}}
	add(t, raw, total, nil, 5000, 900)
	for _, sector := range []string{"health", "police"} {
		add(t, raw, gateway.GroupingSet{{Name: "sector"}}, []string{sector}, 2000, 300)
		add(t, raw, one, []string{sector, "2024"}, map[string]int{"health": 205, "police": 1000}[sector], 350)
	}
	add(t, raw, gateway.GroupingSet{{Name: "pair"}}, []string{"health+police"}, 1000, 200)
	add(t, raw, gateway.GroupingSet{{Name: "year"}}, []string{"2024"}, 3000, 800)
	add(t, raw, both, []string{"health+police", "2024"}, 200, 100)
	p := inside(t, raw, release(d, 1, 1))
	if got := statesOf(p, "pair@pair|year@year")[1]; got != hiddenNear {
		t.Errorf("200 of 205 children of a sector in a year are %d", got)
	}
}

// A pair or a code of a sector that has not reported says so, and so does a year.
func TestNotReportedSectors(t *testing.T) {
	d := seen()
	rel := release(d, 1, 1)
	q := d.From
	rel.Coverage.Full = map[gateway.ContractID]map[string][]gateway.Quarter{
		"police": {"61": {q, q + 5}}, "health": {"61": {q + 3}}, "social": {},
	}
	p := inside(t, NewRaw(d), rel)
	each(p.l, func(s *set, c int, _ []int, label string) {
		want, tested := map[string]bool{
			"pair=health+police": false, "pair=police+social": true, "pair=health+social": true,
			"type=police.B": false, "type=health.A": false, "sector=health|year=2023": false, "sector=health|year=2024": true,
			"type=health.A|year=2024": true, "type=police.A|year=2024": false,
			"pair=health+police|year=2024": true, "pair=health+police|year=2023": false, "year=2024": false,
		}[label]
		if got := p.states[s.index][c] == notReported; tested && got != want {
			t.Errorf("%s: not reported is %v", label, got)
		}
	})
}
