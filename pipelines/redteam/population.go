package redteam

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// The lattice of the populations: 30 regions in 10 zones, 6 ages, 2 sexes and 2
// outcomes make 720 base cells, with the agencies that know a child as a multi
// dimension beside them. Its route budget is A = 3.9, V = 50 carries it.
//
// Both outcomes are published. The cube files of disclosure.md 2.1 would omit one;
// with both, attackers have more equations.
const (
	regions   = 30
	zones     = 10
	ages      = 6
	baseCells = regions * ages * 2 * 2
)

// Dimensions, by their place in the names' order.
const (
	dimAge = iota
	dimAgency
	dimOutcome
	dimRegion
	dimSex
)

const (
	girl, boy    = 0, 1
	yes, no      = 0, 1
	policeOnly   = 1
	socialOnly   = 2
	bothAgencies = 3
)

// planted is how many victims there are, and how many controls.
const planted = 50

// populations are the mean base cells of disclosure.md 4, and of the sparse one.
var populations = []struct {
	name string
	mean int
}{{"dense", 28}, {"medium", 20}, {"sparse", 5}}

// Populations lists the names of the populations, densest first.
func Populations() []string {
	var names []string
	for _, p := range populations {
		names = append(names, p.name)
	}
	return names
}

// A person is a child: its leaf in each dimension and its subject key.
type person struct {
	leaves []int
	key    uint64
}

// A target is a child of whom the attacker knows all but the outcome.
type target struct {
	region, age, sex int // sex is -1 where region and age alone single the child out
	secret           int // yes for victims, no for controls
}

// A tally is what a release counts in a cell.
type tally struct {
	n   int
	key uint64 // sum of subject keys
}

// A world is a population with what was planted in it, and its truth.
type world struct {
	*lattice

	name    string
	people  []person
	targets []target
	// minorities are cells of boys of a region and age all but a few of whom have the
	// same outcome: minorities[r] has r others (A9).
	minorities []place
	truth      []tally // by cell
	seed       uint64
	// Of the twin of a definition only: what its cells measure beside children, and
	// the rules that its policy decided.
	records []records
	added   [][]disclosure.Sum
	rules   *gateway.ReleaseRules
}

type place struct{ region, age int }

func theDefinition() *gateway.Definition {
	var bands []string
	for i := range ages {
		bands = append(bands, string(rune('a'+i)))
	}
	measures := []gateway.Measure{gateway.CountChildren}
	outcome := dimension("outcome", gateway.Partition, "yes", "no")
	outcome.Sensitive = true
	return definition("redteam", []gateway.Dimension{
		dimension("age", gateway.Partition, bands...),
		dimension("agency", gateway.Multi, "police", "social"),
		outcome,
		tree("region", [2]string{"zone", "region"}, zones, regions, func(i int) int { return i % zones }),
		dimension("sex", gateway.Partition, "F", "M"),
	},
		gateway.Cube{ID: "paths", Grain: gateway.Children, Dimensions: []string{"age", "outcome", "region", "sex"}, Cap: 4, Measures: measures},
		gateway.Cube{ID: "agencies", Grain: gateway.Children, Dimensions: []string{"age", "agency", "region", "sex"}, Cap: 4, Measures: measures},
	)
}

// newWorld draws a population of mean*720 children. Regions differ in size by a
// factor of ten, ages by two, and both interact a little, so that the margins
// explain much of a cell and not all.
func newWorld(l *lattice, name string, mean int, seed uint64) *world {
	w := &world{lattice: l, name: name, seed: seed}
	r := newDice(seed, uint64(mean)) //nolint:gosec // a small constant
	weights := make([][]float64, regions)
	sizes := r.Perm(regions)
	for region := range weights {
		size := math.Pow(float64(sizes[region]+1), -0.7)
		for _, age := range []float64{10, 14, 18, 22, 22, 14} {
			weights[region] = append(weights[region], size*age*math.Exp(0.3*r.NormFloat64()))
		}
	}
	w.plant(r, weights)
	w.fill(r, weights, mean*baseCells)
	w.truth = w.count(w.people)
	return w
}

