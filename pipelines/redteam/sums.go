package redteam

import (
	"math"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// Sums and means of values beside counts (disclosure.md 2.7). Where every child has
// the same number, which half of the keys make so, a sum divided by it is the count
// once more with noise of its own; and an exact mean beside a noisy count would give
// the count away (Handbook 5.7), where numbers differ, as under the other half.

// ofValues are the attacks on values.
func ofValues() []probe {
	return []probe{
		{
			attack: "Sums beside counts", measure: "sd of shown cells, all routes", value: sumsSpread,
			none: upTo(0.1), bar: atLeast(barSpread),
			words: func(r *Row) string {
				return "Averaging counts with sums over every table: an error of " + children(r.Default.Mean) + " is left; at least " + children(barSpread) + " must be."
			},
		},
		{
			attack: "Means beside counts", measure: "ER of shown cells over that of the count", value: meansTell(false),
			none: from(colNone, 0.3), fault: meansTell(true), faultName: "exact means",
			bar:   bar{"≤ 0.05", func(r *Row) bool { return r.Default.High <= barRecovery }},
			words: limited("Finding the count that fits a mean: %s better than the count alone; limit 5 %%."),
		},
	}
}

// summed is what a release says of one value.
type summed struct {
	shown []bool
	sum   []float64
	mean  []float64 // NaN where it is hidden
}

// askSums asks for the sums and means of a value in every set that adds it up.
func (t *twinTrial) askSums(v *view, value int) (*summed, error) {
	s := &summed{shown: make([]bool, t.size), sum: make([]float64, t.size), mean: slices.Repeat([]float64{math.NaN()}, t.size)}
	if v.ask == nil {
		for c, sum := range t.added[value] {
			if sum.Children > 0 {
				s.shown[c], s.sum[c], s.mean[c] = true, float64(sum.Sum), exactMean(sum)
			}
		}
		return s, nil
	}
	id := t.def.Values[value].ID
	for i := range t.sets {
		set := &t.sets[i]
		if !slices.Contains(set.Values, id) {
			continue
		}
		for _, measure := range []gateway.Measure{gateway.SumOf(id), gateway.Measure(id + ".mean")} {
			q := t.question(set)
			q.Measure = measure
			q.Cube = t.cubeOf(set, id)
			table, err := v.ask(q)
			if refused(err) {
				continue
			}
			if err != nil {
				return nil, err
			}
			err = t.each(set, table.Cells, func(c int, cell *gateway.Cell) {
				switch {
				case cell.Status != gateway.StatusValue:
				case cell.Value != nil:
					s.shown[c], s.sum[c] = true, float64(*cell.Value)
				case cell.Estimate != nil:
					s.mean[c] = cell.Estimate.Float()
				}
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// cubeOf is a cube of a set that adds up a value.
func (l *lattice) cubeOf(s *cellSet, value string) string {
	for _, id := range s.Cubes {
		if slices.Contains(l.def.Cube(id).Values, value) {
			return id
		}
	}
	return s.Cubes[0]
}

func exactMean(s disclosure.Sum) float64 { return float64(s.Sum) / float64(s.Children) }

// sumsSpread averages each count with the sum over the number that every child has,
// solves the frames of the value's sector with that, and returns the standard
// deviation of the estimates of shown cells.
func sumsSpread(t *twinTrial) (float64, error) {
	if !t.twin.constant || len(t.def.Values) == 0 {
		return math.NaN(), nil
	}
	v, err := t.first()
	if err != nil {
		return 0, err
	}
	var errors []float64
	for i := range t.def.Values {
		sums, err := t.askSums(v, i)
		if err != nil {
			return 0, err
		}
		both := *v
		both.y = slices.Clone(v.y)
		for c, shown := range sums.shown {
			if shown {
				both.y[c] = (v.y[c] + sums.sum[c]/float64(t.def.Values[i].Max)) / 2
			}
		}
		for j := range t.plan.frames {
			f := &t.plan.frames[j]
			if f.multi < 0 || t.dims[f.multi].Source.Kind != gateway.EventSector || t.dims[f.multi].AtLevel(0)[f.node].Code != string(t.def.Values[i].Sector) {
				continue
			}
			for k, x := range f.solve(&both, t.models[j], false) {
				if c := f.rows[k]; sums.shown[c] {
					errors = append(errors, x-float64(t.truth[c].n))
				}
			}
		}
	}
	if len(errors) == 0 {
		return math.NaN(), nil
	}
	return spread(errors), nil
}

// meansTell looks, around each count that is shown, for the one count that makes a
// whole number of the mean; where there is none or several it takes the count as it
// is. The value is by how much that is exact more often than the count alone.
func meansTell(exact bool) func(t *twinTrial) (float64, error) {
	return func(t *twinTrial) (float64, error) {
		if t.twin.constant || len(t.def.Values) == 0 {
			return math.NaN(), nil
		}
		v, err := t.first()
		if err != nil {
			return 0, err
		}
		told, alone, all := 0, 0, 0
		for i := range t.def.Values {
			sums, err := t.askSums(v, i)
			if err != nil {
				return 0, err
			}
			for c, mean := range sums.mean {
				if math.IsNaN(mean) || !v.shown[c] {
					continue
				}
				if exact {
					mean = exactMean(t.added[i][c])
				}
				all++
				if n := float64(t.truth[c].n); fitting(mean, v.y[c], v.model.reach) == n {
					told++
				}
				if v.y[c] == float64(t.truth[c].n) {
					alone++
				}
			}
		}
		return share(told-alone, all), nil
	}
}

// fitting is the one whole number within reach of a count whose product with a mean
// is whole, or the count (Handbook 5.7).
func fitting(mean, count, reach float64) float64 {
	found := math.NaN()
	for n := math.Max(1, count-reach); n <= count+reach; n++ {
		if product := n * mean; math.Abs(product-math.Round(product)) < 1e-7*n {
			if !math.IsNaN(found) {
				return count
			}
			found = n
		}
	}
	if math.IsNaN(found) {
		return count
	}
	return found
}

// sumsDefinition is small and has a value: children of regions seen by two sectors,
// one of which adds up a number.
func sumsDefinition() *gateway.Definition {
	sector := dimension("sector", gateway.Multi, "police", "social")
	sector.Source = gateway.Source{Kind: gateway.EventSector}
	var codes []string
	for i := range 20 {
		codes = append(codes, "r"+string(rune('a'+i)))
	}
	d := definition("sums", []gateway.Dimension{dimension("region", gateway.Partition, codes...), sector, dimension("sex", gateway.Partition, "F", "M")},
		gateway.Cube{
			ID: "events", Grain: gateway.Events, Dimensions: []string{"region", "sector", "sex"}, Cap: 3,
			Measures: []gateway.Measure{gateway.CountChildren}, Values: []string{"hours"},
		})
	d.Values = []gateway.Value{{ID: "hours", Sector: "police", Column: "hours", PerChild: gateway.PerChildLatest, Max: 100, Precision: 250}}
	return d
}

// sumsMean is the mean of its cells: enough that nearly all are shown.
const sumsMean = 1000

// sums attacks the values of a twin: the populations have none.
func (r *runner) sums() (*Section, error) {
	r.step("sums")
	twin, err := Twin(r.ctx, sumsDefinition(), TwinOptions{Mean: sumsMean, Keys: r.o.Keys, Seed: r.o.Seed})
	if err != nil {
		return nil, err
	}
	section := &Section{Population: "sums", Children: twin.Children, Cells: twin.Cells}
	for _, f := range twin.Findings {
		if slices.ContainsFunc(ofValues(), func(p probe) bool { return p.attack == f.Attack }) {
			section.Rows = append(section.Rows, f.Row)
		}
	}
	return section, nil
}
