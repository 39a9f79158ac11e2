package disclosure

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A carried is a value in a grouping set: it exists in the cells at one node of the
// set's sector, the node of its contract, where every child has a record of it.
// Elsewhere there is nothing to add up, by definition and whatever the data are.
type carried struct {
	*gateway.Value

	place int // of the sector among the set's dimensions
	node  int // of the contract there
}

// carriedBy lists the values of a set, in the order of their ids.
func (l *lattice) carriedBy(s *set) []carried {
	var all []carried
	for _, id := range s.Values {
		v := l.def.Value(id)
		place := l.def.SectorOf(s.Set)
		all = append(all, carried{v, place, l.dims[s.dims[place]].place[s.Set[place].Level][string(v.Sector)]})
	}
	return all
}

// in reports whether cell c of the set is at the value's contract.
func (v *carried) in(s *set, c int) bool { return c/s.strides[v.place]%s.sizes[v.place] == v.node }

// carries returns the number of the value whose sums a measure names, -1 when the
// set has none of it. (A set that is not there carries nothing.)
func (s *set) carries(m gateway.Measure) int {
	if s == nil {
		return -1
	}
	return slices.IndexFunc(s.values, func(v carried) bool { return gateway.SumOf(v.ID) == m })
}

// looks counts, by the dimensions of a set, the further independent looks at the
// number of children that values give there: where nearly every child has the same
// number, the sum divided by it is the count again, with noise of its own. (Two
// values of different contracts are about different cells.)
//
// A value exists at one node of the sector only, where its sets over the other
// dimensions are a lattice of their own, with that node as root. They are counted as
// if it existed at every node and without the sector too. That tells more than there
// is (information only adds up), so A stays an upper bound; and the family stays
// closed downward, so it is still the largest at the root.
func (l *lattice) looks() map[uint64]int {
	looks := map[uint64]int{}
	for _, s := range l.sets {
		by := map[gateway.ContractID]int{}
		for _, v := range s.values {
			by[v.Sector]++
			for _, mask := range []uint64{s.mask(), s.mask() &^ (1 << s.dims[v.place])} {
				looks[mask] = max(looks[mask], by[v.Sector])
			}
		}
	}
	return looks
}

// checkValues refuses values whose sums would not be protected as disclosure.md 2.7
// has it.
func checkValues(d *gateway.Definition) error {
	for i := range d.Values {
		if err := checkValue(d, i); err != nil {
			return err
		}
	}
	for i := range d.Cubes {
		c := &d.Cubes[i]
		if len(c.Values) == 0 {
			continue
		}
		invalid := func(why string) error { return gateway.Errorf(gateway.Invalid, "cube %s: %s", c.ID, why) }
		sectors := slices.DeleteFunc(slices.Clone(c.Dimensions), func(name string) bool {
			return d.Dimension(name).Source.Kind != gateway.EventSector
		})
		if c.Grain != gateway.Events || len(sectors) != 1 {
			return invalid("values are added up in a cube of events that has one dimension of sectors")
		}
		sector := d.Dimension(sectors[0])
		for j, id := range c.Values {
			v := d.Value(id)
			if v == nil || slices.Contains(c.Values[:j], id) {
				return invalid("it names a value twice, or one that is not defined")
			}
			if n := sector.Node(string(v.Sector)); n == nil || !sector.Leaf(*n) || n.Code == sector.Omitted {
				return invalid("the sector of a value is no code that its dimension publishes")
			}
		}
	}
	return nil
}

func checkValue(d *gateway.Definition, i int) error {
	v := &d.Values[i]
	invalid := func(why string) error { return gateway.Errorf(gateway.Invalid, "value %d: %s", i+1, why) }
	id := gateway.Measure(v.ID)
	switch {
	case !word(v.ID) || strings.Contains(v.ID, ".") || d.Value(v.ID) != v || d.Dimension(v.ID) != nil ||
		id == gateway.CountChildren || id == gateway.CountRecords:
		return invalid("it has no id, one of something else, or one with |, =, @ or a point")
	case v.PerChild != gateway.PerChildSum && v.PerChild != gateway.PerChildMean && v.PerChild != gateway.PerChildLatest:
		return invalid("a child's number is the sum, the mean or the latest of its records")
	case v.Min < 0 || v.Max <= v.Min || v.Max > gateway.MaxValue:
		return invalid("its clamps are not 0 <= min < max <= 1,048,576")
	case !(d.V > 0) || v.Precision > 1000*v.Max || float64(3*v.Precision) < float64(v.Max)*math.Sqrt(d.V):
		return invalid("its precision is below a third of the standard deviation of its noise, max*sqrt(V), or absurd")
	}
	return nil
}

// bandsApart reports whether the bands of some nodes are not empty and hold no
// number twice.
func bandsApart(nodes []gateway.Node) bool {
	var bands []gateway.Band
	for _, n := range nodes {
		if n.Band != nil {
			bands = append(bands, *n.Band)
		}
	}
	slices.SortFunc(bands, func(a, b gateway.Band) int { return cmp.Compare(a.From, b.From) })
	for i, b := range bands {
		if b.Below <= b.From || i > 0 && b.From < bands[i-1].Below || max(b.Below, -b.From) > 1<<20 {
			return false
		}
	}
	return true
}
