package disclosure

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"log/slog"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// Laws that hold of every release: what a table states, what stricter rules hide, what
// is true on average, and what can never come out of this package's types.

// Every answer says how large its noise is, in which steps its values come, which is
// the smallest that is shown, and what hidden may mean: whatever the question.
func TestEveryTableStatesItsNoise(t *testing.T) {
	releases := []*Published{protected(t, 1, 1), protectedCourt(t)}
	answered := 0
	rapid.Check(t, func(rt *rapid.T) {
		p := rapid.SampledFrom(releases).Draw(rt, "release")
		r := synonymous{p, p.l, p.l.def}
		q := r.question(rt)
		q.Measure = rapid.SampledFrom(p.Measures(p.l.def.Cube(q.Cube))).Draw(rt, "any measure")
		table, err := p.Ask(q)
		if errors.Is(err, gateway.Invalid) {
			return // the measure wants other dimensions
		}
		if err != nil {
			rt.Fatal(err)
		}
		answered++
		sum := strings.HasSuffix(string(q.Measure), ".sum")
		if !sum && (table.Variance != p.l.def.V || table.Base != Base || table.Bottom != p.head.Rules.ThresholdMin) {
			rt.Fatalf("%+v: variance %g, base %d, bottom %d", q, table.Variance, table.Base, table.Bottom)
		}
		if sum && (!(table.Variance > 0) || table.Base < 1 || table.Bottom != 0) {
			rt.Fatalf("%+v: a sum with variance %g, base %d, bottom %d", q, table.Variance, table.Base, table.Bottom)
		}
		notes := strings.Join(table.Notes, "\n")
		if !strings.Contains(notes, "which of these is never told") {
			rt.Fatalf("%+v: the notes do not say what hidden means:\n%s", q, notes)
		}
		if q.Measure == gateway.CountChildren && !strings.Contains(notes, "biased upward") {
			rt.Fatalf("%+v: the notes do not say what the bottom code does:\n%s", q, notes)
		}
		for _, c := range table.Cells {
			switch {
			case c.Status != gateway.StatusValue && (c.Value != nil || c.Estimate != nil || c.SD != nil):
				rt.Fatalf("%+v: a cell that is %s says more: %+v", q, c.Status, c)
			case c.Status == gateway.StatusValue && c.Value == nil && (c.Estimate == nil || c.SD == nil || c.SD.Float() < 0):
				rt.Fatalf("%+v: an estimate without its standard deviation: %+v", q, c)
			case c.Value != nil && !sum && *c.Value != int64(table.Bottom) && *c.Value%int64(table.Base) != 0:
				rt.Fatalf("%+v: %d is neither the bottom code nor a multiple of the base", q, *c.Value)
			case c.Value != nil && sum && *c.Value%int64(table.Base) != 0:
				rt.Fatalf("%+v: the sum %d is not a multiple of %d", q, *c.Value, table.Base)
			}
		}
	})
	if answered == 0 {
		t.Error("nothing was answered: the test says nothing")
	}
}

// Stricter rules hide more: under a law that gives no draw a lower threshold, whatever
// rules 1, 3 and 4 hid stays hidden, for every population and key. What rule 6 alone
// hid may come out, since a companion is not needed where a group has two hidden cells
// by the other rules: then, and only then.
func TestStricterRulesHideASuperset(t *testing.T) {
	released := 0
	rapid.Check(t, func(rt *rapid.T) {
		d := definition([]gateway.Dimension{tree("a", 2, 3, 1), partition("b", 3), partition("c", 2)}, cube("one", gateway.Children, 2, "a", "b", "c"))
		w := randomTruth(rt, d)
		counts := w.counts()
		rel := release(d, 1, rapid.IntRange(0, 1000).Draw(rt, "key"))
		loose := inside(t, fill(t, d, counts), rel)
		rel.Rules.ThresholdMin += rapid.IntRange(1, 10).Draw(rt, "higher by")
		strict := inside(t, fill(t, d, counts), rel)
		each(loose.l, func(s *set, c int, at []int, label string) {
			a, b := loose.states[s.index][c], strict.states[s.index][c]
			switch {
			case a.hidden() && a != hiddenRest && !b.hidden():
				rt.Fatalf("%s: state %d under the law from 10, %d under a stricter one", label, a, b)
			case a == hiddenRest && !b.hidden():
				released++
				for i := range s.dims {
					if n := unknowns(strict, s, c, at, i); n == 1 {
						rt.Fatalf("%s is shown under the stricter law, and its group along %s has one hidden cell", label, s.Set[i].Name)
					}
				}
			}
		})
	})
	t.Logf("%d cells that rule 6 had hidden were not needed any more", released)
}

