package exchange_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/pipelines/synth"
)

const (
	lastOpen   = "2025-10-01" // first day of the quarter that the second release adds
	firstClose = "2025Q3"
)

// A world is the files of a small country, taken apart by child and day.
type world struct {
	header   []string
	police   [][]string // of children who report in time, and of everybody from lastOpen on
	late     [][][]string
	others   map[gateway.ContractID][]byte
	iin, day int
}

// newWorld holds back what some children have with the police before lastOpen: late
// holds one list of records a child.
func newWorld(t *testing.T) *world {
	t.Helper()
	_, content, err := country(synth.Options{Children: 500, Seed: 11})
	ok(t, err)
	w := &world{others: content}
	lines, err := csv.NewReader(bytes.NewReader(content["police"])).ReadAll()
	ok(t, err)
	w.header = lines[0]
	for _, c := range contracts(t) {
		for _, f := range c.Fields {
			if c.ID == "police" && f.Type == gateway.TypeIIN && f.Column == gateway.ColumnPID {
				w.iin = slices.Index(w.header, string(f.Name))
			}
			if c.ID == "police" && f.Event {
				w.day = slices.Index(w.header, string(f.Name))
			}
		}
	}
	held := map[string]int{}
	for _, line := range lines[1:] {
		iin, early := line[w.iin], line[w.day] < lastOpen
		at, is := held[iin]
		switch {
		case !early || iin == "" || !is && len(w.late) == 63:
			w.police = append(w.police, line)
		case is:
			w.late[at] = append(w.late[at], line)
		default:
			held[iin] = len(w.late)
			w.late = append(w.late, [][]string{line})
		}
	}
	if len(w.late) != 63 || w.iin < 0 || w.day < 0 {
		t.Fatalf("%d children are late", len(w.late))
	}
	return w
}

// file writes lines as an agency sends them.
func (w *world) file(t *testing.T, lines ...[]string) []byte {
	t.Helper()
	var b bytes.Buffer
	c := csv.NewWriter(&b)
	ok(t, c.Write(w.header))
	ok(t, c.WriteAll(lines))
	return b.Bytes()
}

// of are the records of some of the late children.
func (w *world) of(from, to int) [][]string { return slices.Concat(w.late[from:to]...) }

// begun is a gateway whose first release is public. Keys are the same for all, so that
// what two of them publish under one number is equal where they count the same.
func (w *world) begun(t *testing.T) *gate {
	t.Helper()
	g := seeded(t, noise(3))
	g.send(t, "police", "base", w.file(t, w.police...))
	g.send(t, "health", "base", w.others["health"])
	r, err := g.BuildRelease(t.Context(), g.who["steward"], window(t, firstClose, ""))
	ok(t, err)
	g.approve(t, r)
	return g
}

func window(t *testing.T, to string, revision exchange.Revision) exchange.Build {
	t.Helper()
	last, err := gateway.ParseQuarter(to)
	ok(t, err)
	return exchange.Build{Definition: "small", From: demo(t).From, To: last, Revision: revision}
}

// lastQuarter is one more than the first release has.
const lastQuarter = "2025Q4"

// next builds the release after the first.
func (g *gate) next(t *testing.T, to string, revision exchange.Revision) (gateway.Release, exchange.Catalogue) {
	t.Helper()
	r, err := g.BuildRelease(t.Context(), g.who["steward"], window(t, to, revision))
	ok(t, err)
	if r.ID != "small-2" {
		t.Fatal(r.ID)
	}
	c, err := g.Release(t.Context(), g.who["officer"], r.ID)
	ok(t, err)
	return r, c
}

