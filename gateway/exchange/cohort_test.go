package exchange_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/disclosure"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// An arrival is a batch of a sector and quarter that comes some time: the report of the
// quarter, or records that were forgotten in it.
type arrival struct {
	sector  string
	quarter gateway.Quarter
	late    bool
	when    float64 // in quarters
	records []toldRecord
	lines   [][]string
}

// A status is what a release says of a child (domain.md 3.1, I1), and its region there.
type status struct {
	reached string
	start   gateway.Quarter
	region  string
}

// A cohorts is a gateway that batches arrive at in a random order, beside a plain list
// of what came when.
type cohorts struct {
	*gate
	dice    *rand.Rand
	header  map[string][]string
	coming  []arrival
	came    []arrival
	closed  map[gateway.Quarter]int // quarter → how many had come when it was closed
	missing gateway.Quarter         // of social protection in the region 75, for ever
	said    map[string]status       // by the last release
}

const firstQuarter = gateway.Quarter(2023 * 4)

// newCohorts cuts the files of the police and of social protection into quarters. Of the
// sectors in forgetful, some records come in a batch of their own, after the quarter's.
func newCohorts(t *testing.T, seed uint64, children int, forgetful ...string) *cohorts {
	t.Helper()
	d := small(t)
	d.Dimensions = nil
	for _, x := range demo(t).Dimensions {
		if x.Name == "reached" || x.Name == "region" {
			d.Dimensions = append(d.Dimensions, x)
		}
	}
	d.Cubes = []gateway.Cube{{ID: "pathways", Grain: gateway.Children, Cap: 2, Dimensions: []string{"reached", "region"}, Measures: []gateway.Measure{gateway.CountChildren}}}
	d.Indicators = nil
	c := &cohorts{
		gate: seeded(t, noise(seed), func(o *exchange.Options) { o.Definitions = map[string]*gateway.Definition{"small": d} }),
		dice: rand.New(rand.NewPCG(seed, 1)), header: map[string][]string{}, closed: map[gateway.Quarter]int{},
	}
	c.missing = firstQuarter + gateway.Quarter(4+c.dice.IntN(6))
	c.agency(t, "silent", "silent", exchange.Agency{Contract: "social", Regions: []string{"75"}, From: c.missing.String(), To: c.missing.String()})
	_, files, err := country(synth.Options{Children: children, Seed: seed})
	ok(t, err)
	for _, sector := range []string{"police", "social"} {
		c.cut(t, sector, files[gateway.ContractID(sector)], slices.Contains(forgetful, sector))
	}
	slices.SortStableFunc(c.coming, func(a, b arrival) int {
		if a.when < b.when {
			return -1
		}
		return 1
	})
	return c
}

func (c *cohorts) cut(t *testing.T, sector string, file []byte, forgets bool) {
	t.Helper()
	lines, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	ok(t, err)
	c.header[sector] = lines[0]
	var of [12][2]arrival
	slow := 6 + c.dice.IntN(3)
	for q := range of {
		// A report comes in the quarter after its own, one of social protection after some
		// release has closed its quarter; what was forgotten, later still.
		when := float64(q) + 1 + c.dice.Float64()
		if sector == "social" && q == slow {
			when += 3
		}
		of[q][0] = arrival{sector: sector, quarter: firstQuarter + gateway.Quarter(q), when: when}
		of[q][1] = arrival{sector: sector, quarter: of[q][0].quarter, when: when + 4*c.dice.Float64(), late: true}
	}
	for _, line := range lines[1:] {
		r := toldRecord{sector: sector, cells: map[string]string{}}
		for i, name := range lines[0] {
			r.cells[name] = line[i]
		}
		r.day, _ = r.date(dayFields[sector])
		late := 0
		if forgets && c.dice.IntN(8) == 0 {
			late = 1
		}
		a := &of[r.day.Quarter()-firstQuarter][late]
		a.records, a.lines = append(a.records, r), append(a.lines, line)
	}
	for q := range of {
		for _, a := range of[q] {
			if len(a.lines) > 0 {
				c.coming = append(c.coming, a)
			}
		}
	}
}

