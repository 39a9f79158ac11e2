package pipelines

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// byNameOptions are those of a contract with names and a plan that links by them.
func byNameOptions(t *testing.T) Options {
	t.Helper()
	o := testOptions(t)
	for i := range o.Contract.Fields {
		switch f := &o.Contract.Fields[i]; f.Name {
		case "family_name":
			f.Part = gateway.FamilyName
		case "given_name":
			f.Part = gateway.GivenName
		case "absent_reason":
			f.Column = gateway.ColumnAbsent
		default:
		}
	}
	for i := range o.Plan.Fields {
		if o.Plan.Fields[i].Field == "child_iin" {
			o.Plan.Fields[i].Fallback = "child_name"
		}
	}
	return o
}

func nameless(id, family, given string) record {
	return good().with("record_id", id).with("child_iin", "").with("absent_reason", "NOT_COLLECTED").with("family_name", family).with("given_name", given)
}

func pidOf(r row) [16]byte { return r[gateway.ColumnPID].([16]byte) }

// Records without a number meet by name where policy says so, and their dates are shifted
// together; they never meet a number, and nothing links where something lacks.
func TestFallback(t *testing.T) {
	t.Parallel()
	records := []record{
		good().with("given_name", "Әлия"), // a number; names are not looked at
		nameless("2", "Қайырова", "Әлия"),
		nameless("3", "КАЙЫРОВА", "алия").with("report_date", "2025-03-09").with("referral_date", "2025-03-10"),
		nameless("4", "Қайырова", "Әлия").with("birth_date", "2013-05-10"),
		nameless("5", "Қайырова", "Әлия").with("absent_reason", "ANON_CONTACT"),
		nameless("6", "Қайырова", "Әлия").with("absent_reason", "REFUSED"),
		nameless("7", "Қайырова", ""),
		nameless("8", "Қайырова", "Ә."),
		nameless("9", "Қайырова", "Әлия").with("birth_date", "").with("age_years", "11"),
		nameless("10", "Қайырова", "Әлия").with("child_sex", "_U"),
		nameless("11", "Қайырова", "новорождённая"),
		nameless("2", "Қайырова", "Әлия"), // doubled: not stored, not counted
		nameless("12", "Қайырова", "Әлия"),
	}
	got := readFile(t, byNameOptions(t), records...)
	rows := map[[16]byte][]row{}
	for _, r := range got.rows {
		rows[pidOf(r)] = append(rows[pidOf(r)], r)
	}
	var sizes []int
	for _, of := range rows {
		sizes = append(sizes, len(of))
	}
	none := rows[[16]byte{}]
	if len(got.rows) != 12 || len(rows) != 4 || len(none) != 7 {
		t.Fatalf("%d rows of %d children, by children %v, %d of nobody", len(got.rows), len(rows)-1, sizes, len(none))
	}
	for _, r := range none {
		if r[gateway.ColumnDay] != int(gateway.NoDay) {
			t.Error("a row of nobody has a day")
		}
	}
	for pid, of := range rows {
		if pid == ([16]byte{}) || len(of) != 3 {
			continue
		}
		days := map[int]int{}
		for _, r := range of {
			days[r[gateway.ColumnDay].(int)]++
		}
		if len(days) != 2 {
			t.Errorf("events of one child lie on %d days", len(days))
		}
		for day := range days {
			if days[day] == 1 && days[day-5] != 2 {
				t.Errorf("the days between events changed: %v", days)
			}
		}
	}
	want := &gateway.Linkage{Identified: 1, Fallback: 4, Unlinkable: 7}
	if diff := cmp.Diff(want, got.reader.Report().Linkage); diff != "" {
		t.Error(diff)
	}
}

// Without the plan's word nobody is linked by name: the plans of the policies that are
// built in say nothing.
func TestNoFallbackByDefault(t *testing.T) {
	t.Parallel()
	o := byNameOptions(t)
	o.Plan = testOptions(t).Plan
	got := readFile(t, o, nameless("1", "Қайырова", "Әлия"))
	if len(got.rows) != 1 || pidOf(got.rows[0]) != ([16]byte{}) {
		t.Error("a record was linked by name")
	}
	if diff := cmp.Diff(&gateway.Linkage{Unlinkable: 1}, got.reader.Report().Linkage); diff != "" {
		t.Error(diff)
	}
}

// The pid of a key of names is what packages of keys make of it, and rotates with them.
func TestFallbackHasTheOuterLayer(t *testing.T) {
	t.Parallel()
	o := byNameOptions(t)
	got := readFile(t, o, nameless("1", "Қайырова", "Әлия"))
	inner, linked := o.Keys.Fallback("child_name").Inner(&pseudonym.Person{Family: []byte("Кайырова"), Given: []byte("Алия"), Birth: 20130509, Sex: 'F'})
	h, err := o.Keys.NewHasher(o.Keys.Domain(), "agency-1")
	if err != nil || !linked {
		t.Fatal(err, linked)
	}
	pids := [][16]byte{inner}
	h.Outer(pids, make([]uint16, 1))
	if pidOf(got.rows[0]) != pids[0] || bytes.Equal(inner[:], pids[0][:]) {
		t.Error("the pid is not the outer layer of the key of names")
	}
}

// A plan whose fallback stands below a floor is refused, and so is one for a contract
// without names.
func TestFallbackFloors(t *testing.T) {
	t.Parallel()
	own := byNameOptions(t)
	for i := range own.Plan.Fields {
		if own.Plan.Fields[i].Fallback != "" {
			own.Plan.Fields[i].Fallback = own.Keys.Domain()
		}
	}
	unnamed := byNameOptions(t)
	unnamed.Contract.Field("given_name").Part = ""
	for what, o := range map[string]Options{"the domain of numbers": own, "a contract without given names": unnamed} {
		got := readFile(t, o, good())
		if got.err == nil {
			t.Errorf("%s: not refused", what)
		}
	}
}

// Many records, decoded by several workers, link as one by one.
func TestFallbackInParallel(t *testing.T) {
	t.Parallel()
	var records []record
	for i := range 5000 {
		id := string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		records = append(records, nameless("r"+id, "Қайырова", "Әлия"+string(rune('а'+i%30))))
	}
	got := readFile(t, byNameOptions(t), records...)
	children := map[[16]byte]int{}
	for _, r := range got.rows {
		children[pidOf(r)]++
	}
	if len(got.rows) != 5000 || children[[16]byte{}] != 0 || len(children) < 20 || len(children) > 30 {
		t.Errorf("%d rows of %d children, %d of nobody", len(got.rows), len(children), children[[16]byte{}])
	}
}