// A16: a late batch that is not a crowd's changes no byte of the next release, which is
// the one that is built where the batch never came: of closed quarters it differs from
// the first by release noise, and by what the new quarter adds, alone. One that is a
// crowd's makes it the release that counts everything.
func TestA16LateBatches(t *testing.T) {
	w := newWorld(t)
	without, c := w.begun(t).next(t, lastQuarter, "")
	if c.Pinned.Revision != exchange.RevisionNone || c.Pinned.After != "small-1" {
		t.Fatalf("without late records: %+v", c.Pinned.Counted)
	}
	closed, _ := w.begun(t).next(t, firstClose, "")
	digest := map[string]string{lastQuarter: without.Digest, firstClose: closed.Digest}
	batches := func(sizes ...int) func(*gate) {
		return func(g *gate) {
			from := 0
			for i, n := range sizes {
				g.send(t, "police", fmt.Sprint("late", i), w.file(t, w.of(from, from+n)...))
				from += n
			}
		}
	}
	for _, c := range []struct {
		name string
		late func(*gate)
		to   string
		want exchange.Revision
	}{
		{"one record", func(g *gate) { g.send(t, "police", "late", w.file(t, w.late[0][0])) }, lastQuarter, exchange.RevisionNone},
		{"49 children in three batches", batches(17, 16, 16), lastQuarter, exchange.RevisionNone},
		{"63 children in two batches", batches(32, 31), lastQuarter, exchange.RevisionNone},
		{"63 children, most in one batch", batches(32, 16, 15), lastQuarter, exchange.RevisionNone},
		{"a sector that had not reported, in one batch", func(g *gate) { g.send(t, "education", "late", w.others["education"]) }, firstClose, exchange.RevisionNone},
		{"50 children in three batches", batches(17, 17, 16), lastQuarter, exchange.RevisionRipe},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := w.begun(t)
			c.late(g)
			r, catalogue := g.next(t, c.to, "")
			if got := catalogue.Pinned.Revision; got != c.want {
				t.Fatalf("the revision is %q", got)
			}
			if same := r.Digest == digest[c.to]; same != (c.want == exchange.RevisionNone) {
				t.Fatalf("a revision %q: the digest is that of the release without the batch: %v", c.want, same)
			}
			if c.want == exchange.RevisionRipe {
				all := w.begun(t)
				c.late(all)
				all.clock.move(registry.Year)
				if whole, _ := all.next(t, c.to, exchange.RevisionYearly); whole.Digest != r.Digest {
					t.Fatal("a ripe revision does not count everything")
				}
			}
		})
	}
}

// questions are what a researcher asked in a release.
func questions() []gateway.Question {
	var all []gateway.Question
	for _, m := range []gateway.Measure{gateway.CountChildren, gateway.CountRecords} {
		for _, by := range [][]string{nil, {"sector"}, {"sex"}, {"quarter"}, {"sector", "sex"}, {"sector", "quarter"}, {"quarter", "sex"}} {
			all = append(all, gateway.Question{Cube: "volume", Measure: m, GroupBy: by, Purpose: purpose})
		}
	}
	return all
}

func (g *gate) answers(t *testing.T, id gateway.ReleaseID) string {
	t.Helper()
	var all strings.Builder
	for _, q := range questions() {
		text, err := g.Ask(t.Context(), g.who["researcher"], id, q, asJSON)
		_, _ = fmt.Fprintf(&all, "%s %v\n", text, err) // a set that is closed is so for all of the release
	}
	return all.String()
}

