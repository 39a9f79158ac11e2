package suppress

import (
	"errors"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// In multi dimensions margins are no sums: max(cells) <= margin <= sum(cells). The
// interval of a hidden node follows from the margin and the shown nodes.
func TestMultiDimension(t *testing.T) {
	for _, test := range []struct {
		name    string
		covered []string
		hide    []string
		target  string
		want    Interval
	}{
		{"a node is at most its margin", nil, []string{"s=a"}, "s=a", Interval{Low: 0, High: 100}},
		{"the nodes cover the margin", []string{"s"}, []string{"s=a"}, "s=a", Interval{Low: 30, High: 100}},
		{"a margin is at least its largest node", nil, []string{""}, "", Interval{Low: 60, Open: true}},
		{"a margin is at most the sum", []string{"s"}, []string{""}, "", Interval{Low: 60, High: 120}},
		{"two nodes share the lack", []string{"s"}, []string{"s=a", "s=b"}, "s=b", Interval{Low: 0, High: 100}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tables := every(multi(flat("s", "a", "b", "c")))
			tables.Covered, tables.Hide = test.covered, test.hide
			c := counts(t, tables, upTo(0), []row{children(100, ""), children(60, "a"), children(50, "b"), children(20, "c")})
			if test.target == "" { // 60 is the largest node, and 120 is the sum with 40 for b
				c = counts(t, tables, upTo(0), []row{children(100, ""), children(60, "a"), children(40, "b"), children(20, "c")})
			}
			p := c.begin()
			if got := intervalOf(t, c, p, c.s.label[test.target]); got != test.want {
				t.Errorf("[%d, %d] open %v, want %v", got.Low, got.High, got.Open, test.want)
			}
		})
	}
}

// A multi dimension of two levels, crossed: every crossing has its own bounds.
func TestMultiTree(t *testing.T) {
	tables := every(flat("sex", "F", "M"), multi(tree("t", "V: x y", "W: z")))
	tables.Covered = []string{"t"}
	s, err := newSystem(&tables)
	if err != nil {
		t.Fatal(err)
	}
	// Per sex: V, W under the root, x, y under V, z under W: 5 parts, and 3 covers.
	if len(s.above) != 2*(5+3) {
		t.Errorf("%d bounds, want 16", len(s.above))
	}
	c := counts(t, tables, upTo(0), []row{
		children(30, "F", ""), children(20, "F", "V"), children(15, "F", "W"), children(12, "F", "x"), children(9, "F", "y"), children(15, "F", "z"),
		children(8, "M", ""), children(8, "M", "V"), children(5, "M", "x"), children(4, "M", "y"),
	})
	p := c.begin()
	p.hide(c.s.label["sex=F|t=V"], RuleWithheld)
	p.hide(c.s.label["t=V"], RuleWithheld)
	if got := intervalOf(t, c, p, c.s.label["sex=F|t=V"]); got != (Interval{Low: 15, High: 21}) {
		t.Errorf("F, V is in [%d, %d], want [15, 21]: 30-15 by cover, 12+9 by sum", got.Low, got.High)
	}
}

func TestMultiCountsMustAgree(t *testing.T) {
	for _, covered := range [][]string{nil, {"s"}} {
		tables := every(multi(flat("s", "a", "b")))
		tables.Covered = covered
		raw, err := NewRaw(tables, Rules{K: 10})
		if err != nil {
			t.Fatal(err)
		}
		n := map[string]int64{"": 20, "a": 30}
		if covered != nil {
			n["a"] = 10
		}
		for code, n := range n {
			if err := raw.Add([]string{code}, Count{Children: n}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Protect(raw); !errors.Is(err, gateway.Invalid) {
			t.Errorf("nodes that contradict their margin were taken: %v", err)
		}
	}
}
