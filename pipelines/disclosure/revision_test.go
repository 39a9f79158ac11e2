package disclosure

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// decidedOn is what Ripe says of the changes.
func decidedOn(tb rapid.TB, all ...Change) bool {
	tb.Helper()
	c := NewChanges()
	for _, n := range all {
		if err := c.Add(n); err != nil {
			tb.Fatal(err)
		}
	}
	ripe, err := Ripe(c)
	if err != nil {
		tb.Fatal(err)
	}
	return ripe
}

// region is a change of one sector and one agency.
func region(name string, children uint64, batches ...uint64) Change {
	n := Change{Region: name, Children: children, Batches: batches, Sectors: 1}
	for _, k := range batches {
		n.Changed += k
	}
	n.Uploaders = []uint64{n.Changed}
	return n
}

// agencies says which agencies, of two sectors, brought the changes.
func agencies(n Change, uploaders ...uint64) Change {
	n.Uploaders, n.Sectors = uploaders, 2
	return n
}

func TestRipe(t *testing.T) {
	nothing := Change{Children: 5000}
	for name, c := range map[string]struct {
		changes []Change
		want    bool
	}{
		"nothing came late":                          {[]Change{nothing}, false},
		"one record":                                 {[]Change{region("", 1000, 1), region("61", 100, 1)}, false},
		"49 children":                                {[]Change{region("", 100, 17, 16, 16)}, false},
		"50 children":                                {[]Change{region("", 100, 17, 17, 16)}, true},
		"50 children are not 5 % of 1,001":           {[]Change{region("", 1001, 17, 17, 16)}, false},
		"50 children are 5 % of 1,000":               {[]Change{region("", 1000, 17, 17, 16)}, true},
		"5 % of a region is enough":                  {[]Change{region("", 100_000, 17, 17, 16), region("61", 1000, 17, 17, 16)}, true},
		"less than 5 % of the region":                {[]Change{region("", 100_000, 17, 17, 16), region("61", 1001, 17, 17, 16)}, false},
		"two batches":                                {[]Change{region("", 100, 30, 30)}, false},
		"a batch of half":                            {[]Change{region("", 100, 30, 15, 15)}, true},
		"a batch of more than half":                  {[]Change{region("", 100, 31, 15, 14)}, false},
		"an agency of half, beyond one sector":       {[]Change{agencies(region("", 100, 20, 20, 20), 30, 30)}, true},
		"an agency of more, beyond one sector":       {[]Change{agencies(region("", 100, 20, 20, 20), 31, 29)}, false},
		"a second region of one child":               {[]Change{region("", 5000, 20, 20, 21), region("61", 1000, 20, 20, 20), region("35", 1000, 1)}, false},
		"a second region that is not touched":        {[]Change{region("", 5000, 20, 20, 20), region("61", 1000, 20, 20, 20), {Region: "35", Children: 10}}, true},
		"a batch of more than half of a region":      {[]Change{region("", 200, 40, 40, 40), region("61", 100, 31, 15, 14), region("35", 100, 9, 25, 26)}, false},
		"children without a region, among others":    {[]Change{region("", 9000, 20, 20, 21), region("61", 1000, 20, 20, 20)}, true},
		"children without a region, alone":           {[]Change{region("", 9000, 20, 20, 20)}, false},
		"children without a region, of one batch":    {[]Change{region("", 9000, 20, 20, 200), region("61", 1000, 20, 20, 20)}, false},
		"as many as it takes, but from nobody's own": {[]Change{region("", 60, 20, 20, 20), region("61", 60, 20, 20, 20)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decidedOn(t, c.changes...); got != c.want {
				t.Errorf("ripe is %v", got)
			}
		})
	}
}

// What is ripe meets every floor, in every region and in the order in which regions
// come; and more children among whom the same ones changed never make it riper.
func TestRipeMeetsTheFloors(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		batches := rapid.SliceOfN(rapid.Uint64Range(1, 60), 1, 6)
		var all []Change
		var whole []uint64
		for i := range rapid.IntRange(1, 3).Draw(rt, "regions") {
			n := region(fmt.Sprint("r", i), 0, batches.Draw(rt, "batches")...)
			n.Children = n.Changed + rapid.Uint64Range(0, 30*n.Changed).Draw(rt, "others")
			if rapid.Bool().Draw(rt, "two sectors") {
				half := n.Changed / 2
				n = agencies(n, half+1, n.Changed-half)
			}
			all, whole = append(all, n), append(whole, n.Batches...)
		}
		country := region("", 1_000_000, whole...)
		ripe := decidedOn(rt, append([]Change{country}, all...)...)
		for _, n := range all {
			floors := n.Changed >= 50 && float64(n.Changed) >= 0.05*float64(n.Children) && len(n.Batches) >= 3
			for _, k := range n.Batches {
				floors = floors && float64(k) <= float64(n.Changed)/2
			}
			if ripe && (!floors || n.Sectors > 1 && n.Uploaders[0]*2 > n.Changed) {
				rt.Fatalf("ripe with %+v", n)
			}
		}
		if again := decidedOn(rt, append(all, country)...); again != ripe {
			rt.Fatal("the order of the regions matters")
		}
		all[0].Children *= 2
		if diluted := decidedOn(rt, append(all, country)...); diluted && !ripe {
			rt.Fatal("more children around the changed made it ripe")
		}
	})
}

// Numbers that cannot be are a fault of the build, and decide nothing.
func TestChangesThatContradict(t *testing.T) {
	good := region("", 100, 20, 20, 20)
	for name, spoil := range map[string]func(*Change){
		"more than there are":     func(n *Change) { n.Children = 59 },
		"brought by nobody":       func(n *Change) { n.Batches = n.Batches[:2] },
		"a batch of nothing":      func(n *Change) { n.Batches = append(n.Batches, 0) },
		"a batch of more":         func(n *Change) { n.Batches = []uint64{61} },
		"an agency of nobody":     func(n *Change) { n.Uploaders = nil },
		"from no sector":          func(n *Change) { n.Sectors = 0 },
		"nothing, from a sector ": func(n *Change) { *n = Change{Children: 5, Sectors: 1} },
	} {
		bad := good
		spoil(&bad)
		if err := NewChanges().Add(bad); err == nil || strings.ContainsAny(err.Error(), "0123456789") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := NewChanges()
	if _, err := Ripe(c); err == nil {
		t.Error("decided on nothing")
	}
	if err := c.Add(good); err != nil {
		t.Fatal(err)
	}
	if err := c.Add(good); err == nil {
		t.Error("counted twice")
	}
}

// No printer and no encoder sees a number of what is decided by.
func TestChangesCannotBePrinted(t *testing.T) {
	c := NewChanges()
	if err := c.Add(region("", 98_765_432_100, 9_876_543_210, 9_876_543_210, 9_876_543_210)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		_, _ = fmt.Fprintf(&out, verb+verb+verb, c, *c, struct{ c Changes }{*c})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).LogAttrs(t.Context(), slog.LevelInfo, "x", slog.Any("c", c), slog.Any("d", *c))
	slog.New(slog.NewTextHandler(&out, nil)).LogAttrs(t.Context(), slog.LevelInfo, "x", slog.Any("c", c), slog.Any("d", *c))
	if strings.Contains(out.String(), "987654") {
		t.Errorf("printed: %s", &out)
	}
	if text, err := json.Marshal(c); err == nil {
		t.Errorf("encoded as %s", text)
	}
	if err := gob.NewEncoder(&bytes.Buffer{}).Encode(c); err == nil {
		t.Error("encoded as gob")
	}
}
