package redteam

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/pana-exchange/pana/gateway"
)

// A grid is many small populations side by side, one a region: two groups times two
// or three outcomes each. Labels and members differ between regions, so each region is an
// independent draw of everything that protection draws, and one release is a sample
// of as many. Half of the regions hold a bit that the attacker wants.
type grid struct {
	*lattice

	bits  []int
	truth []tally
	known []float64 // what the attacker expects, halfway between the bits
	shift []float64 // by how much the bit moves a cell
	kinds int
}

// A plot is the children of a place by group and kind.
type plot [2][]int

// newGrid counts the children of each region by group and kind, for either bit. The
// first children of the first cell are invented, and others in every generation.
func newGrid(seed uint64, places int, counts func(bit int) plot, generation uint64) *grid {
	both := [2]plot{counts(0), counts(1)}
	kinds := len(both[0][0])
	var codes []string
	for i := range places {
		codes = append(codes, fmt.Sprintf("p%04d", i))
	}
	d := definition("grid", []gateway.Dimension{
		dimension("group", gateway.Partition, "g", "h"), dimension("kind", gateway.Partition, []string{"yes", "no", "other"}[:kinds]...), dimension("place", gateway.Partition, codes...),
	}, gateway.Cube{
		ID: "grid", Grain: gateway.Children, Dimensions: []string{"group", "kind", "place"}, Cap: 3, Measures: []gateway.Measure{gateway.CountChildren},
	})
	// Rules 1, 4 and 6 are what the grid is for: what the sparsity gate would close is
	// opened by decision.
	d.Gate = openAll(d)
	g := &grid{lattice: newLattice(d), kinds: kinds}
	g.known, g.shift = make([]float64, g.size), make([]float64, g.size)
	var people []person
	for i, x := range newDice(seed, 8).Perm(places) {
		bit := x % 2
		g.bits = append(g.bits, bit)
		for group := range 2 {
			for kind := range kinds {
				leaves := []int{group, kind, i}
				for j := range both[bit][group][kind] {
					key := seed<<40 ^ uint64(len(people))
					if group+kind == 0 && j < both[0][0][0] {
						key ^= generation << 32
					}
					people = append(people, person{leaves, mix(key)})
				}
				a, b := float64(both[0][group][kind]), float64(both[1][group][kind])
				g.holds(leaves, func(c int) {
					g.known[c] += (a + b) / 2
					g.shift[c] += b - a
				})
			}
		}
	}
	g.truth = g.count(people)
	return g
}

// openAll is the decision to open every grouping set.
func openAll(d *gateway.Definition) *gateway.GateDecision {
	g := &gateway.GateDecision{Because: "to attack what the sparsity gate would close"}
	for _, s := range d.AdmittedSets()[1:] {
		g.Open = append(g.Open, s.Set.Key(d))
	}
	return g
}

// at returns a cell of a place; group and kind may be root.
func (g *grid) at(group, kind, place int) int {
	levels, nodes := []int{0, 0, 0}, []int{group, kind, place}
	for d, node := range nodes {
		if node == root {
			levels[d] = root
		}
	}
	return g.cell(levels, nodes)
}

// here are all cells of a place.
func (g *grid) here(place int) []int {
	var cells []int
	for group := root; group < 2; group++ {
		for kind := root; kind < g.kinds; kind++ {
			cells = append(cells, g.at(group, kind, place))
		}
	}
	return cells
}

// A sample is what an attacker sees of one bit: a category, whose odds are learnt
// from other keys, and evidence whose weight is known.
type sample struct {
	bit      int
	category string
	evidence float64 // log-likelihood ratio
}

// pattern is the sample of an uploading insider, who knows every other child of the
// place and invented some: which cells are shown, and the values of those that the
// bit moves.
func (g *grid) pattern(v *view, place int) sample {
	s := sample{bit: g.bits[place]}
	var b strings.Builder
	for _, c := range g.here(place) {
		if !v.shown[c] {
			b.WriteByte('c')
			continue
		}
		b.WriteByte('n')
		s.evidence += g.shift[c] * (v.y[c] - g.known[c]) / v.model.v
	}
	s.category = b.String()
	return s
}

