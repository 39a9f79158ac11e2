package disclosure

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

func encoded(tb testing.TB, p *Published) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := p.Encode(&b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// What is read answers exactly as what was written, under the same digest.
func TestEncodeDecode(t *testing.T) {
	p := protected(t, 3, 1)
	b := encoded(t, p)
	q, err := Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded(t, q), b) || q.Digest() != p.Digest() {
		t.Error("encoding what was decoded gives other bytes")
	}
	for _, d := range demoQuestions {
		if diff := cmp.Diff(ask(t, p, d.q), ask(t, q, d.q)); diff != "" {
			t.Errorf("%s: %s", d.name, diff)
		}
	}
	if diff := cmp.Diff(p.Summary(), q.Summary()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(p.Rules(), q.Rules()); diff != "" || q.Release() != "demo-3" {
		t.Error(q.Release(), diff)
	}
}

// tiny is a release of few bytes.
func tiny(tb testing.TB) *Published {
	tb.Helper()
	d := definition([]gateway.Dimension{tree("a", 1, 2), partition("b", 3)}, cube("one", gateway.Events, 2, "a", "b"))
	d.Cubes[0].Measures = []gateway.Measure{gateway.CountChildren, gateway.CountRecords}
	d.Dimensions[1].Omitted = d.Dimensions[1].Nodes[0].Code
	p, err := Protect(fill(tb, d, randomTruthOf(d, 400).counts()), release(d, 1, 1))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Any changed byte is either refused or changes the digest that was approved; any
// missing or added byte is refused.
func TestDecodeSeesEveryByte(t *testing.T) {
	t.Parallel()
	p := tiny(t)
	b := encoded(t, p)
	for i := range b {
		x := []byte{1, 0x20, 0x80}[i%3]
		b[i] ^= x
		q, err := Decode(bytes.NewReader(b))
		if err == nil && q.Digest() == p.Digest() {
			t.Errorf("byte %d of %d does not matter", i, len(b))
		}
		if err != nil && !errors.Is(err, gateway.Internal) {
			t.Errorf("byte %d: %v is not Internal", i, err)
		}
		b[i] ^= x
		if _, err := Decode(bytes.NewReader(b[:i])); err == nil {
			t.Errorf("the first %d bytes are a release", i)
		}
	}
	if _, err := Decode(io.MultiReader(bytes.NewReader(b), strings.NewReader("x"))); err == nil {
		t.Error("a byte more is accepted")
	}
	if _, err := Decode(io.MultiReader(bytes.NewReader(b), failing{})); err == nil {
		t.Error("a failing reader is accepted")
	}
	if err := p.Encode(failing{}); err == nil {
		t.Error("a failing writer is accepted")
	}
}

// A value has one spelling: a varint with an empty last byte is refused.
func TestDecodeRefusesOtherSpellings(t *testing.T) {
	p := tiny(t)
	b := encoded(t, p)
	longer := 0
	for i := bytes.Index(b, []byte("]}}")); i < len(b); i++ { // from the end of the header
		if b[i] < 5 || b[i] >= 0x80 {
			continue
		}
		other := append(append(bytes.Clone(b[:i]), b[i]|0x80, 0), b[i+1:]...)
		longer++
		if _, err := Decode(bytes.NewReader(other)); err == nil {
			t.Errorf("byte %d has a longer spelling", i)
		}
	}
	s := p.l.byKey["b@b"] // its first code is omitted
	p.cells[s.index].status[0] = statusSuppressed
	if _, err := Decode(bytes.NewReader(encoded(t, p))); err == nil {
		t.Error("an omitted code has a status that a table would show")
	}
	if longer < 10 {
		t.Errorf("only %d values were spelt otherwise", longer)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error)  { return 0, io.ErrUnexpectedEOF }
func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// Published bytes hold no rule that hid a cell, no count and no key: two releases
// whose cells are hidden by different rules have the same bytes.
func TestBytesDoNotTellTheRule(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 2)}, cube("one", gateway.Children, 1, "a"))
	var bs [][]byte
	for _, ns := range [][2]int{{197, 3}, {200, 0}, {192, 8}} { // near the parent and small; the same total
		raw := NewRaw(d)
		add(t, raw, total, nil, 200, subjectKey(0))
		for i, n := range ns {
			if n > 0 {
				add(t, raw, gateway.GroupingSet{{Name: "a"}}, []string{d.Dimensions[0].Nodes[i].Code}, n, subjectKey(i))
			}
		}
		p, err := Protect(raw, release(d, 1, 1))
		if err != nil {
			t.Fatal(err)
		}
		bs = append(bs, encoded(t, p))
	}
	if !bytes.Equal(bs[0], bs[1]) || !bytes.Equal(bs[1], bs[2]) {
		t.Error("the bytes tell why a cell is hidden")
	}
}

