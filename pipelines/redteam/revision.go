package redteam

import (
	"math"
	"math/rand/v2"
)

// A17: the mean of one cell over twelve releases of a closed period. The value is
// the standard deviation of its error, over the cells of 40 children and more that
// every release shows (smaller ones may touch the bottom code).
func releaseAveraging(t *trial) (float64, error) {
	const releases = 12
	sums, seen := make([]float64, t.size), make([]int, t.size)
	for number := 1; number <= releases; number++ {
		v, err := t.release(number)
		if err != nil {
			return 0, err
		}
		for c := range sums {
			if v.shown[c] {
				sums[c] += v.y[c] / releases
				seen[c]++
			}
		}
		if number > 1 {
			delete(t.views, number)
		}
	}
	var errors []float64
	for c, tally := range t.truth {
		if seen[c] == releases && tally.n >= 40 {
			errors = append(errors, sums[c]-float64(tally.n))
		}
	}
	if len(errors) == 0 {
		return math.NaN(), nil
	}
	return spread(errors), nil
}

// smallestRevision adds to every region as many children as the smallest revision
// that is built: 50, and 5 % of the region's (disclosure.md 2.8). It returns the
// targets among them, 50 of each outcome.
func (t *trial) smallestRevision() ([]tally, []target) {
	r := newDice(t.seed, 16)
	var people []person
	var all []target
	for region := range regions {
		size := float64(t.truth[t.named(region, root, root, root)].n)
		for range max(50, int(math.Ceil(0.05*size))) {
			g := t.newcomer(r, region)
			people = append(people, t.person(r, len(people), g))
			all = append(all, g)
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return t.counted(t.truth, people, 1), balanced(all)
}

// newcomer is a child of the region whose outcome is a fair coin: what is known of it
// tells nothing, so an attack scores by the answers alone.
func (t *trial) newcomer(r *rand.Rand, region int) target {
	like := t.people[r.IntN(len(t.people))].leaves
	return target{region, like[dimAge], like[dimSex], r.IntN(2)}
}

func (t *trial) person(r *rand.Rand, i int, g target) person {
	return newPerson(t.seed, len(t.people)+i, place{g.region, g.age}, g.sex, g.secret, 1+r.IntN(3))
}

// balanced keeps the first 50 of each outcome.
func balanced(all []target) []target {
	var kept []target
	var have [2]int
	for _, g := range all {
		if have[g.secret] < planted {
			have[g.secret]++
			kept = append(kept, g)
		}
	}
	return kept
}

// A16: from release t to t+1, the change of the cells of the newcomer's region, age
// and sex that name one outcome, less the change of those that name the other.
func revisionDifferencing(t *trial) (float64, error) {
	before, err := t.release(1)
	if err != nil {
		return 0, err
	}
	counts, targets := t.smallestRevision()
	after, err := t.publish(counts, 2)
	if err != nil {
		return 0, err
	}
	var by [2][]float64
	for _, g := range targets {
		by[g.secret] = append(by[g.secret], t.moved(before, after, g, signature{1, 50}))
	}
	return auc(by[no], by[yes]), nil
}

// oneRecord is the same for a revision of one record a region, which must never be
// built; power 2 looks for cells that changed at all instead of those that grew.
func oneRecord(power float64) func(t *trial) (float64, error) {
	return func(t *trial) (float64, error) {
		before, err := t.release(1)
		if err != nil {
			return 0, err
		}
		var by [2][]float64
		r := newDice(t.seed, 17)
		for len(by[no]) < planted || len(by[yes]) < planted {
			var people []person
			var targets []target
			for region := range regions {
				g := t.newcomer(r, region)
				targets = append(targets, g)
				people = append(people, t.person(r, len(people), g))
			}
			after, err := t.publish(t.counted(t.truth, people, 1), 2)
			if err != nil {
				return 0, err
			}
			for _, g := range targets {
				by[g.secret] = append(by[g.secret], t.moved(before, after, g, signature{power, 1}))
			}
		}
		return auc(by[no], by[yes]), nil
	}
}

// A signature says how to look for a newcomer: by the change of cells to a power,
// among how many that came to the region.
type signature struct{ power, batch float64 }

// moved is the signature of a newcomer: over the cells that the outcomes have in its
// region, the change to the power, weighted by its precision: the noise, and the
// others of the batch who are expected in the cell. A cell that came to be shown
// counts as one that grew by the noise's standard deviation.
func (t *trial) moved(before, after *view, g target, s signature) float64 {
	sum := 0.0
	region := before.value(t.named(g.region, root, root, root)).value
	for mask := range 4 {
		age, sex := root, root
		if mask&1 != 0 {
			age = g.age
		}
		if mask&2 != 0 {
			sex = g.sex
		}
		for outcome, sign := range []float64{yes: 1, no: -1} {
			c := t.named(g.region, age, sex, outcome)
			others := s.batch * min(1, before.value(c).value/max(1, region))
			sum += sign * math.Pow(step(before, after, c), s.power) / (after.model.v + others)
		}
	}
	return sum
}

func step(before, after *view, c int) float64 {
	switch a, b := before.shown[c], after.shown[c]; {
	case a && b:
		return after.y[c] - before.y[c]
	case a == b:
		return 0
	case b:
		return math.Sqrt(after.model.v)
	default:
		return -math.Sqrt(after.model.v)
	}
}