// A15: within a release no answer changes, whatever an agency sends again: the file as
// it was, with a record twice, with a record changed, without one, or not at all. Nor
// is there a next release to subtract from it, until the yearly revision.
func TestA15UploadsAgain(t *testing.T) {
	w := newWorld(t)
	g := w.begun(t)
	before := g.answers(t, "small-1")
	if strings.Count(before, `"status":"value"`) < 10 {
		t.Fatalf("too few values to say anything:\n%s", before)
	}
	same := func(what string) {
		t.Helper()
		if g.answers(t, "small-1") != before {
			t.Fatalf("%s: an answer changed", what)
		}
	}
	first := g.send(t, "police", "again", w.file(t, w.police...))
	same("the same file")
	if !first.Repeated {
		t.Fatal("the same file was counted twice")
	}
	twice := slices.Clone(w.police[3])
	twice[0] += "b"
	g.send(t, "police", "doubled", w.file(t, twice))
	same("a record doubled")
	now := first.Batch
	for i, lines := range [][][]string{w.police[1:], append([][]string{w.late[0][0]}, w.police[1:]...)} {
		_, err := g.Withdraw(t.Context(), g.who["police"], now)
		ok(t, err)
		same("a file withdrawn")
		now = g.send(t, "police", fmt.Sprint("corrected", i), w.file(t, lines...)).Batch
		same("a file sent again with a record less, or another")
	}
	_, err := g.BuildRelease(t.Context(), g.who["steward"], window(t, lastQuarter, ""))
	is(t, err, gateway.Conflict)
	if !strings.Contains(err.Error(), "the revision is too small") {
		t.Fatal(err)
	}
	_, err = g.BuildRelease(t.Context(), g.who["steward"], window(t, lastQuarter, exchange.RevisionYearly))
	is(t, err, gateway.Conflict)
	if !strings.Contains(err.Error(), "small-1 is the first release") {
		t.Fatal(err)
	}
	g.clock.move(registry.Year)
	g.next(t, lastQuarter, exchange.RevisionYearly)
	same("a release built")
	g.reopen(t)
	same("a restart")
}

// What was withdrawn closes the way for its quarters alone: a window without them is
// built, and a quarter that comes back is as closed as it was.
func TestWindowWithoutWhatWasWithdrawn(t *testing.T) {
	w := newWorld(t)
	g := seeded(t, noise(3))
	var early, last [][]string
	for _, line := range w.police {
		if line[w.day] < lastOpen {
			early = append(early, line)
		} else {
			last = append(last, line)
		}
	}
	send := func(key, from, to string, lines [][]string) exchange.Uploaded {
		u := sending("police", key, w.file(t, lines...))
		u.Manifest.PeriodFrom, _ = gateway.ParseDay([]byte(from))
		u.Manifest.PeriodTo, _ = gateway.ParseDay([]byte(to))
		sent, err := g.Upload(t.Context(), g.who["police"], u)
		ok(t, err)
		return sent
	}
	send("early", "2023-01-01", "2025-09-30", early)
	gone := send("last", "2025-10-01", "2025-12-31", last).Batch
	g.send(t, "health", "base", w.others["health"])
	build := func(to string, revision exchange.Revision) (gateway.Release, error) {
		return g.BuildRelease(t.Context(), g.who["steward"], window(t, to, revision))
	}
	r, err := build(lastQuarter, "")
	ok(t, err)
	g.approve(t, r)
	_, err = g.Withdraw(t.Context(), g.who["police"], gone)
	ok(t, err)
	_, err = build(lastQuarter, "")
	is(t, err, gateway.Conflict)
	r, err = build(firstClose, "")
	ok(t, err)
	g.approve(t, r)
	_, err = build(lastQuarter, "")
	is(t, err, gateway.Conflict)
	g.clock.move(registry.Year)
	r, err = build(lastQuarter, exchange.RevisionYearly)
	ok(t, err)
	g.approve(t, r)
	r, err = build(lastQuarter, "")
	ok(t, err)
	if r.ID != "small-4" { // the refused ones used up no number
		t.Fatal(r.ID)
	}
	_, err = build(lastQuarter, exchange.RevisionYearly)
	is(t, err, gateway.Conflict)
	g.clock.move(registry.Year)
	_, err = build(lastQuarter, exchange.RevisionYearly)
	ok(t, err)
}

