package disclosure

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// Every cell's reason is the state that the rules gave it, and fits what is published.
func TestReasons(t *testing.T) {
	w, counts := small()
	rel := release(w.def, 1, 1)
	published, reasons, err := ProtectAndKeep(fill(t, w.def, counts), rel)
	if err != nil {
		t.Fatal(err)
	}
	p := inside(t, fill(t, w.def, counts), rel)
	seen := map[Reason]int{}
	n := 0
	each(p.l, func(s *set, c int, _ []int, label string) {
		if n++; n%37 != 0 && s.cells > 40 {
			return // one look-up unpacks all
		}
		why, err := Why(w.def, reasons.Bytes(), label)
		if err != nil {
			t.Fatal(label, err)
		}
		seen[why]++
		want := p.states[s.index][c].reason()
		if published.closed[s.index] {
			want = ReasonGate
		}
		if why != want {
			t.Errorf("%q is %s, was decided as %s", label, why, want)
		}
		status, _, there := published.Cell(label, s.Measures[0])
		if there && (status == gateway.StatusValue) != (why == ReasonShown) {
			t.Errorf("%q is published as %s because it is %s", label, status, why)
		}
	})
	if seen[ReasonShown] == 0 || seen[ReasonSmall] == 0 {
		t.Errorf("saw %v", seen)
	}
	plain, err := Protect(fill(t, w.def, counts), rel)
	if err != nil || plain.Digest() != published.Digest() {
		t.Error("keeping the reasons changes the cells", err)
	}
}

// Reasons of another release, damaged ones and labels in another spelling tell nothing.
func TestReasonsOfSomethingElse(t *testing.T) {
	w, counts := small()
	_, reasons, err := ProtectAndKeep(fill(t, w.def, counts), release(w.def, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	good := reasons.Bytes()
	for i, bad := range [][]byte{nil, []byte("pana"), good[:len(good)/2], []byte(reasonsMagic), append([]byte("x"), good...)} {
		if why, err := Why(w.def, bad, ""); err == nil {
			t.Errorf("%d: %s", i, why)
		}
	}
	other := *w.def
	other.Cubes = other.Cubes[:1]
	if why, err := Why(&other, good, ""); err == nil && len(w.def.Cubes) > 1 {
		t.Errorf("of another definition: %s", why)
	}
	for _, label := range []string{"region", "sex=F|region=1", "nothing=1", "region=1|", "|"} {
		if HasCell(w.def, label) {
			t.Errorf("the release has a cell %q", label)
		}
		if _, err := Why(w.def, good, label); !errors.Is(err, gateway.NotFound) {
			t.Errorf("%q: %v", label, err)
		}
	}
	if !HasCell(w.def, "") {
		t.Error("the release has no total")
	}
	if text := fmt.Sprintf("%v %+v %#v", reasons, *reasons, reasons); bytes.Contains([]byte(text), good[len(reasonsMagic):]) {
		t.Error("reasons print")
	}
}

// FuzzWhy: no bytes make the reader of reasons panic or invent a cell.
func FuzzWhy(f *testing.F) {
	w, counts := small()
	_, reasons, err := ProtectAndKeep(fill(f, w.def, counts), release(w.def, 1, 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(reasons.Bytes(), "")
	f.Add([]byte(reasonsMagic), "sex=F")
	f.Fuzz(func(t *testing.T, data []byte, label string) {
		why, err := Why(w.def, data, label)
		if err == nil && (why == "" || !HasCell(w.def, label)) {
			t.Errorf("%q is %q", label, why)
		}
	})
}
