package disclosure

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A Release is what [Protect] needs to know beside the counts.
type Release struct {
	// ID is required: the lineage, a hyphen, the number ("demo-1").
	ID gateway.ReleaseID
	// Number is required: from 1, within the lineage. In decimal it is the release
	// part of the noise (decisions.md 15), so it must never be used for two builds
	// that both become public: their noise would be equal and their difference exact.
	Number int
	// Lineage is required and the definition's: the datasets that share it share the
	// permanent layer.
	Lineage string
	// Rules are what policy decided. It can only tighten: floors are checked here,
	// beside the clause that they come from.
	Rules gateway.ReleaseRules
	// Coverage is required: without it nothing is known to be reported.
	Coverage *gateway.Coverage
	// Noise is required but for public releases: a PRF under K_noise, 32 random bytes that nobody who asks or
	// approves can read, never rotated within a lineage. A second key would be a
	// second independent noise on the same counts, and two looks average
	// (disclosure.md 2.2). If it leaks, treat all published values as exact.
	Noise gateway.PRF
	// Gate is what the sparsity gate of the lineage's earlier releases decided
	// ([Published.Gate]); nil, for a first release, judges every grouping set now.
	Gate *Gate
	// Units are the contracts that declare units, whose counts rule 2 needs; without
	// any it is skipped, and every table says so.
	Units []gateway.ContractID
	// Random is required for public releases and only there: crypto/rand.Reader. Noise
	// must be absent then (disclosure.md 2.10).
	Random io.Reader
	// Earlier are the releases of the lineage that ever answered, for exact tables.
	Earlier []*Published
}

// numbered reports whether the id is the lineage of the definition and the number.
func (rel *Release) numbered(d *gateway.Definition) bool {
	return rel.Number >= 1 && rel.Lineage == d.Lineage && string(rel.ID) == fmt.Sprintf("%s-%d", rel.Lineage, rel.Number)
}

// A state is what becomes of a cell. The first rule that hides it is kept, for the
// shares of the summary only: outside this package all hidden cells are one status,
// because which rule it was tells small from large (disclosure.md 2.4).
type state uint8

const (
	hiddenSmall state = iota // rules 1 and 3: the zero value is the safe one
	hiddenUnit               // rule 2
	hiddenNear               // rule 4
	hiddenRest               // rule 6
	shown
	impossible
	notReported
	omitted // a code that is never published, by the definition
)

func (s state) hidden() bool { return s <= hiddenRest }

// A protector runs the rules over one release. unit.go has rule 2, gate.go rule 7;
// sums.go has the values of 2.7.
type protector struct {
	l      *lattice
	cells  [][]tally // the true counts, by set and cell
	sums   [][][]Sum // the true sums, by set, value and cell
	law    law       // of the thresholds of rules 1 and 4
	keys   *keyed
	tables *PTables
	cap    uint32 // on the records of one child
	report *reporting
	gate   *gating
	units  []gateway.ContractID // that declare units

	states [][]state // by set and cell
	// noise is v1 of the cells that rules 1 and 4 leave: rule 6 orders by it, and all
	// measures of the cell share it.
	noise [][]int32
	alias []map[int]cellRef // by set: the synonyms among its cells
	added [][]addition      // by set and value: what becomes of its sums
	label []byte            // scratch, of the cell at hand
	// summing replaces the values, where tables are sums (additive.go).
	summing *summing
}

// A cellRef is a cell of a set.
type cellRef struct {
	set *set
	at  int
}

// Protect decides every cell of a release once and for all, and uses up the
// counts: a second call with the same Raw is an error. It refuses a definition
// whose V the route budget does not allow (disclosure.md 2.5) and rules below the
// floors, before it looks at any count.
//
// Cells that were never added are zeros and are treated like any small cell
// (disclosure.md 2.4 rule 3).
//
// There is no other way from counts to published values, and it runs once for a
// release, at the end of its build (decisions.md 13): approval opens the cells that
// came out here, and questions read them. So nothing that is asked later can make a
// rule look at data again.
func Protect(raw *Raw, rel Release) (*Published, error) {
	published, _, err := ProtectAndKeep(raw, rel)
	return published, err
}

// ProtectAndKeep is [Protect], and also returns why each cell is what it is, to be
// sealed.
func ProtectAndKeep(raw *Raw, rel Release) (*Published, *Reasons, error) {
	c, err := raw.borrow()
	if err != nil {
		return nil, nil, err
	}
	if c.l.def.Profile != gateway.Interactive {
		return protectAs(raw, c, rel)
	}
	p, err := runRules(raw, rel)
	if err != nil {
		return nil, nil, err
	}
	published, err := p.publish(rel)
	if err != nil {
		return nil, nil, err
	}
	reasons, err := p.reasons()
	return published, reasons, err
}