// equality is the sample of a set-equality oracle: how two cells of a place that
// hold the same children, or all but one, compare (A8).
func (g *grid) equality(v *view, place int) sample {
	a, b := g.at(0, root, place), g.at(root, 0, place)
	s := sample{bit: g.bits[place], category: "hidden"}
	if v.shown[a] && v.shown[b] {
		s.category = fmt.Sprint(math.Abs(v.y[a] - v.y[b]))
	}
	return s
}

// learnt scores samples by the log-odds of their categories in the other keys'
// samples plus their evidence: the saturated logistic score. It returns an AUC a
// key; with one key only, its halves teach each other.
func learnt(byKey [][]sample) []float64 {
	if len(byKey) == 1 {
		half := len(byKey[0]) / 2
		byKey = [][]sample{byKey[0][:half], byKey[0][half:]}
	}
	total := map[string][2]float64{}
	for _, samples := range byKey {
		tallyInto(total, samples, 1)
	}
	var out []float64
	for _, samples := range byKey {
		tallyInto(total, samples, -1)
		var by [2][]float64
		for _, s := range samples {
			odds := total[s.category]
			by[s.bit] = append(by[s.bit], math.Log((odds[1]+0.5)/(odds[0]+0.5))+s.evidence)
		}
		out = append(out, auc(by[0], by[1]))
		tallyInto(total, samples, 1)
	}
	return out
}

func tallyInto(total map[string][2]float64, samples []sample, sign float64) {
	for _, s := range samples {
		pair := total[s.category]
		pair[s.bit] += sign
		total[s.category] = pair
	}
}