// until has everything arrive that comes before some time.
func (c *cohorts) until(t *testing.T, when float64) {
	t.Helper()
	for len(c.coming) > 0 && c.coming[0].when < when {
		a := c.coming[0]
		w := world{header: c.header[a.sector]}
		u := sending(gateway.ContractID(a.sector), fmt.Sprint(a.quarter, a.late), w.file(t, a.lines...))
		u.Manifest.PeriodFrom, u.Manifest.PeriodTo = a.quarter.First(), a.quarter.Last()
		_, err := c.Upload(t.Context(), c.who[a.sector], u)
		ok(t, err)
		c.came, c.coming = append(c.came, a), c.coming[1:]
	}
}

// status says by the words of domain.md 3.1 what a release of a window knows of every
// child: a closed quarter counts what had come when it was closed, and a revision
// everything.
func (c *cohorts) status(t *testing.T, to gateway.Quarter, everything bool) map[string]status {
	t.Helper()
	l := &listener{regions: regions(t), coverage: &gateway.Coverage{Full: map[gateway.ContractID]map[string][]gateway.Quarter{"police": {}, "social": {}}}}
	children := map[string][]toldRecord{}
	for i, a := range c.came {
		if at, is := c.closed[a.quarter]; a.quarter > to || is && i >= at && !everything {
			continue
		}
		for _, r := range a.records {
			if iin := r.cells["child_iin"]; iin != "" {
				children[iin] = append(children[iin], r)
			}
		}
		for _, region := range l.regions {
			if hole := a.sector == "social" && a.quarter == c.missing && region == "75"; !hole {
				full := l.coverage.Full[gateway.ContractID(a.sector)]
				full[region] = append(full[region], a.quarter)
			}
		}
	}
	all := map[string]status{}
	for iin, records := range children {
		s := status{reached: gateway.ReachedNoStart, region: regionBy(records)}
		if start, known := firstOf(records, of("police")); known {
			s.start, s.reached = start.Quarter(), gateway.ReachedYes
			l.doors(records, s.region, func(label string) {
				switch label {
				case "reached=no":
					s.reached = gateway.ReachedNo
				case "reached=cannot_tell":
					s.reached = gateway.ReachedCannotTell
				}
			})
		}
		all[iin] = s
	}
	return all
}

// release builds and approves a release, holds what it counted against what the plain
// list says, child by child through the cells' check sums, and returns whether it was a
// revision.
func (c *cohorts) release(t *testing.T, to string, asked exchange.Revision) (now map[string]status, revision exchange.Revision) {
	t.Helper()
	build := window(t, to, asked)
	r, err := c.BuildRelease(t.Context(), c.who["steward"], build)
	ok(t, err)
	catalogue, err := c.Release(t.Context(), c.who["officer"], r.ID)
	ok(t, err)
	p := catalogue.Pinned
	now = c.status(t, build.To, p.Revision != exchange.RevisionNone)
	c.compare(t, r, &p, now)
	c.approve(t, r)
	c.clock.move(registry.Year / 3)
	for q := firstQuarter; q <= build.To; q++ {
		if _, is := c.closed[q]; !is || p.Revision != exchange.RevisionNone {
			c.closed[q] = len(c.came)
		}
	}
	return now, p.Revision
}

// compare counts once more what a release pinned.
func (c *cohorts) compare(t *testing.T, r gateway.Release, p *exchange.Pinned, now map[string]status) {
	t.Helper()
	closed := map[gateway.Quarter]uint64{}
	for _, run := range p.Counted {
		for q := run.From; q <= run.To; q++ {
			if run.Snapshot != r.Snapshot {
				closed[q] = run.Snapshot
			}
		}
	}
	batches, err := c.registry.Published(t.Context(), r.Snapshot)
	ok(t, err)
	subject := c.keys.SubjectKey("small")
	raw, err := c.house.Count(t.Context(), warehouse.Build{
		Definition: disclosure.Counting(p.Definition), Release: r.ID, Snapshot: r.Snapshot, Closed: closed, Contracts: c.options.Contracts,
		SubjectKey: subject, Coverage: p.Coverage, RecordCap: p.Rules.RecordCap, Order: exchange.Order(batches),
	})
	ok(t, err)
	hasher, err := c.keys.NewHasher(pseudonym.ChildDomain, "of-no-matter")
	ok(t, err)
	want := map[string]disclosure.Count{}
	for iin, s := range now {
		var pid [16]byte
		hasher.PID(&pid, []byte(iin))
		labels := []string{"reached=" + s.reached}
		if s.region != "" {
			labels = append(labels, "reached="+s.reached+"|region="+s.region)
		}
		for _, label := range labels {
			n := want[label]
			n.Children++
			n.Key += subject(pid)
			want[label] = n
		}
	}
	for label := range cellsOf(p.Definition) {
		if cell := parse(label); cell["reached"] != "" {
			got, _ := raw.Count(t, label)
			if w := want[label]; got.Children != w.Children || got.Key != w.Key {
				t.Fatalf("%s, cell %q: counted %d children, %d by the list, or others", r.ID, label, got.Children, w.Children)
			}
		}
	}
}

