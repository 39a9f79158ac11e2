package gateway

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestDecimalsAreWritten(t *testing.T) {
	for want, d := range map[string]Decimal{
		"0": {0, 0}, "0.0": {0, 1}, "12.50": {1250, 2}, "-0.05": {-5, 2}, "7": {7, 0}, "-7": {-7, 0}, "0.001": {1, 3},
		"-1234.5": {-12345, 1}, "1000": {1000, 0}, "0.9": {9, 1},
	} {
		if got := d.String(); got != want {
			t.Errorf("%+v is written %q, want %q", d, got, want)
		}
	}
}

// A decimal is a JSON number, is read back as it was, and is near what a float of
// its text is.
func TestDecimalsAreReadBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := Decimal{rapid.Int64Range(-1<<53, 1<<53).Draw(rt, "digits"), rapid.IntRange(0, 18).Draw(rt, "scale")}
		text, err := json.Marshal(d)
		if err != nil {
			rt.Fatal(err)
		}
		var again Decimal
		var f float64
		if err := json.Unmarshal(text, &again); err != nil || again != d {
			rt.Fatalf("%s became %+v (%v)", text, again, err)
		}
		if err := json.Unmarshal(text, &f); err != nil || math.Abs(f-d.Float()) > 1e-12*math.Abs(f) {
			rt.Fatalf("%s is %g, and as a float %g (%v)", text, d.Float(), f, err)
		}
	})
}

// FuzzDecimal holds that a number has one spelling.
func FuzzDecimal(f *testing.F) {
	for _, seed := range []string{"0", "-0", "1.50", "01", "+1", "1e3", ".5", "5.", "-.5", "1_0", "99999999999999999999", "0.0000000000000000001", `"1"`, "null", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d Decimal
		if err := d.UnmarshalJSON([]byte(text)); err == nil && d.String() != text {
			t.Errorf("%q is read as %s", text, d)
		}
	})
}

// Values are admitted by the sets that name the sector at its leaves, each once.
func TestSetsCarryValues(t *testing.T) {
	sector := Dimension{
		Name: "sector", Kind: Multi, Levels: []string{"group", "sector"}, Source: Source{Kind: EventSector},
		Nodes: []Node{{Code: "all"}, {Code: "courts", Parent: "all", Level: 1}},
	}
	sex := Dimension{Name: "sex", Kind: Partition, Levels: []string{"sex"}, Source: Source{Kind: ChildConst}, Nodes: []Node{{Code: "F"}}}
	d := &Definition{
		Dimensions: []Dimension{sector, sex}, Values: []Value{{ID: "b"}, {ID: "a"}},
		Cubes: []Cube{
			{ID: "one", Grain: Events, Dimensions: []string{"sector", "sex"}, Cap: 2, Values: []string{"b"}},
			{ID: "two", Grain: Events, Dimensions: []string{"sector", "sex"}, Cap: 2, Values: []string{"b", "a"}},
			{ID: "three", Grain: Events, Dimensions: []string{"sector", "sex"}, Cap: 2},
		},
	}
	if d.Value("a") != &d.Values[1] || d.Value("c") != nil || SumOf("a") != "a.sum" {
		t.Error("a value is not found by its id")
	}
	for _, a := range d.AdmittedSets() {
		want := 0
		if key := a.Set.Key(d); key == "sector@sector" || key == "sector@sector|sex@sex" {
			want = 2
		}
		if len(a.Values) != want || want == 2 && (a.Values[0] != "a" || a.Values[1] != "b") {
			t.Errorf("%q carries %v", a.Set.Key(d), a.Values)
		}
	}
}
