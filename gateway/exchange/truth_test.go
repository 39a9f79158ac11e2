package exchange_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/disclosure"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// A census is a country that six agencies uploaded, the release that was built of
// it, and what both should be.
type census struct {
	*gate
	country  *synth.Country
	truth    *synth.Truth
	coverage *gateway.Coverage
	release  gateway.Release
	raw      *disclosure.Raw // counted once more, by the test
	rules    gateway.ReleaseRules
	files    map[gateway.ContractID][]byte
}

// take uploads a country, builds its release and counts the same snapshot again.
// Keys are the same in every run, and so is everything that is compared.
func take(t *testing.T, seed uint64, children int, silent ...exchange.Agency) *census {
	t.Helper()
	g := seeded(t, noise(seed))
	for i, a := range silent {
		g.agency(t, fmt.Sprint("silent", i), fmt.Sprint("silent-", i), a)
	}
	c := &census{gate: g}
	var err error
	c.country, c.files, err = country(synth.Options{Children: children, Seed: seed})
	ok(t, err)
	for _, contract := range slices.Sorted(maps.Keys(c.files)) {
		g.send(t, contract, "census", c.files[contract])
	}
	c.release, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "demo"})
	ok(t, err)
	d := demo(t)
	c.coverage, err = g.registry.Coverage(t.Context(), c.release.Snapshot, d.From, d.To)
	ok(t, err)
	c.rules, err = g.Policies().Rules(t.Context(), d)
	ok(t, err)
	c.raw, err = g.house.Count(t.Context(), warehouse.Build{
		Definition: d, Release: c.release.ID, Snapshot: c.release.Snapshot, Contracts: g.options.Contracts,
		SubjectKey: g.keys.SubjectKey(d.Lineage), Coverage: c.coverage, RecordCap: c.rules.RecordCap,
	})
	ok(t, err)
	c.truth, err = c.country.Truth(d, c.coverage)
	ok(t, err)
	return c
}

// TestCountsAreTrue is the law of the whole path: files go in as agencies send
// them, and every cell of every grouping set that the demonstration admits counts
// what plain Go counts in the same country, children, records and the sum of
// subject keys; cells that are empty in one are empty in the other. What agreement
// masks count is held against nested GROUP BY in the warehouse's own tests.
//
// Then each published value is what protection may make of it, by a bound that is
// computed here from disclosure.md 2.3, and by the mean and variance of all errors.
func TestCountsAreTrue(t *testing.T) {
	var all errorsOf
	var sums []float64
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			c := take(t, seed+1, 2500)
			if diff := cmp.Diff(c.country.Coverage(), c.coverage); diff != "" {
				t.Fatalf("who reported what, by the country (-) and the registry (+):\n%s", diff)
			}
			counted := c.checkCounts(t)
			published := c.protect(t)
			all = append(all, c.checkPublished(t, counted, published, func(map[string]string) bool { return false })...)
			sums = append(sums, c.checkValues(t)...)
		})
	}
	all.check(t)
	checkSums(t, sums)
}

// TestCountsAreTrueWhereNobodyReported repeats the law where one sector has not
// reported one quarter of one region, and another sector nothing at all of one:
// who was reached there cannot be told, and the cells say so.
func TestCountsAreTrueWhereNobodyReported(t *testing.T) {
	c := take(t, 4, 2500,
		exchange.Agency{Contract: "social", Regions: []string{"75"}, From: "2024Q2", To: "2024Q2"},
		exchange.Agency{Contract: "helpline", Regions: []string{"61"}, From: "2023Q1"})
	want := c.country.Coverage()
	want.Full["social"]["75"] = slices.DeleteFunc(slices.Clone(want.Full["social"]["75"]), func(q gateway.Quarter) bool { return q.String() == "2024Q2" })
	delete(want.Full["helpline"], "61")
	if diff := cmp.Diff(want, c.coverage); diff != "" {
		t.Fatalf("who reported what, by the test (-) and the registry (+):\n%s", diff)
	}
	told, err := c.country.Truth(demo(t), nil)
	ok(t, err)
	cannot := "reached=" + gateway.ReachedCannotTell + "|region=75"
	if a, b := told.Cells[cannot].Children, c.truth.Cells[cannot].Children; b <= a {
		t.Fatalf("%d children whose reach cannot be told in the region, %d had it reported: the test proves nothing", b, a)
	}
	c.checkPublished(t, c.checkCounts(t), c.protect(t), func(cell map[string]string) bool {
		for _, dim := range []string{"sector", "first_sector"} {
			for _, place := range []string{"region", "event_region"} {
				if cell[dim] == "helpline" && cell[place] == "61" || cell[dim] == "social" && cell[place] == "75" && cell["quarter"] == "2024Q2" {
					return true
				}
			}
		}
		return false
	})
}