// keep holds a release without a revision against the one before: a child of whom it was
// told is told the same. Who moved to a region that has not reported cannot be told.
func (c *cohorts) keep(t *testing.T, now map[string]status) (kept int) {
	t.Helper()
	for iin, before := range c.said {
		after, there := now[iin]
		told := before.reached == gateway.ReachedYes || before.reached == gateway.ReachedNo
		switch {
		case !there:
			t.Fatal("a child that a release counted is gone without a revision")
		case before.start != 0 && after.start != before.start:
			t.Fatalf("without a revision a child of the cohort %v is one of %v", before.start, after.start)
		case told && after.reached == gateway.ReachedCannotTell && after.region != before.region:
		case told && after.reached != before.reached:
			t.Fatalf("without a revision a child of the cohort %v that was %q is %q", before.start, before.reached, after.reached)
		case told:
			kept++
		}
	}
	return kept
}

// changed counts children by how their status changed from the last release to this.
func (c *cohorts) changed(now map[string]status) map[string]int {
	changes := map[string]int{}
	for iin, before := range c.said {
		if after := now[iin]; after.reached != before.reached {
			changes[before.reached+" to "+after.reached]++
		}
	}
	return changes
}

// TestCohortsKeepTheirStatus: whatever the order in which batches arrive, a late one
// never turns reached into not reached, and the status of a cohort, once it is told,
// changes by a revision only. Where nothing but whole reports comes, what is told of a
// child is what is true when everything has come; where social protection forgets
// records, a revision may find that a child was reached after all, and never the
// reverse; where the police forget some, a revision may find an earlier report, which
// starts the 30 days anew: that one alone may turn reached into not reached.
func TestCohortsKeepTheirStatus(t *testing.T) {
	for i, c := range []struct {
		name      string
		forgetful []string
	}{{"social forgets", []string{"social"}}, {"whole reports", nil}, {"both forget", []string{"police", "social"}}} {
		if i > 0 && testing.Short() {
			break
		}
		t.Run(c.name, func(t *testing.T) {
			checkCohorts(t, []uint64{1, 2, 5}[i], c.forgetful...)
		})
	}
}

func checkCohorts(t *testing.T, seed uint64, forgetful ...string) {
	t.Helper()
	c := newCohorts(t, seed, 400, forgetful...)
	kept, corrected := 0, 0
	var releases []map[string]status
	step := func(now map[string]status, revision exchange.Revision) {
		if revision == exchange.RevisionNone {
			kept += c.keep(t, now)
		}
		changes := c.changed(now)
		t.Logf("seed %d, %d batches came, revision %q: %v", seed, len(c.came), revision, changes)
		corrected += changes["no to yes"]
		if !slices.Contains(forgetful, "police") && changes["yes to no"] > 0 {
			t.Fatalf("%d children who were reached are not", changes["yes to no"])
		}
		c.said = now
		releases = append(releases, now)
	}
	for q := gateway.Quarter(4); q <= 12; q += gateway.Quarter(2 + c.dice.IntN(2)) {
		c.until(t, float64(q)+0.7+c.dice.Float64())
		step(c.release(t, (firstQuarter + q - 1).String(), ""))
	}
	c.until(t, 100)
	step(c.release(t, lastQuarter, ""))
	c.clock.move(registry.Year)
	step(c.release(t, lastQuarter, exchange.RevisionYearly))
	if kept < 50 || slices.Contains(forgetful, "social") && corrected == 0 {
		t.Fatalf("%d statuses were kept, %d corrected: too few to say anything", kept, corrected)
	}
	if len(forgetful) > 0 {
		return
	}
	for _, r := range releases {
		for iin, s := range r {
			told := s.reached == gateway.ReachedYes || s.reached == gateway.ReachedNo
			if end := c.said[iin]; told && end.reached != s.reached && end.reached != gateway.ReachedCannotTell {
				t.Fatalf("a child of the cohort %v was told %q, and is %q when everything has come", s.start, s.reached, end.reached)
			}
		}
	}
}
