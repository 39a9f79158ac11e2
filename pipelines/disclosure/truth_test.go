package disclosure

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// prf is the PRF of disclosure.md 2.2 under a key, as gateway/… makes it.
func prf(key []byte) gateway.PRF {
	return func(label string, parts ...[]byte) uint64 {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(label))
		var n [4]byte
		for _, part := range parts {
			binary.BigEndian.PutUint32(n[:], uint32(len(part)))
			h.Write(n[:])
			h.Write(part)
		}
		return binary.BigEndian.Uint64(h.Sum(nil))
	}
}

// testKey returns 32 bytes that depend on a seed.
func testKey(seed int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "noise key %d", seed))
	return sum[:]
}

// lawful are the default rules of disclosure.md 2.12.
func lawful() gateway.ReleaseRules {
	return gateway.ReleaseRules{
		Threshold: []float64{.15, .1, .1, .1, .1, .1, .1, .1, .1, .05}, ThresholdMin: 10,
		Share: 0.95, ShareBelow: 200, RecordCap: 20, Revision: "policy",
	}
}

// complete is a coverage in which every sector has reported everything.
func complete(d *gateway.Definition) *gateway.Coverage {
	full := map[gateway.ContractID]map[string][]gateway.Quarter{}
	var quarters []gateway.Quarter
	for q := d.From; q <= d.To; q++ {
		quarters = append(quarters, q)
	}
	for _, sector := range demoSectors {
		full[gateway.ContractID(sector)] = map[string][]gateway.Quarter{}
		for _, region := range demoRegions {
			full[gateway.ContractID(sector)][region] = quarters
		}
	}
	return &gateway.Coverage{Full: full}
}

func release(d *gateway.Definition, number, key int) Release {
	return Release{
		ID: gateway.ReleaseID(fmt.Sprintf("%s-%d", d.Lineage, number)), Number: number, Lineage: d.Lineage,
		Rules: lawful(), Coverage: complete(d), Noise: prf(testKey(key)), Gate: allOpen(d),
	}
}

// allOpen is a gate that closes nothing, for tests of the other rules.
func allOpen(d *gateway.Definition) *Gate {
	g := &Gate{}
	for _, a := range d.AdmittedSets() {
		if len(a.Set) > 0 {
			g.Open = append(g.Open, a.Set.Key(d))
		}
	}
	slices.Sort(g.Open)
	return g
}

// A truth is a population in memory: for each event, its child and the code of
// every dimension.
type truth struct {
	def    *gateway.Definition
	events []event
}

type event struct {
	child int
	codes map[string]string // dimension → leaf
}

// counts counts every cell of every admitted set by brute force: another program
// than the one under test. The events of a child stand together.
func (w truth) counts() map[string]map[string]*Count {
	out := map[string]map[string]*Count{}
	paths := w.paths()
	for _, a := range w.def.AdmittedSets() {
		cells := map[string]*Count{}
		own := map[string]int{} // label → records of one child
		nodes := make([]string, len(a.Set))
		for i, e := range w.events {
			for i, sd := range a.Set {
				nodes[i] = paths[sd.Name][e.codes[sd.Name]][sd.Level]
			}
			own[a.Set.Label(nodes)]++
			if i+1 < len(w.events) && w.events[i+1].child == e.child {
				continue
			}
			for label, r := range own {
				if cells[label] == nil {
					cells[label] = &Count{}
				}
				cells[label].include(e.child, min(r, 20))
			}
			clear(own)
		}
		out[a.Set.Key(w.def)] = cells
	}
	return out
}

// include adds one child with its records.
func (c *Count) include(child, records int) {
	c.Children++
	c.Records += uint64(records)
	c.Key += subjectKey(child)
	c.Top = append(c.Top, uint32(records))
	slices.SortFunc(c.Top, func(a, b uint32) int { return int(b) - int(a) })
	c.Top = c.Top[:min(len(c.Top), MaxTop)]
}

// paths lists, for each dimension and leaf, the nodes from the first level down.
func (w truth) paths() map[string]map[string][]string {
	out := map[string]map[string][]string{}
	for i := range w.def.Dimensions {
		d := &w.def.Dimensions[i]
		out[d.Name] = map[string][]string{}
		for _, n := range d.Nodes {
			if d.Leaf(n) {
				path := []string{n.Code}
				for p := n; p.Level > 0; {
					p = *d.Node(p.Parent)
					path = append([]string{p.Code}, path...)
				}
				out[d.Name][n.Code] = path
			}
		}
	}
	return out
}

// subjectKey stands for rk: splitmix64 of the child's number.
func subjectKey(child int) uint64 {
	x := uint64(child+1) * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// fill puts counted cells into a Raw, in the order of codes.
func fill(tb testing.TB, d *gateway.Definition, counts map[string]map[string]*Count) *Raw {
	tb.Helper()
	raw := NewRaw(d)
	for _, a := range d.AdmittedSets() {
		for label, c := range counts[a.Set.Key(d)] {
			if err := raw.Add(a.Set, codesOf(label), *c); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return raw
}

// codesOf splits a label.
func codesOf(label string) []string {
	var codes []string
	for _, fact := range splitLabel(label) {
		codes = append(codes, fact[1])
	}
	return codes
}

// pick draws an index by weights.
func pick(r *rand.Rand, weights ...int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	x := r.IntN(sum)
	for i, w := range weights {
		if x < w {
			return i
		}
		x -= w
	}
	return len(weights) - 1
}

// population draws children and about three events each, for the demonstration's
// two cubes: an eighth of the children are in the smallest regions, and one in
// three known to the police reached social protection.
func population(children int, seed uint64) truth {
	r := rand.New(rand.NewPCG(seed, 1))
	w := truth{def: demo()}
	for child := range children {
		n := 1
		for r.Float64() < 2.0/3 && n < 40 {
			n++
		}
		region, sex, age := pick(r, demoWeights...), pick(r, 48, 52), pick(r, 20, 25, 33, 22)
		days := make([]int, n)
		for i := range days {
			days[i] = r.IntN(3 * 365)
		}
		slices.Sort(days)
		var events []event
		police, social := -1, -1
		for i, day := range days {
			sector := pick(r, 22, 20, 28, 17, 5, 8)
			switch {
			case police >= 0 && social < 0 && sector == 3 && day <= police+30:
				social = day
			case police < 0 && sector == 0:
				police = day
				if i+1 < len(days) && r.IntN(3) == 0 {
					days[i+1] = day + r.IntN(31) // a referral
				}
			}
			if police >= 0 && police <= day && social < 0 && i > 0 && r.IntN(3) == 0 {
				sector, social = 3, day
			}
			at := region
			if r.IntN(30) == 0 {
				at = pick(r, demoWeights...)
			}
			events = append(events, event{child, map[string]string{
				"sector": demoSectors[sector], "quarter": fmt.Sprintf("%dQ%d", 2023+min(day, 1094)/365, min(day, 1094)%365/92+1),
				"event_region": demoRegions[at], "event_age": demoAges[min(3, age+day/900)], "sex": []string{"F", "M"}[sex],
			}})
		}
		reached := "no_start"
		switch {
		case police > 3*365-60:
			reached = "cannot_tell"
		case social >= 0:
			reached = "yes"
		case police >= 0:
			reached = "no"
		}
		for _, e := range events {
			e.codes["region"], e.codes["age_first"] = demoRegions[region], demoAges[age]
			e.codes["first_sector"], e.codes["reached"] = events[0].codes["sector"], reached
			w.events = append(w.events, e)
		}
	}
	return w
}