// runRules runs the rules over every set.
func runRules(raw *Raw, rel Release) (*protector, error) {
	c, err := raw.borrow()
	if err != nil {
		return nil, err
	}
	p, err := newProtector(c, rel)
	if err != nil {
		return nil, err
	}
	if p.tables, err = NewPTables(c.l.def.V); err != nil {
		return nil, fmt.Errorf("solving the perturbation tables: %w", err)
	}
	raw.consume()
	for _, s := range p.l.sets {
		err := p.protect(s)
		if err != nil {
			return nil, err
		}
	}
	err = p.protectSums()
	if err != nil {
		return nil, err
	}
	return p, nil
}

// newProtector checks everything that is not data. The caller adds the tables.
func newProtector(c *counted, rel Release) (*protector, error) {
	d := c.l.def
	switch {
	case !rel.numbered(d):
		return nil, gateway.Errorf(gateway.Invalid, "release %s is not the lineage of its definition, a hyphen and a number from 1", rel.ID)
	case rel.Noise == nil || rel.Coverage == nil:
		return nil, gateway.Errorf(gateway.Internal, "a release is protected with a noise key and the agencies' coverage")
	case rel.Rules.RecordCap < 1 || rel.Rules.RecordCap > 1000:
		return nil, gateway.Errorf(gateway.Invalid, "the cap on one child's records must be from 1 to 1,000")
	case !(rel.Rules.Share <= maxShare) || rel.Rules.ShareBelow < minShareBelow || !rel.Rules.ShareCovered():
		return nil, gateway.Errorf(gateway.Invalid, "the share of rule 5 is at most %g of parents below %d or more, and no more than rule 4 implies: "+
			"(1 - share) * share_below is at most the lowest threshold", maxShare, minShareBelow)
	}
	_, err := Plan(d)
	if err != nil {
		return nil, err
	}
	p := &protector{
		l: c.l, cells: c.cells, sums: c.sums, cap: uint32(rel.Rules.RecordCap), report: newReporting(c.l, rel.Coverage),
		units:  slices.Sorted(slices.Values(rel.Units)),
		keys:   newKeyed(rel.Noise, rel.Lineage, rel.Number),
		states: make([][]state, len(c.l.sets)), noise: make([][]int32, len(c.l.sets)), alias: make([]map[int]cellRef, len(c.l.sets)),
	}
	if p.gate, err = newGating(c.l, rel.Gate); err != nil {
		return nil, err
	}
	p.law, err = newLaw(rel.Rules)
	return p, err
}

// protect decides the cells of one set. Parents are decided before, and rule 6
// within a set looks at parents only, so one pass over the sets, with a fixed
// point in each, is the fixed point over all.
func (p *protector) protect(s *set) error {
	p.states[s.index] = make([]state, s.cells)
	p.noise[s.index] = make([]int32, s.cells)
	if p.cells[s.index] == nil {
		p.cells[s.index] = make([]tally, s.cells)
	}
	var at []int
	for c := range s.cells {
		at = s.nodes(c, at)
		decided, err := p.decide(s, c, at)
		if err != nil {
			return err
		}
		p.states[s.index][c] = decided
	}
	for p.remainders(s) {
	}
	return nil
}

// decide gives a cell its state by everything but rule 6. What is decided without
// data comes first, so that an impossible, omitted or unreported cell has that
// status whatever was counted in it.
//
// Rules 1 and 3 are one line here: a cell is hidden when n < T with T the cell's own
// secret, permanent draw, and zero is below every T. A hard threshold would be an
// oracle: an uploader who plants children around a victim would read one bit off the
// pattern of hidden cells (AUC 0.85 for k = 10, disclosure.md 2.4). T does not
// depend on the release, so a cell does not come and go by chance.
func (p *protector) decide(s *set, c int, at []int) (state, error) {
	switch {
	case p.l.omits(s, at):
		return omitted, nil
	case p.l.impossible(s, at):
		return impossible, nil
	case p.report.missing(s, at):
		return notReported, nil
	}
	if t, tat := p.l.canonical(s, at); t != s {
		return p.follow(s, c, t, tat), nil
	}
	cell := &p.cells[s.index][c]
	if cell.top[0] > p.cap {
		return 0, gateway.Errorf(gateway.Internal, "grouping set %q: a cell counts more records of one child than the release's cap", s.key)
	}
	if err := p.checkUnits(s, cell); err != nil {
		return 0, err
	}
	p.label = p.l.label(s, at, p.label[:0])
	if p.law.small(cell.children, func() uint64 { return p.keys.threshold(p.label) }) {
		return hiddenSmall, nil
	}
	if oneUnit(cell) {
		return hiddenUnit, nil
	}
	near, err := p.nearParent(s, cell, at)
	if near || err != nil {
		return hiddenNear, err
	}
	p.noise[s.index][c] = int32(p.tables.l1.draw(cell.children, p.keys.permanent(p.label))) //nolint:gosec // at most D1
	return shown, nil
}