// A quarter enters after its last day, and nobody needs to look at data to say so.
func TestOpenQuarter(t *testing.T) {
	g := newExchange(t)
	_, err := g.BuildRelease(t.Context(), g.who["steward"], window(t, "2026Q1", ""))
	is(t, err, gateway.Invalid)
	_, err = g.BuildRelease(t.Context(), g.who["steward"], window(t, lastQuarter, "monthly"))
	is(t, err, gateway.Invalid)
	g.clock.move(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).Sub(today) - time.Second)
	_, err = g.BuildRelease(t.Context(), g.who["steward"], window(t, "2026Q1", ""))
	is(t, err, gateway.Invalid)
	if g.last(t) == begun {
		t.Fatal("a build began")
	}
	g.clock.move(time.Second)
	_, err = g.BuildRelease(t.Context(), g.who["steward"], window(t, "2026Q1", ""))
	ok(t, err)
}

// Both built-in definitions can be built; of the two one becomes public.
func TestDemoAndNational(t *testing.T) {
	definitions, err := configs.Definitions()
	ok(t, err)
	g := newExchange(t, func(o *exchange.Options) { o.Definitions = definitions })
	g.send(t, "police", "k1", files(t)["police"])
	var built []gateway.Release
	for _, name := range []string{"demo", "national"} {
		r, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: name})
		ok(t, err)
		built = append(built, r)
	}
	g.approve(t, built[1])
	_, err = g.Approve(t.Context(), g.who["officer"], built[0].ID, built[0].Page, "the other one too")
	is(t, err, gateway.Conflict)
	_, err = g.CloseRelease(t.Context(), g.who["officer"], built[1].ID, "that other one instead")
	ok(t, err)
	_, err = g.Approve(t.Context(), g.who["officer"], built[0].ID, built[0].Page, "now")
	is(t, err, gateway.Conflict)
	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "demo"})
	is(t, err, gateway.Conflict)
	if !strings.Contains(err.Error(), "second, independent noise") {
		t.Fatal(err)
	}
}

// A definition that changed between two releases of a lineage is refused before
// anything begins.
func TestChangedDefinition(t *testing.T) {
	g := populated(t)
	g.approve(t, g.build(t))
	changed := *small(t)
	changed.V = 60
	g.options.Definitions["small"] = &changed
	_, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small"})
	is(t, err, gateway.Conflict)
	if !strings.Contains(err.Error(), "V 50, for ever") || g.last(t) == begun {
		t.Fatal(err)
	}
}

// The cells of a release that is over leave memory and stay out of it, also when an
// officer reads its risk page again.
func TestSupersededCellsLeaveMemory(t *testing.T) {
	g := populated(t)
	first := g.build(t)
	g.approve(t, first)
	g.answer(t, first.ID)
	second := g.build(t)
	g.approve(t, second)
	held := func(want ...gateway.ReleaseID) {
		t.Helper()
		if got := g.Held(); !slices.Equal(got, want) {
			t.Fatalf("in memory are the cells of %v", got)
		}
	}
	held(second.ID)
	_, err := g.Risk(t.Context(), g.who["officer"], first.ID)
	ok(t, err)
	held(second.ID)
	g.denied(t, "researcher", first.ID, bySector, gateway.NotFound)
	g.reopen(t)
	_, err = g.Risk(t.Context(), g.who["officer"], first.ID)
	ok(t, err)
	held()
	g.answer(t, second.ID)
	held(second.ID)
	_, err = g.CloseRelease(t.Context(), g.who["steward"], second.ID, "an error was found")
	ok(t, err)
	held()
}

// What was withdrawn between a build and its approval stops the approval; the release
// that is built after it is approved.
func TestWithdrawnBeforeApproval(t *testing.T) {
	g := populated(t)
	r := g.build(t)
	all, err := g.registry.Batches(t.Context(), g.who["police"].Agency)
	ok(t, err)
	_, err = g.Withdraw(t.Context(), g.who["police"], all[0].ID)
	ok(t, err)
	_, err = g.Approve(t.Context(), g.who["officer"], r.ID, r.Page, "read")
	is(t, err, gateway.Conflict)
	if !strings.Contains(err.Error(), "was withdrawn, or records erased, since it was built; build again") {
		t.Fatal(err)
	}
	g.approve(t, g.build(t))
}
