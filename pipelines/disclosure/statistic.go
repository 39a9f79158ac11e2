package disclosure

import (
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Statistics are what a question may ask beside counts: "cost.sum", "cost.mean",
// "age.median", "age.p25", "sex.share", "pair.jaccard" (disclosure.md 2.7). Sums are
// published cells. All others are computed here, from published cells and nothing
// else, so they can tell no more than those do: two populations with the same
// published cells have the same statistics. An exact mean beside a noisy count would
// undo the noise (2.11 line 2; Handbook 5.7).

// A statKind is which statistic it is.
type statKind uint8

const (
	statCount    statKind = iota
	statSum               // S'
	statMean              // S'/j
	statQuantile          // of the bands of a dimension
	statShare             // of the cell in its parent along a dimension
	statJaccard           // of the two sectors of a pair
)

// Floors of disclosure.md 2.12: a mean of fewer children is of few children, and a
// quantile needs as many on the shorter side. They are held against published
// counts, so they can tell nothing that the counts do not. A share is the mean of
// zeros and ones.
const (
	meanFloor     = 25
	quantileFloor = 25
)

// A statistic is a measure as it is read.
type statistic struct {
	kind    statKind
	value   *gateway.Value // of sums and means
	number  int            // of the value in the query's set
	dim     *dimension     // of the others
	percent int64          // of quantiles
	bands   *set           // of quantiles: the query's set, by band
	at      int            // of shares and overlaps: the dimension's place in the query's set; of quantiles in bands
}

// statistic reads a measure of a cube. Whether the question has the dimensions for
// it is decided by prepare.
func (p *Published) statistic(c *gateway.Cube, m gateway.Measure) (statistic, error) {
	if slices.Contains(c.Measures, m) {
		return statistic{}, nil
	}
	if p.l.def.Profile != gateway.Interactive {
		return statistic{}, onlyCounts(c)
	}
	name, stat, _ := strings.Cut(string(m), ".")
	if slices.Contains(c.Values, name) {
		kind := map[string]statKind{gateway.StatSum: statSum, "mean": statMean}[stat]
		if kind != 0 {
			return statistic{kind: kind, value: p.l.def.Value(name)}, nil
		}
		return statistic{}, gateway.Errorf(gateway.Invalid, "of a value there are NAME.sum and NAME.mean; there is never a smallest, a largest or a commonest one, nor the median of what no bands are registered for")
	}
	i, known := p.l.byName[name]
	if known && slices.Contains(c.Dimensions, name) {
		dim := &p.l.dims[i]
		if percent, ok := quantile(stat); ok && dim.banded() {
			return statistic{kind: statQuantile, dim: dim, percent: percent}, nil
		}
		switch {
		case stat == "share":
			return statistic{kind: statShare, dim: dim}, nil
		case stat == "jaccard" && dim.Source.Kind == gateway.SectorPair:
			return statistic{kind: statJaccard, dim: dim}, nil
		}
	}
	return statistic{}, gateway.Errorf(gateway.Invalid, "cube %s does not measure that; it measures %v", c.ID, p.Measures(c))
}

// Measures lists what may be asked of a cube, as far as its dimensions allow it
// where it is asked: counts, sums and means, quantiles, shares and overlaps. "p25"
// stands for every whole percentage.
func (p *Published) Measures(c *gateway.Cube) []gateway.Measure {
	all := slices.Clone(c.Measures)
	if p.l.def.Profile != gateway.Interactive {
		return all
	}
	for _, id := range c.Values {
		all = append(all, gateway.SumOf(id), gateway.Measure(id+".mean"))
	}
	for _, name := range c.Dimensions {
		dim := &p.l.dims[p.l.byName[name]]
		if dim.banded() {
			all = append(all, gateway.Measure(name+".median"), gateway.Measure(name+".p25"))
		}
		all = append(all, gateway.Measure(name+".share"))
		if dim.Source.Kind == gateway.SectorPair {
			all = append(all, gateway.Measure(name+".jaccard"))
		}
	}
	return all
}

// quantile reads "median", or "p1" to "p99" but for p50: one statistic has one
// spelling, because it has one label.
func quantile(stat string) (percent int64, ok bool) {
	if stat == "median" {
		return 50, true
	}
	digits, found := strings.CutPrefix(stat, "p")
	n, err := strconv.Atoi(digits)
	return int64(n), found && err == nil && n > 0 && n < 100 && n != 50 && strconv.Itoa(n) == digits
}

// banded reports whether the dimension's leaves are bands of numbers of which every
// child of a cell is in one at most, and all are published.
func (n *dimension) banded() bool {
	if n.Kind != gateway.Partition || n.Omitted != "" {
		return false
	}
	return !slices.ContainsFunc(n.levels[len(n.levels)-1], func(node *gateway.Node) bool { return node.Band == nil })
}

// prepare finds what the statistic needs beside the query's own set, or says what
// the question lacks. It depends on names only, as parse does.
func (p *Published) prepare(c *query) error {
	s := &c.stat
	if s.dim != nil {
		s.at = slices.IndexFunc(c.set.Set, func(sd gateway.SetDimension) bool { return sd.Name == s.dim.Name })
	}
	switch s.kind {
	case statCount:
	case statSum, statMean:
		s.number = c.set.carries(gateway.SumOf(s.value.ID))
		if s.number < 0 {
			return gateway.Errorf(gateway.Invalid, "%s is a number of records of %s: filter or group by that sector", s.value.ID, s.value.Sector)
		}
	case statQuantile:
		return p.prepareQuantile(c)
	case statShare, statJaccard:
		if s.at < 0 {
			return gateway.Errorf(gateway.Invalid, "%s is about codes of dimension %s: filter or group by it", c.measure, s.dim.Name)
		}
	}
	return nil
}

func (p *Published) prepareQuantile(c *query) error {
	s := &c.stat
	if s.at >= 0 {
		return gateway.Errorf(gateway.Invalid, "%s is over all bands of dimension %s: do not filter or group by it", c.measure, s.dim.Name)
	}
	g := append(slices.Clone(c.set.Set), gateway.SetDimension{Name: s.dim.Name, Level: len(s.dim.Levels) - 1})
	slices.SortFunc(g, func(a, b gateway.SetDimension) int { return strings.Compare(a.Name, b.Name) })
	s.bands = p.l.byKey[g.Key(p.l.def)]
	if s.bands == nil || !slices.Contains(s.bands.Cubes, c.cube.ID) {
		return p.limit(c.cube, g)
	}
	if p.closed[s.bands.index] {
		return errGated(s.bands)
	}
	s.at = slices.IndexFunc(g, func(sd gateway.SetDimension) bool { return sd.Name == s.dim.Name })
	return nil
}

// fill puts the statistic of a cell of the query's set into a cell of the table,
// whose status is that of the count there.
func (c *query) fill(p *Published, at int, cell *gateway.Cell) {
	from := &p.cells[c.set.index]
	if c.stat.kind == statSum || c.stat.kind == statMean {
		cell.Status = statusNames[from.sumStatus(c.set, at, c.stat.number)]
	}
	if cell.Status != gateway.StatusValue {
		return
	}
	var e estimate
	var st status
	switch c.stat.kind {
	case statSum:
		sum := from.sums[c.stat.number].values[at]
		cell.Value = &sum
		return
	case statMean:
		e, st = p.mean(c, at)
	case statQuantile:
		e, st = p.quantile(c, at)
	case statShare:
		e, st = p.share(c, at)
	case statJaccard:
		e, st = p.jaccard(c, at)
	case statCount:
	}
	cell.Status = statusNames[st]
	if st == statusValue {
		value, sd := e.rounded()
		cell.Estimate, cell.SD = &value, &sd
	}
}

// count returns the published number of children of a cell. A structural zero is
// exact.
func (p *Published) count(ref cellRef) (n int64, st status) {
	cells := &p.cells[ref.set.index]
	return cells.values[gateway.CountChildren][ref.at], cells.status[ref.at]
}

// mean is S'/j. Its variance is (Var S' + mean^2 V)/j^2.
func (p *Published) mean(c *query, at int) (estimate, status) {
	j, _ := p.count(cellRef{c.set, at})
	if j < meanFloor {
		return estimate{}, statusSuppressed
	}
	v := c.stat.value
	sum := p.cells[c.set.index].sums[c.stat.number].values[at]
	m := big.NewRat(sum, j)
	variance := new(big.Rat).SetFloat64(sumVariance(v, p.l.def.V))
	variance.Add(variance, mul(m, m, p.noise()))
	return estimate{clamp(m, v.Min, v.Max), mul(variance, big.NewRat(1, j), big.NewRat(1, j)), nil}, statusValue
}

// share is the published count over that of the parent along the dimension. Its
// variance is V (1 + share^2) / parent^2.
func (p *Published) share(c *query, at int) (estimate, status) {
	n, _ := p.count(cellRef{c.set, at})
	of, st := p.count(cellRef{c.set.parents[c.stat.at], p.l.above(c.set, c.set.nodes(at, nil), c.stat.at)})
	if st != statusValue || of < meanFloor {
		return estimate{}, suppressedBy(st)
	}
	s := big.NewRat(n, of)
	spread := new(big.Rat).Add(big.NewRat(1, 1), mul(s, s))
	return estimate{clamp(s, 0, 1), mul(p.noise(), spread, big.NewRat(1, of), big.NewRat(1, of)), nil}, statusValue
}

// jaccard is n(A∩B) / (n(A) + n(B) - n(A∩B)), of the children that the two sectors of
// a pair have seen. With u the denominator, its variance is V ((1+J)^2 + 2 J^2) / u^2.
func (p *Published) jaccard(c *query, at int) (estimate, status) {
	both, _ := p.count(cellRef{c.set, at})
	refs := p.l.sectors(c.set, c.set.nodes(at, nil))
	if len(refs) != 2 {
		return estimate{}, statusSuppressed
	}
	union := -both
	for _, ref := range refs {
		n, st := p.count(ref)
		if st != statusValue {
			return estimate{}, suppressedBy(st)
		}
		union += n
	}
	if union < meanFloor {
		return estimate{}, statusSuppressed
	}
	j := big.NewRat(both, union)
	one := new(big.Rat).Add(big.NewRat(1, 1), j)
	spread := new(big.Rat).Add(mul(one, one), mul(big.NewRat(2, 1), j, j))
	return estimate{clamp(j, 0, 1), mul(p.noise(), spread, big.NewRat(1, union), big.NewRat(1, union)), nil}, statusValue
}

// quantile cumulates the published counts of the bands and goes on inside one band
// as if its children were spread evenly. Every band must be published. With f the
// part of the band below the quantile, w its width and j its count, B bands below it
// and A above, the variance is V (w/j)^2 (B(1-q)^2 + A q^2 + (q-f)^2).
func (p *Published) quantile(c *query, at int) (estimate, status) {
	all, _ := p.count(cellRef{c.set, at})
	counts, st := p.banded(c, at)
	if st != statusValue {
		return estimate{}, st
	}
	sum, published := int64(0), int64(0)
	for _, n := range counts {
		sum += n
		if n > 0 {
			published++
		}
	}
	percent := c.stat.percent
	if min(sum, all)*min(percent, 100-percent) < 100*quantileFloor {
		return estimate{}, statusSuppressed
	}
	below, before := int64(0), int64(0)
	bands := c.stat.dim.ordered()
	i := 0
	for ; i < len(bands)-1 && 100*(below+counts[bands[i]]) < percent*sum; i++ {
		below += counts[bands[i]]
		if counts[bands[i]] > 0 {
			before++
		}
	}
	band, j := c.stat.dim.levels[len(c.stat.dim.levels)-1][bands[i]].Band, counts[bands[i]]
	if j == 0 { // only of counts that overflow, which were not made here
		return estimate{}, statusSuppressed
	}
	width := int64(band.Below - band.From)
	f := big.NewRat(percent*sum-100*below, 100*j)
	q := big.NewRat(percent, 100)
	rest := new(big.Rat).Sub(big.NewRat(1, 1), q)
	spread := new(big.Rat).Sub(q, f)
	spread = mul(spread, spread)
	spread.Add(spread, mul(big.NewRat(before, 1), rest, rest))
	spread.Add(spread, mul(big.NewRat(published-before-1, 1), q, q))
	x := new(big.Rat).Add(big.NewRat(int64(band.From), 1), mul(f, big.NewRat(width, 1)))
	return estimate{x, mul(p.noise(), spread, big.NewRat(width, j), big.NewRat(width, j)), band}, statusValue
}

// banded returns the published counts of the bands of a cell, by node.
func (p *Published) banded(c *query, at int) ([]int64, status) {
	s := &c.stat
	nodes := c.set.nodes(at, nil)
	place := 0
	for i, k := 0, 0; i < len(s.bands.Set); i++ {
		if i != s.at {
			place += nodes[k] * s.bands.strides[i]
			k++
		}
	}
	var counts []int64
	for node := range s.bands.sizes[s.at] {
		n, st := p.count(cellRef{s.bands, place + node*s.bands.strides[s.at]})
		if st == statusImpossible {
			n, st = 0, statusValue
		}
		if st != statusValue {
			return nil, suppressedBy(st)
		}
		counts = append(counts, n)
	}
	return counts, statusValue
}

// ordered are the leaves by their bands.
func (n *dimension) ordered() []int {
	leaves := n.levels[len(n.levels)-1]
	var order []int
	for i := range leaves {
		order = append(order, i)
	}
	slices.SortFunc(order, func(a, b int) int { return leaves[a].Band.From - leaves[b].Band.From })
	return order
}

// suppressedBy is the status of a statistic whose part has a status.
func suppressedBy(st status) status {
	if st == statusNotReported {
		return st
	}
	return statusSuppressed
}

// noise is V; a definition that was not planned may have any.
func (p *Published) noise() *big.Rat { return new(big.Rat).SetFloat64(max(0, p.l.def.V)) }