// scores publishes a grid under every key and learns from what is seen.
func (g *grid) scores(ctx context.Context, by publisher, keys, releases int, see func(v *view, place int) sample) ([]float64, error) {
	if !by.keyed {
		keys = 1
	}
	samples := make([][]sample, keys)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for key := range keys {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			v, err := g.average(by, key, releases)
			if err != nil {
				return err
			}
			for place := range g.bits {
				samples[key] = append(samples[key], see(v, place))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return learnt(samples), nil
}

// average is the mean of some releases: which cells are shown is permanent.
func (g *grid) average(by publisher, key, releases int) (*view, error) {
	first, err := by.publish(population{lattice: g.lattice, counts: g.truth}, key, 1)
	if err != nil {
		return nil, err
	}
	for number := 2; number <= releases; number++ {
		v, err := by.publish(population{lattice: g.lattice, counts: g.truth}, key, number)
		if err != nil {
			return nil, err
		}
		for c, y := range v.y {
			first.y[c] += (y - first.y[c]) / float64(number)
		}
	}
	if first.published != nil { // of the noise, the release's half averages out
		first.model.v *= 0.5 + 0.5/float64(releases)
	}
	return first, nil
}

// Sizes of the planted groups that the sweep goes through: 0 to 25 (disclosure.md 4).
const mostInvented = 25

// besideVictim is the place of an uploading insider: m invented children of the
// victim's group with outcome "yes", the victim in it or among the rest of its
// group, and another group. With m near the thresholds rule 1 decides on those with
// "yes", and rule 4 on the rest, whose minority they are.
func besideVictim(m, rest int) func(bit int) plot {
	return func(bit int) plot { return plot{{m + bit, rest + 1 - bit}, {80, 100}} }
}

// besideCompanion is a place where rule 6 decides: a third outcome has so few
// children that it is always hidden, and its companion is the smaller of the other
// two, which differ by the victim.
func besideCompanion(m, _ int) func(bit int) plot {
	return func(bit int) plot { return plot{{m + bit, m + 1 - bit, 5}, {80, 100, 90}} }
}

// sameChildren is the place of a set-equality oracle: 40 children who are all of one
// group and all of one kind, or one of whom is of another kind.
func sameChildren(bit int) plot { return plot{{40, bit}, {0, 60}} }

// setEquality is A8 on the grid.
func setEquality(ctx context.Context, o Options, by publisher) ([]float64, error) {
	g := newGrid(o.Seed, o.places(), sameChildren, 0)
	return g.scores(ctx, by, o.Keys, 1, g.equality)
}

// insiderSweep returns the AUCs at the size of the planted group that tells most.
func insiderSweep(place func(m, rest int) func(bit int) plot, rest, releases int) func(ctx context.Context, o Options, by publisher) ([]float64, error) {
	return worstGroup(func(ctx context.Context, o Options, by publisher, m int) ([]float64, error) {
		g := newGrid(o.Seed, o.places(), place(m, rest), 0)
		return g.scores(ctx, by, o.Keys, releases, g.pattern)
	})
}

// finalists are the sizes that are taken again, on so many populations of more
// places: the largest of 26 noisy figures is too large.
const (
	finalists = 3
	again     = 3
	closely   = 4
	maxPlaces = 800 // times six cells is what a grouping set may have
)

// worstGroup goes through the sizes of the planted group, takes those that tell most
// again on other populations, and returns the worst of these.
func worstGroup(scores func(ctx context.Context, o Options, by publisher, m int) ([]float64, error)) func(ctx context.Context, o Options, by publisher) ([]float64, error) {
	return func(ctx context.Context, o Options, by publisher) ([]float64, error) {
		sizes, means := make([]int, mostInvented+1), make([]float64, mostInvented+1)
		for m := range sizes {
			xs, err := scores(ctx, o, by, m)
			if err != nil {
				return nil, err
			}
			sizes[m] = m
			means[m], _ = meanSD(xs)
		}
		slices.SortStableFunc(sizes, func(a, b int) int { return cmp.Compare(means[b], means[a]) })
		o.Places = min(maxPlaces, closely*o.places())
		var worst []float64
		most := 0.0
		for _, m := range sizes[:finalists] {
			xs, err := averaged(o, func(o Options) ([]float64, error) { return scores(ctx, o, by, m) })
			if err != nil {
				return nil, err
			}
			if mean, _ := meanSD(xs); mean > most {
				most, worst = mean, xs
			}
		}
		return worst, nil
	}
}

// averaged is the mean, key by key, over populations of other seeds.
func averaged(o Options, take func(o Options) ([]float64, error)) ([]float64, error) {
	var sum []float64
	for range again {
		o.Seed++
		xs, err := take(o)
		if err != nil {
			return nil, err
		}
		if sum == nil {
			sum = make([]float64, len(xs))
		}
		for i, x := range xs {
			sum[i] += x / again
		}
	}
	return sum, nil
}

// redrawn is an insider who invents other children for every one of some releases: a
// minority of other children has another threshold in rule 4 (disclosure.md 2.4, the
// residual). What is learnt from is how often the rest of the victim's group is
// shown, and whether the planted group is.
func redrawn(rest, releases int) func(ctx context.Context, o Options, by publisher) ([]float64, error) {
	return worstGroup(func(ctx context.Context, o Options, by publisher, m int) ([]float64, error) {
		var grids []*grid
		for n := range releases {
			grids = append(grids, newGrid(o.Seed, o.places(), besideVictim(m, rest), uint64(n)))
		}
		keys := o.Keys
		if !by.keyed {
			keys = 1
		}
		samples := make([][]sample, keys)
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(runtime.GOMAXPROCS(0))
		for key := range keys {
			group.Go(func() (err error) {
				samples[key], err = redraws(ctx, grids, by, key)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		return learnt(samples), nil
	})
}

// redraws are the samples of one key.
func redraws(ctx context.Context, grids []*grid, by publisher, key int) ([]sample, error) {
	first := grids[0]
	samples := make([]sample, len(first.bits))
	often := make([]int, len(first.bits))
	for n, g := range grids {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		v, err := by.publish(population{lattice: g.lattice, counts: g.truth}, key, n+1)
		if err != nil {
			return nil, err
		}
		for place := range samples {
			s := g.pattern(v, place)
			// The permanent half of the noise is the same in all releases.
			samples[place].bit = s.bit
			samples[place].evidence += s.evidence / float64(len(grids)) / (0.5 + 0.5/float64(len(grids)))
			if v.shown[g.at(0, 1, place)] {
				often[place]++
			}
			if n == 0 {
				samples[place].category = fmt.Sprint(v.shown[g.at(0, 0, place)])
			}
		}
	}
	for place := range samples {
		samples[place].category += fmt.Sprint(" ", often[place])
	}
	return samples, nil
}