// unknowns counts the hidden cells of a cell's group along a dimension, where the
// parent is shown and anything is left that could be hidden.
func unknowns(p *protector, s *set, c int, at []int, i int) int {
	n, level := &p.l.dims[s.dims[i]], s.Set[i].Level
	if p.states[s.parents[i].index][p.l.above(s, at, i)] != shown || n.only(level, at[i]) {
		return 0
	}
	hidden := 0
	for _, node := range n.groups[level][n.parent[level][at[i]]] {
		if p.states[s.index][c+(node-at[i])*s.strides[i]].hidden() {
			hidden++
		}
	}
	return hidden
}

// Published values are unbiased: over 400 keys the mean of a shown cell of 60 and more
// is its count, within 5.5 standard errors. One comparison fails falsely with a chance
// of 4e-8, and all of a run (100 populations of 3 cells) with 1e-5.
func TestPublishedValuesAreUnbiased(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ns := rapid.SliceOfN(rapid.IntRange(60, 5000), 2, 2).Draw(rt, "counts")
		first := rapid.IntRange(0, 1<<30).Draw(rt, "first key")
		p := oneWay(t, ns...)
		const keys = 400
		sums := make([]float64, 3)
		for key := range keys {
			p.rerun(t, first+key, 1)
			for c := range ns {
				sums[c] += p.published("a@a", c)
			}
			sums[2] += p.published("", 0)
		}
		for c, want := range []float64{float64(ns[0]), float64(ns[1]), float64(ns[0] + ns[1])} {
			if got := sums[c] / keys; !near(got, want, 5.5*math.Sqrt(p.l.def.V/keys)) {
				rt.Fatalf("%g children are published as %.2f on average", want, got)
			}
		}
	})
}

// No shape, verb or encoder shows the noise key, nor anything in a release but what was
// published: the types that hold counts and draws cannot be reached from it.
func TestKeysCannotBePrinted(t *testing.T) {
	key := testKey(1)
	rel := release(demo(), 1, 1)
	p := protected(t, 1, 1)
	tables := tablesOf(t, 50)
	inner := inside(t, NewRaw(demo()), rel)
	for i, shape := range []any{rel, &rel, p, *p, []any{p, rel}, tables, *tables, inner.keys, p.Summary(), struct{ any }{rel}, map[string]any{"x": &rel}} {
		var texts []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			texts = append(texts, fmt.Sprintf(verb, shape))
		}
		text, _ := json.Marshal(shape)
		var b bytes.Buffer
		_ = gob.NewEncoder(&b).Encode(shape)
		slog.New(slog.NewTextHandler(&b, nil)).LogAttrs(t.Context(), slog.LevelInfo, "m", slog.Any("x", shape))
		texts = append(texts, string(text), b.String())
		for _, spelt := range []string{string(key), hex.EncodeToString(key), base64.StdEncoding.EncodeToString(key), strings.Trim(fmt.Sprintf("%d", key), "[]")} {
			for j, text := range texts {
				if strings.Contains(text, spelt) {
					t.Errorf("shape %d, text %d holds the noise key", i, j)
				}
			}
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[Published](), reflect.TypeFor[PTables](), reflect.TypeFor[Summary](), reflect.TypeFor[gateway.Table]()} {
		for _, bad := range []reflect.Type{
			reflect.TypeFor[gateway.PRF](), reflect.TypeFor[keyed](), reflect.TypeFor[protector](), reflect.TypeFor[counted](),
			reflect.TypeFor[tally](), reflect.TypeFor[Count](), reflect.TypeFor[Raw](), reflect.TypeFor[Release](),
		} {
			if reaches(typ, bad, map[reflect.Type]bool{}) {
				t.Errorf("a %s holds a %s", typ, bad)
			}
		}
	}
	if !reaches(reflect.TypeFor[protector](), reflect.TypeFor[tally](), map[reflect.Type]bool{}) {
		t.Error("the walk over types finds nothing")
	}
}