// FuzzDecode holds that there is one encoding: whatever is accepted is written back
// to the byte, and can be asked without a panic.
func FuzzDecode(f *testing.F) {
	b := encoded(f, tiny(f))
	f.Add(b)
	f.Add([]byte(magic))
	f.Add([]byte(magic + "\x00\x00\x00\x02{}"))
	f.Add(bytes.Replace(b, []byte(`"cap":2`), []byte(`"cap":1`), 1))
	f.Add(bytes.Replace(b, []byte(`"number":1`), []byte(`"number":9`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Decode(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, gateway.Internal) {
				t.Fatalf("%v is not Internal", err)
			}
			return
		}
		if !bytes.Equal(encoded(t, p), data) {
			t.Fatal("two encodings of one release")
		}
		for _, s := range p.l.sets {
			q := gateway.Question{Cube: s.Cubes[0], Measure: gateway.CountChildren}
			for _, sd := range s.Set {
				q.GroupBy = append(q.GroupBy, p.l.spell(sd))
			}
			table, err := p.Ask(q)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range table.Cells {
				if c.Value != nil && *c.Value < int64(table.Bottom) {
					t.Fatal("a value is below the bottom code")
				}
			}
		}
	})
}

// update rewrites the golden file: go test -run Golden -update.
var update = flag.Bool("update", false, "rewrite golden files")

// A release keeps its values over versions of this program: the permanent layer is
// permanent for a lineage, not for a build. Whoever has to change this file has
// drawn new noise for everybody's data.
func TestGolden(t *testing.T) {
	p := tiny(t)
	var b strings.Builder
	b.WriteString("# Published cells of the release that tiny makes, pinned by this project.\n")
	each(p.l, func(s *set, _ int, _ []int, label string) {
		for _, m := range s.Measures {
			if st, v, ok := p.Cell(label, m); ok {
				fmt.Fprintf(&b, "%s %q %s %d\n", m, label, st, v)
			}
		}
	})
	const name = "testdata/golden.txt"
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
}

// Any release of any definition is read back to the byte and to the answer.
func TestAnyReleaseIsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d := randomDefinition(rt)
		d.V = 1000
		w := randomTruth(rt, d)
		raw := NewRaw(d)
		counts := w.counts()
		for _, a := range d.AdmittedSets() {
			for label, c := range counts[a.Set.Key(d)] {
				if err := raw.Add(a.Set, codesOf(label), *c); err != nil {
					rt.Fatal(err)
				}
			}
		}
		p, err := Protect(raw, release(d, rapid.IntRange(1, 99).Draw(rt, "number"), 1))
		if err != nil {
			rt.Fatal(err)
		}
		var first, second bytes.Buffer
		if err := p.Encode(&first); err != nil {
			rt.Fatal(err)
		}
		again, err := Decode(bytes.NewReader(first.Bytes()))
		if err != nil {
			rt.Fatal(err)
		}
		if err := again.Encode(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) || again.Digest() != p.Digest() {
			rt.Fatal("what is read is not what was written")
		}
		each(p.l, func(s *set, _ int, _ []int, label string) {
			for _, m := range s.Measures {
				s1, v1, ok1 := p.Cell(label, m)
				s2, v2, ok2 := again.Cell(label, m)
				if s1 != s2 || v1 != v2 || ok1 != ok2 {
					rt.Fatalf("%s: %s %d became %s %d", label, s1, v1, s2, v2)
				}
			}
		})
	})
}
