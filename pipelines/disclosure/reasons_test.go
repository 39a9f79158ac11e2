package disclosure

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// Every cell's reason is the state that the rules gave it, and fits what is published.
func TestReasons(t *testing.T) {
	t.Parallel()
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
	l, err := newLattice(w.def)
	if err != nil {
		t.Fatal(err)
	}
	for i, bad := range [][]byte{
		nil, []byte("pana"), good[:len(good)/2], good[:len(good)-8], []byte(reasonsMagic), append([]byte("x"), good...),
		squeezed(t, []byte{1, 2, 3}), squeezed(t, bytes.Repeat([]byte{200}, l.cells)), squeezed(t, make([]byte, l.cells+1)),
	} {
		if why, err := Why(w.def, bad, ""); err == nil {
			t.Errorf("%d: %s", i, why)
		}
	}
	other := *w.def
	other.Cubes = other.Cubes[:1]
	if why, err := Why(&other, good, ""); err == nil && len(w.def.Cubes) > 1 {
		t.Errorf("of another definition: %s", why)
	}
	for _, label := range []string{"region", "sex=F|region=61", "sex=X", "nothing=1", "region=1|", "|"} {
		if HasCell(w.def, label) {
			t.Errorf("the release has a cell %q", label)
		}
		if _, err := Why(w.def, good, label); !errors.Is(err, gateway.NotFound) {
			t.Errorf("%q: %v", label, err)
		}
	}
	for _, label := range []string{"", "sex=F", "region=61|sex=F"} {
		if _, err := Why(w.def, good, label); err != nil || !HasCell(w.def, label) {
			t.Errorf("the release has no cell %q: %v", label, err)
		}
	}
	none := &gateway.Definition{}
	if _, err := Why(none, good, ""); err == nil || HasCell(none, "") {
		t.Error("a definition that is refused has a cell, and a reason")
	}
	text := fmt.Sprintf("%v %+v %#v", reasons, *reasons, reasons)
	if bytes.Contains([]byte(text), good[len(reasonsMagic):]) || slices.ContainsFunc(names, func(r Reason) bool { return strings.Contains(text, string(r)) }) {
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

// squeezed are cells in the form of reasons.
func squeezed(t *testing.T, cells []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(reasonsMagic)
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(cells); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every state has a reason of its own that the encoding knows, and a state that is none
// reads as hidden, never as shown.
func TestEveryStateHasAReason(t *testing.T) {
	seen := map[Reason]state{}
	for s := hiddenSmall; s <= omitted; s++ {
		why := s.reason()
		if other, twice := seen[why]; twice || !slices.Contains(names, why) {
			t.Errorf("state %d is %q, as is %d", s, why, other)
		}
		seen[why] = s
		if s.hidden() == slices.Contains([]Reason{ReasonShown, ReasonImpossible, ReasonNotReported, ReasonOmitted}, why) {
			t.Errorf("state %d is hidden: %v, because %q", s, s.hidden(), why)
		}
	}
	if why := (omitted + 1).reason(); why != ReasonHidden || !slices.Contains(names, why) {
		t.Errorf("an unknown state is %q", why)
	}
}
