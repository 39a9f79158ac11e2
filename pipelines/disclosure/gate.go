package disclosure

import (
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Limits of rule 7 (disclosure.md 2.4 and 2.12). Below them the default left 0.31 of
// the small cells to least squares against a guess of 0.21 (disclosure.md 2.0): in
// sparse sets nothing else here works. Ask the data protection officer before
// changing one.
const (
	gateMean   = 20 // least mean of the published counts of children, hidden ones as 0
	gateHidden = 50 // most hidden cells, in percent
)

// A Gate is which grouping sets of a lineage are published, by rule 7 of
// disclosure.md 2.4: the sparsity gate. It is public: a set that is closed has no
// cells outside, and everyone is told so.
//
// A set is judged on *protected* cells, once, when a release first counts it, and the
// verdict is kept: later releases of the lineage take the Gate of the earlier
// ([Release.Gate]), and a set leaves or enters by a signed decision only
// ([gateway.GateDecision]). A gate that judged each release anew would be one more
// look at the data, and tables that come and go. Since the verdict is a function of
// numbers that would all have been published, it tells nothing that publishing them
// would not have.
//
// With a set every larger one is closed (more dimensions, finer levels), so what is
// left is closed downward: the budget holds ([Plan], computed over all), and each
// open cell has all its parents. The total is always open.
type Gate struct {
	Open   []string `json:"open"`   // keys of grouping sets ("region@region|sex@sex"), sorted
	Closed []string `json:"closed"` // keys, sorted
}

// Closes reports whether the gate keeps a grouping set from being published.
func (g *Gate) Closes(key string) bool {
	_, closed := slices.BinarySearch(g.Closed, key)
	return closed
}

// check refuses what is not the canonical form of a gate.
func (g *Gate) check() error {
	for _, keys := range [][]string{g.Open, g.Closed} {
		for i, key := range keys {
			if key == "" || i > 0 && keys[i-1] >= key {
				return gateway.Errorf(gateway.Internal, "the keys of a sparsity gate are not in order, or name the total")
			}
		}
	}
	if slices.ContainsFunc(g.Open, g.Closes) {
		return gateway.Errorf(gateway.Internal, "a sparsity gate opens and closes one set")
	}
	return nil
}

// A gating decides the sets of one release, parents before children.
type gating struct {
	l      *lattice
	kept   *Gate
	by     *gateway.GateDecision
	closed []bool // by set
}

func newGating(l *lattice, kept *Gate) (*gating, error) {
	g := &gating{l: l, kept: kept, by: l.def.Gate, closed: make([]bool, len(l.sets))}
	if g.kept == nil {
		g.kept = &Gate{}
	}
	if g.by == nil {
		g.by = &gateway.GateDecision{}
	}
	return g, g.kept.check()
}

// decide says whether a set is published: what stands above it decides first, then
// the officer, then what an earlier release found, and only a set that none of them
// knows is judged by its own protected cells. So no gated set is ever the parent of an
// open one, and rule 6, which runs before, needs no gate: the groups whose parent is
// gated are gated themselves, and so is a synonym of a cell in a gated set, which is
// always in a larger set.
func (g *gating) decide(s *set, cells *published) {
	closed := false
	for _, parent := range s.parents {
		closed = closed || g.closed[parent.index]
	}
	switch {
	case closed || len(s.Set) == 0:
	case slices.Contains(g.by.Close, s.key):
		closed = true
	case slices.Contains(g.by.Open, s.key):
	case g.kept.Closes(s.key):
		closed = true
	default:
		_, known := slices.BinarySearch(g.kept.Open, s.key)
		closed = !known && cells.sparse()
	}
	g.closed[s.index] = closed
}

// sparse judges a set: over the cells that could have a value (declared zeros,
// omitted codes and what nobody has reported left out), at least half have one, and
// the mean is at least 20 with hidden ones as 0 (decisions.md 18). It reads nothing
// but what a reader of the set would. A set without such a cell is sparse: nothing is
// known of it.
func (c *published) sparse() bool {
	cells, hidden, sum := 0, 0, int64(0)
	for i, st := range c.status {
		switch st {
		case statusValue:
			cells++
			sum += c.values[gateway.CountChildren][i]
		case statusSuppressed:
			cells++
			hidden++
		case statusImpossible, statusNotReported, statusOmitted:
		}
	}
	return cells == 0 || hidden*100 > gateHidden*cells || sum < gateMean*int64(cells)
}

// record returns the verdicts on all sets that are known by now: those of earlier
// releases whose sets this one does not have are kept too, in case they come back.
func (g *gating) record() Gate {
	out := Gate{Open: []string{}, Closed: []string{}}
	for _, s := range g.l.sets {
		switch {
		case g.closed[s.index]:
			out.Closed = append(out.Closed, s.key)
		case len(s.Set) > 0:
			out.Open = append(out.Open, s.key)
		}
	}
	for _, key := range g.kept.Open {
		if g.l.byKey[key] == nil {
			out.Open = append(out.Open, key)
		}
	}
	for _, key := range g.kept.Closed {
		if g.l.byKey[key] == nil {
			out.Closed = append(out.Closed, key)
		}
	}
	slices.Sort(out.Open)
	slices.Sort(out.Closed)
	return out
}

// closedSets returns, by set, what a release's gate closes. It refuses one that has
// no verdict on a set of the definition, or closes a set but not a larger one.
func (l *lattice) closedSets(g *Gate) ([]bool, error) {
	err := g.check()
	if err != nil {
		return nil, err
	}
	closed := make([]bool, len(l.sets))
	for _, s := range l.sets {
		closed[s.index] = g.Closes(s.key)
		_, open := slices.BinarySearch(g.Open, s.key)
		if !closed[s.index] && !open && len(s.Set) > 0 {
			return nil, gateway.Errorf(gateway.Internal, "a sparsity gate has no verdict on a grouping set")
		}
		for _, parent := range s.parents {
			if closed[parent.index] && !closed[s.index] {
				return nil, gateway.Errorf(gateway.Internal, "a sparsity gate is not closed")
			}
		}
	}
	return closed, nil
}

// checkGate refuses a decision on the gate that names sets which no cube admits, that
// opens a set without every smaller one, or that gives no reason. All without data:
// whether a set that is opened was closed before is none of a plan's business.
func (l *lattice) checkGate() error {
	by := l.def.Gate
	if by == nil {
		return nil
	}
	if strings.TrimSpace(by.Because) == "" {
		return gateway.Errorf(gateway.Invalid, "a decision on the sparsity gate needs a reason: because")
	}
	named := map[string]bool{}
	for _, key := range slices.Concat(by.Open, by.Close) {
		s := l.byKey[key]
		if s == nil || len(s.Set) == 0 || named[key] {
			return gateway.Errorf(gateway.Invalid, "the decision on the sparsity gate names %q, which is the total, no grouping set of these cubes, or named twice", key)
		}
		named[key] = true
	}
	for _, key := range by.Open {
		for _, parent := range l.byKey[key].parents {
			if len(parent.Set) > 0 && !slices.Contains(by.Open, parent.key) {
				return gateway.Errorf(gateway.Invalid, "the decision on the sparsity gate opens %q without %q: a set is open only where every smaller one is", key, parent.key)
			}
		}
	}
	return nil
}

// Gate returns which grouping sets the release publishes, for the next of its
// lineage. It is not to be changed.
func (p *Published) Gate() *Gate { return &p.head.Gate }

// Continues reports whether the release keeps every verdict of an earlier gate of its
// lineage but those that its own definition changes, with their reason: whether it may
// be approved after the release that has the earlier one.
func (p *Published) Continues(earlier *Gate) bool {
	if earlier == nil {
		return true
	}
	g := gating{l: p.l, kept: earlier, by: p.l.def.Gate, closed: make([]bool, len(p.l.sets))}
	if g.by == nil {
		g.by = &gateway.GateDecision{}
	}
	for _, s := range p.l.sets {
		// A set that the earlier gate does not know is judged by the release.
		judged := published{}
		if !p.closed[s.index] {
			judged = published{status: []status{statusValue}, values: map[gateway.Measure][]int64{gateway.CountChildren: {gateMean}}}
		}
		g.decide(s, &judged)
	}
	return slices.Equal(g.closed, p.closed)
}

// errGated refuses a question about a set that the gate closes. It depends on the set
// alone.
func errGated(s *set) error {
	return gateway.Errorf(gateway.Withheld,
		"grouping set %s is closed by the sparsity gate: too many of its cells are hidden, or they are small. "+
			"Ask with fewer dimensions or coarser levels; the catalogue of the release lists the sets that are closed", s.key)
}
