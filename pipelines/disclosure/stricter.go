package disclosure

import (
	"github.com/pana-exchange/pana/gateway"
)

// A SetChange says of one grouping set which share of its shown cells a stricter law of
// thresholds would hide, as a band of ten percent.
type SetChange struct {
	Set  string `json:"set"`  // its dimensions, in the words of the lattice; "" is the total
	Band int    `json:"band"` // 0: less than 10 %, 1: less than 20 %, … 9
}

// Stricter says how many of the shown cells other rules would hide, set by set. It is
// made of published values alone, so that whoever asks learns nothing that questions do
// not tell: each draw of a threshold is one number in both laws, so a cell of n children
// that is shown would be hidden with probability 1 - F'(n)/F(n), and n is taken to be the
// published value. Only rules 1 and 3 are in it; 4 and 6 hide some more.
//
// It reports Conflict for a law under which some count is shown more often than in this
// release: what is hidden now would answer for a threshold of the asker's choice.
func (p *Published) Stricter(rules gateway.ReleaseRules) ([]SetChange, error) {
	before, err := newLaw(p.head.Rules)
	if err != nil {
		return nil, err
	}
	after, err := newLaw(rules)
	if err != nil {
		return nil, err
	}
	for n := range max(before.most(), after.most()) + 1 {
		if after.shows(int64(n)) > before.shows(int64(n))+1e-12 {
			return nil, gateway.Errorf(gateway.Conflict, "some counts would be shown more often than in release %s: that is not replayed", p.head.Release)
		}
	}
	var changes []SetChange
	for _, s := range p.l.sets {
		values := p.cells[s.index].values[gateway.CountChildren]
		if p.closed[s.index] || values == nil {
			continue
		}
		shown, hidden := 0, 0.0
		for c, st := range p.cells[s.index].status {
			if st == statusValue {
				shown++
				hidden += 1 - after.shows(values[c])/before.shows(max(values[c], int64(before.from)))
			}
		}
		if shown > 0 {
			changes = append(changes, SetChange{s.key, min(int(10*hidden/float64(shown)), 9)})
		}
	}
	return changes, nil
}

// shows is the probability that a count is not below its threshold.
func (l law) shows(n int64) float64 {
	switch i := n - int64(l.from); {
	case i < 0:
		return 0
	case i >= int64(len(l.cum))-1:
		return 1
	default:
		return float64(l.cum[i]) / (1 << 64)
	}
}