// reaches reports whether a value of a type can hold one of another, fields that are not
// exported included. A closure is another only if its type is.
func reaches(typ, bad reflect.Type, seen map[reflect.Type]bool) bool {
	if typ == bad || typ.Kind() == reflect.Func && typ.ConvertibleTo(bad) {
		return true
	}
	if seen[typ] {
		return false
	}
	seen[typ] = true
	switch typ.Kind() {
	case reflect.Struct:
		for field := range typ.Fields() {
			if reaches(field.Type, bad, seen) {
				return true
			}
		}
	case reflect.Map:
		return reaches(typ.Key(), bad, seen) || reaches(typ.Elem(), bad, seen)
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
		return reaches(typ.Elem(), bad, seen)
	default:
	}
	return false
}

// pure are the packages of the standard library that this package and those below it
// may import: functions of their arguments. No clock, no chance, no network, no file, no
// database and no log; package dp is given its randomness as an io.Reader, and testing
// is there for the type that only a test can have.
var pure = strings.Fields(`bufio bytes cmp compress/flate container/heap crypto/sha256 encoding/binary encoding/hex encoding/json errors
	fmt io iter maps math math/big math/bits reflect slices sort strconv strings sync testing unicode/utf8`)

// The package stays pure (disclosure.md, first page): the same counts, rules and key
// give the same bytes, whenever and wherever.
func TestImportsArePure(t *testing.T) {
	for _, dir := range []string{".", "suppress", "dp"} {
		pkg, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range pkg.Imports {
			engine, ours := strings.CutPrefix(path, "github.com/pana-exchange/pana/pipelines/disclosure/")
			ours = ours && dir == "." && (engine == "suppress" || engine == "dp") // which are pure themselves
			if !slices.Contains(pure, path) && path != "github.com/pana-exchange/pana/gateway" && !ours {
				t.Errorf("%s imports %s", dir, path)
			}
		}
	}
	domain, err := build.ImportDir("../../gateway", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range domain.Imports {
		for _, bad := range []string{"net", "os", "database/sql", "math/rand", "crypto/rand", "log", "github.com"} {
			if path == bad || strings.HasPrefix(path, bad+"/") {
				t.Errorf("the domain imports %s", path)
			}
		}
	}
}

// The page for researchers quotes what the example prints, and numbers that this
// package has.
func TestReadmeIsTheExample(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_estimate_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, output, found := strings.Cut(string(example), "\t// Output:\n")
	lines := 0
	for line := range strings.Lines(output) {
		text, comment := strings.CutPrefix(line, "\t// ")
		if !comment {
			break
		}
		lines++
		if !strings.Contains(string(page), "\n"+text) {
			t.Errorf("README.md does not have the line %q", text)
		}
	}
	if !found || lines < 8 {
		t.Errorf("%d lines of output in the example", lines)
	}
	tables := tablesOf(t, 50)
	for _, number := range []string{
		fmt.Sprintf("between -%d and %d", tables.D1, tables.D1), fmt.Sprintf("at most %d away", tables.D2),
		fmt.Sprintf("by more than %d", tables.D1+tables.D2), fmt.Sprintf("below %d is shown as %d", MinThreshold, MinThreshold),
		fmt.Sprintf("hidden below %d", meanFloor), fmt.Sprintf("mean below %d", gateMean),
	} {
		if !strings.Contains(strings.Join(strings.Fields(string(page)), " "), number) {
			t.Errorf("README.md does not say %q", number)
		}
	}
}