// checkCounts compares every cell of the code lists with the truth, and returns
// the counted ones.
func (c *census) checkCounts(t *testing.T) map[string]disclosure.Count {
	t.Helper()
	hasher, err := c.keys.NewHasher(pseudonym.ChildDomain, "of-no-matter")
	ok(t, err)
	subject := c.keys.SubjectKey(demo(t).Lineage)
	keys, err := c.truth.Sums(func(iin string) uint64 {
		var pid [16]byte
		hasher.PID(&pid, []byte(iin))
		return subject(pid)
	})
	ok(t, err)
	counted, records, wrong := map[string]disclosure.Count{}, 0, 0
	for label, set := range cellsOf(demo(t)) {
		got, found := c.raw.Count(t, label)
		want, exists := c.truth.Cells[label]
		if !slices.Contains(set.Measures, gateway.CountRecords) {
			got.Records = 0
		}
		if found != exists || int(got.Children) != want.Children || int(got.Records) != want.Records || got.Key != keys[label] {
			if wrong++; wrong < 10 {
				t.Errorf("cell %q: counted %d children, %d records, keys %x (found: %v); truth %d, %d, %x (exists: %v)",
					label, got.Children, got.Records, got.Key, found, want.Children, want.Records, keys[label], exists)
			}
		}
		if found {
			counted[label] = got
			records += int(got.Records)
		}
	}
	if wrong > 0 {
		t.Fatalf("%d cells differ from the truth", wrong)
	}
	if len(counted) != len(c.truth.Cells) || int(counted[""].Children) != c.truth.Children || c.truth.Children < 1000 || records == 0 {
		t.Fatalf("%d cells counted, %d in truth; %d children, %d in truth", len(counted), len(c.truth.Cells), counted[""].Children, c.truth.Children)
	}
	before := map[string]int{}
	for label, n := range counted {
		before[label] = int(n.Children)
	}
	compareWords(t, listen(t, c.files, c.coverage), before)
	return counted
}

// cellsOf returns every cell that the code lists make, by label, with its set.
func cellsOf(d *gateway.Definition) map[string]gateway.AdmittedSet {
	all := map[string]gateway.AdmittedSet{}
	for _, set := range d.AdmittedSets() {
		rows := [][]string{nil}
		for _, sd := range set.Set {
			var longer [][]string
			for _, row := range rows {
				for _, n := range d.Dimension(sd.Name).AtLevel(sd.Level) {
					longer = append(longer, append(slices.Clone(row), n.Code))
				}
			}
			rows = longer
		}
		for _, row := range rows {
			all[set.Set.Label(row)] = set
		}
	}
	return all
}

// protect protects the counted cells and proves that they are those that the
// exchange built and stored.
func (c *census) protect(t *testing.T) *disclosure.Published {
	t.Helper()
	published, err := disclosure.Protect(c.raw, disclosure.Release{
		ID: c.release.ID, Number: c.release.Number, Lineage: c.release.Lineage, Rules: c.rules, Coverage: c.coverage,
		Noise: c.keys.PRF(c.release.Lineage),
	})
	ok(t, err)
	if published.Digest() != c.release.Digest || c.release.State != gateway.ReleaseBuilt {
		t.Fatalf("the release of the exchange is %s with the cells %.16s…; the same counts give %.16s…",
			c.release.State, c.release.Digest, published.Digest())
	}
	return published
}

// Of disclosure.md 2.3 for V = 50.
const (
	variance   = 50.0
	d1, d2     = 12, 14
	base       = 5
	bottomCode = 10
)