// follow gives a synonym the state of the cell that it denotes, which is in a set
// nearer to the total and so was decided before. Its own counts are not looked at:
// one label, one draw, one answer.
func (p *protector) follow(s *set, c int, t *set, tat []int) state {
	to := 0
	for i, node := range tat {
		to += node * t.strides[i]
	}
	if p.alias[s.index] == nil {
		p.alias[s.index] = map[int]cellRef{}
	}
	p.alias[s.index][c] = cellRef{t, to}
	return p.states[t.index][to]
}

// nearParent is rule 4: a cell is hidden when the children of its parent who are
// not in it are fewer than a secret threshold, along any dimension. It stops "all
// of them are", and filters that drop one child. The minority may be of a code
// that is never published, and of a multi dimension too: its children are simply
// those of the parent who are not in the cell. The only child of its parent never
// comes here: it is a synonym.
//
// The sectors of a pair, and the sector of a code, are parents in another dimension
// (disclosure.md 2.7): few children of the one who are not of the pair mean "every
// child known to A is known to B".
func (p *protector) nearParent(s *set, cell *tally, at []int) (bool, error) {
	parents := p.l.sectors(s, at)
	for i := range s.dims {
		parents = append(parents, cellRef{s.parents[i], p.l.above(s, at, i)})
	}
	for _, ref := range parents {
		var parent tally // of a set without any child: nothing was added
		if cells := p.cells[ref.set.index]; cells != nil {
			parent = cells[ref.at]
		}
		if parent.children < cell.children {
			return false, gateway.Errorf(gateway.Internal, "grouping set %q: a cell has more children than its parent in %q", s.key, ref.set.key)
		}
		r, key := parent.children-cell.children, parent.key-cell.key
		if p.law.small(r, func() uint64 { return p.keys.edge(r, key) }) {
			return true, nil
		}
	}
	return false, nil
}

// remainders is one sweep of rule 6 over the sibling groups of a set, dimension by
// dimension in the order of names and within each in the order of codes, which makes
// the outcome one and the same however the cells were counted: where exactly one cell of a group is hidden and the parent is
// shown, it hides also the one with the smallest n + v1, ties by label. It
// reports whether it hid any.
//
// The rule guards subtraction, so it applies where siblings add up to the parent.
// In a multi dimension of children they do not: a hidden sector is not the margin
// less the others, because children are in several. Its records do add up, so in a
// set that counts events every dimension is guarded.
//
// An omitted code counts as hidden (a second unknown beside a cell hidden by a
// rule) but calls for no companion itself: it is meant to be got by subtraction,
// with the noise of all terms, and else every group of its dimension would lose a
// code. "Yes" without "no" has no sibling to hide.
func (p *protector) remainders(s *set) bool {
	changed := false
	var at []int
	for i, dim := range s.dims {
		n, level := &p.l.dims[dim], s.Set[i].Level
		if n.Kind != gateway.Partition && s.Grain != gateway.Events {
			continue
		}
		for c := range s.cells {
			at = s.nodes(c, at)
			group := n.groups[level][n.parent[level][at[i]]]
			if at[i] != group[0] {
				continue // each group once, at its first cell
			}
			parent := p.states[s.parents[i].index][p.l.above(s, at, i)]
			if parent == shown && p.companion(s, c-at[i]*s.strides[i], s.strides[i], group) {
				changed = true
			}
		}
	}
	return changed
}

// companion hides a second cell of a group that has one hidden cell. The cells of
// the group are origin + node*stride. It never compares a true total of hidden
// children with anything: that would be the oracle of rule 1 again (disclosure.md
// 2.4 rule 6, AUC 1.00). A cell that is not reported is unknown like a hidden one,
// and may hold a few children of an incomplete quarter.
func (p *protector) companion(s *set, origin, stride int, group []int) bool {
	states := p.states[s.index]
	hidden, omits, best := 0, false, -1
	for _, node := range group {
		c := origin + node*stride
		switch st := states[c]; {
		case st.hidden() || st == notReported:
			hidden++
		case st == omitted:
			omits = true
		case st == shown && p.before(s, c, best):
			best = c
		}
	}
	if hidden != 1 || omits || best < 0 {
		return false
	}
	states[best] = hiddenRest
	return true
}

// before orders the candidates of rule 6 by n + v1, the permanent noise, and then
// by label; -1 is after all. The smallest n itself would tell an order of true
// counts; n + v1 is all that any series of releases could ever average to. A synonym is no candidate: it is hidden with the cell
// that it denotes.
func (p *protector) before(s *set, c, best int) bool {
	if _, synonym := p.alias[s.index][c]; synonym {
		return false
	}
	if best < 0 {
		return true
	}
	a, b := p.noisy(s, c), p.noisy(s, best)
	if a != b {
		return a < b
	}
	return bytes.Compare(p.l.label(s, s.nodes(c, nil), nil), p.l.label(s, s.nodes(best, nil), nil)) < 0
}

// noisy is n1 = n + v1.
func (p *protector) noisy(s *set, c int) int64 {
	return p.cells[s.index][c].children + int64(p.noise[s.index][c])
}