// plant chooses the targets' places, whose other girls (or other children) must be
// none, and the minorities', and puts the planted children in.
func (w *world) plant(r *rand.Rand, weights [][]float64) {
	var places []place
	for region := range regions {
		for age := range ages {
			places = append(places, place{region, age})
		}
	}
	r.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	rest := places[2*planted:]
	slices.SortStableFunc(rest, func(a, b place) int {
		return int(1e6 * (weights[b.region][b.age] - weights[a.region][a.age]))
	})
	secrets := make([]int, 2*planted)
	for i := range planted {
		secrets[i] = no
	}
	r.Shuffle(len(secrets), func(i, j int) { secrets[i], secrets[j] = secrets[j], secrets[i] })
	for i, at := range places[:2*planted] {
		t := target{at.region, at.age, girl, secrets[i]}
		sex := girl
		if i%5 == 0 { // unique on two attributes
			sex, t.sex = r.IntN(2), -1
		}
		w.targets = append(w.targets, t)
		w.add(r, at, sex, t.secret)
	}
	for i, at := range rest[:19] {
		w.minorities = append(w.minorities, at)
		for range i {
			w.add(r, at, boy, yes)
		}
	}
}

// fill adds natural children until there are n.
func (w *world) fill(r *rand.Rand, weights [][]float64, n int) {
	flat := make([]float64, 0, regions*ages)
	for _, row := range weights {
		flat = append(flat, row...)
	}
	emptied, minority := map[place]int{}, map[place]bool{}
	for _, t := range w.targets {
		emptied[place{t.region, t.age}] = t.sex + 2 // 2: of girls, 1: of all
	}
	for _, at := range w.minorities {
		minority[at] = true
	}
	for len(w.people) < n {
		i := pick(r, flat)
		at := place{i / ages, i % ages}
		sex, outcome := pick(r, []float64{48, 52}), no
		if r.Float64() < 0.25+0.04*float64(at.age) {
			outcome = yes
		}
		switch {
		case emptied[at] == 1 || emptied[at] == 2 && sex == girl:
			continue
		case minority[at] && sex == boy:
			outcome = no
		}
		w.add(r, at, sex, outcome)
	}
}

// add adds a child known to the police (45 %), social protection (30 %) or both.
func (w *world) add(r *rand.Rand, at place, sex, outcome int) {
	agencies := []int{policeOnly, socialOnly, bothAgencies}[pick(r, []float64{45, 30, 25})]
	w.people = append(w.people, newPerson(w.seed, len(w.people), at, sex, outcome, agencies))
}

func newPerson(seed uint64, i int, at place, sex, outcome, agencies int) person {
	leaves := make([]int, dimSex+1)
	leaves[dimAge], leaves[dimAgency], leaves[dimOutcome], leaves[dimRegion], leaves[dimSex] = at.age, agencies, outcome, at.region, sex
	return person{leaves, mix(seed<<32 ^ uint64(i))} //nolint:gosec // an index
}

// count counts every cell of the lattice.
func (l *lattice) count(people []person) []tally {
	return l.counted(make([]tally, l.size), people, 1)
}

// counted returns counts with children added, or taken away.
func (l *lattice) counted(counts []tally, people []person, sign int) []tally {
	out := append([]tally(nil), counts...)
	for i := range people {
		key := people[i].key * uint64(sign) //nolint:gosec // 1 or -1, modulo 2^64
		l.holds(people[i].leaves, func(c int) {
			out[c].n += sign
			out[c].key += key
		})
	}
	return out
}

// root leaves a dimension out of a cell.
const root = -1

// named returns the cell of a region, age, sex and outcome, each possibly root.
func (w *world) named(region, age, sex, outcome int) int {
	levels, nodes := []int{root, root, root, root, root}, []int{root, root, root, root, root}
	for d, node := range map[int]int{dimRegion: region, dimAge: age, dimSex: sex, dimOutcome: outcome} {
		if nodes[d] = node; node != root {
			levels[d] = len(w.dims[d].Levels) - 1
		}
	}
	return w.cell(levels, nodes)
}