// checkPublished holds every published cell against the counted one and returns
// the errors of the counts of children that no edge of a table can bend.
func (c *census) checkPublished(t *testing.T, counted map[string]disclosure.Count, p *disclosure.Published, silent func(cell map[string]string) bool) errorsOf {
	t.Helper()
	var errs errorsOf
	statuses := map[gateway.CellStatus]int{}
	d := demo(t)
	for label, set := range cellsOf(d) {
		n, cell := counted[label], parse(label)
		for _, m := range set.Measures {
			status, value, exists := p.Cell(label, m)
			gated := p.Gate().Closes(set.Set.Key(d))
			if nowhere := gated || cell["reached"] == gateway.ReachedYes; exists == nowhere {
				t.Fatalf("cell %q: published is %v, gated is %v", label, exists, gated)
			} else if nowhere {
				continue
			}
			statuses[status]++
			if notReported := silent(cell); notReported != (status == gateway.StatusNotReported) {
				t.Fatalf("cell %q is %s", label, status)
			}
			// By definition nobody is there, and so nobody must be.
			if zero := cell["first_sector"] == "police" && cell["reached"] == gateway.ReachedNoStart; zero != (status == gateway.StatusImpossible) || zero && n.Children > 0 {
				t.Fatalf("cell %q is %s, true %d children", label, status, n.Children)
			}
			if status != gateway.StatusValue {
				if value != 0 {
					t.Fatalf("cell %q is %s and holds a value", label, status)
				}
				continue
			}
			low, high := bounds(n, m)
			if n.Children < bottomCode || value%base != 0 || value < bottomCode || float64(value) < low || float64(value) > high {
				t.Fatalf("cell %q: %s %d published, true %d children, %d records; allowed %.1f to %.1f", label, m, value, n.Children, n.Records, low, high)
			}
			if m == gateway.CountChildren && n.Children >= d1+d2+bottomCode {
				errs = append(errs, float64(value)-float64(n.Children))
			}
		}
	}
	if statuses[gateway.StatusValue] < 500 || statuses[gateway.StatusSuppressed] < 20 {
		t.Fatalf("statuses %v: too few to say anything", statuses)
	}
	return errs
}

// parse reads a label back: dimension to code.
func parse(label string) map[string]string {
	cell := map[string]string{}
	for part := range strings.SplitSeq(label, "|") {
		dim, code, _ := strings.Cut(part, "=")
		cell[dim] = code
	}
	return cell
}

// bounds are the least and the largest value that may be published of a cell. Of
// records it tries all draws of outliers and top group, in real numbers; a half is
// lost to rounding.
func bounds(n disclosure.Count, m gateway.Measure) (low, high float64) {
	if m == gateway.CountChildren {
		return float64(n.Children) - d1 - d2, max(bottomCode, float64(n.Children)+d1+d2)
	}
	low, high = math.Inf(1), math.Inf(-1)
	for o := 1; o <= 2; o++ {
		for top := 3; top <= 4; top++ {
			group := 0.0
			for _, r := range n.Top[o : o+top] {
				group += float64(r) / float64(top)
			}
			sum := float64(n.Records)
			for _, r := range n.Top[:o] {
				sum -= max(0, float64(r)-group)
			}
			lambda := max(sum/float64(n.Children), group/2)
			low, high = min(low, sum-d1*lambda), max(high, sum+d1*lambda)
		}
	}
	return max(0, low) - d2 - 0.5, max(bottomCode, high+d2+0.5)
}

// errorsOf are differences of published and true counts.
type errorsOf []float64

// check demands a mean of 0 and a variance of V. Both layers are drawn per label,
// so errors are independent. The mean of N has standard deviation sqrt(V/N), the
// variance at most sqrt(2/N) V (the tables have thinner tails than a normal law):
// with 5 of them on either side, a right program fails for fewer than 2 in 10^6
// choices of keys. The keys are fixed, so it fails always or never.
func (e errorsOf) check(t *testing.T) {
	t.Helper()
	n, sum, square := float64(len(e)), 0.0, 0.0
	for _, x := range e {
		sum += x
		square += x * x
	}
	mean, v := sum/n, square/n
	t.Logf("%d cells: mean %.3f, variance %.2f", len(e), mean, v)
	if n < 1000 || math.Abs(mean) > 5*math.Sqrt(variance/n) || math.Abs(v-variance) > 5*variance*math.Sqrt(2/n) {
		t.Fatalf("the errors of %d cells have mean %.3f and variance %.2f, not 0 and %v", len(e), mean, v, variance)
	}
}
