package disclosure

import (
	"math"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure/suppress"
)

// Exact tables: the base goes to suppress, which protects all tables jointly and
// audits them, and its pattern comes back as published cells.

// planExact refuses what the audit does not model, and more unknowns than it takes
// if every cell had to be hidden. How many are hidden depends on the data, so a
// definition that passes is never refused for its size when it is built. It may be for
// the time that the audit takes: where some five hundred cells or more hang together and
// most are small. Then the steward is told, before anything is published, and chooses
// coarser codes or sums.
func planExact(l *lattice, b *Budget) (*Budget, error) {
	if err := l.modelled(); err != nil {
		return nil, err
	}
	b.Standing.Most = suppress.MaxVariables
	if b.Standing.Cells > suppress.MaxVariables {
		return b, tooMany(b.Standing)
	}
	raw, err := suppress.NewRaw(l.tables(), suppress.Rules{K: MinThreshold})
	if err != nil {
		return b, err
	}
	b.Standing.Cells = raw.Unknowns()
	if err := raw.Auditable(); err != nil {
		return b, tooMany(b.Standing)
	}
	return b, nil
}

func tooMany(b *StandingBudget) error {
	return gateway.Errorf(gateway.Invalid,
		"the tables are sums of up to %d unknown cells of %s, and an audit that may have to hide them all takes at most %d of them and their relations. Choose: fewer dimensions, coarser codes, or mode additive, which needs no audit",
		b.Cells, b.Base, b.Most)
}

// modelled refuses dimensions between which more relations hold than the audit
// knows: nodes of a multi dimension are at most their parent and cover it. A child's
// region is also one of the regions in its records; whoever knows that places a
// hidden cell better than the audit believes.
func (l *lattice) modelled() error {
	names := usedDimensions(l.def)
	for i, name := range names {
		dim := l.def.Dimension(name)
		if dim.Source.Kind == gateway.SectorPair || dim.Source.Kind == gateway.EventSectorCode || dim.Source.Kind == gateway.ChildOutcome {
			return gateway.Errorf(gateway.Invalid, "dimension %s: what pairs of sectors and the codes of one have in common is not in the audit's model; publish it in mode additive", name)
		}
		for _, other := range names[:i] {
			o := l.def.Dimension(other)
			if (dim.Kind == gateway.Multi || o.Kind == gateway.Multi) && origin(dim.Source) == origin(o.Source) {
				return gateway.Errorf(gateway.Invalid, "dimensions %s and %s are made of the same reports, which the audit does not model; publish one of them, or both in mode additive", other, name)
			}
		}
	}
	if m := l.impliesMulti(); m != nil {
		return gateway.Errorf(gateway.Invalid, "dimension %s implies nodes of %s, which the audit does not model; publish one of them", m.If.Dimension, m.Then.Dimension)
	}
	return nil
}

// impliesMulti returns a declared implication of a node of a multi dimension, where
// cubes show both dimensions; nil when there is none.
func (l *lattice) impliesMulti() *gateway.Implication {
	names := usedDimensions(l.def)
	for i := range l.def.Implied {
		m := &l.def.Implied[i]
		if slices.Contains(names, m.If.Dimension) && slices.Contains(names, m.Then.Dimension) && l.def.Dimension(m.Then.Dimension).Kind == gateway.Multi {
			return m
		}
	}
	return nil
}

// origin names what a dimension is derived from.
func origin(s gateway.Source) string {
	switch s.Kind {
	case gateway.EventSector, gateway.FirstSector, gateway.SectorCount, gateway.SectorPair, gateway.ReachedIn, gateway.ChildOutcome:
		return "(sector)"
	case gateway.EventQuarter, gateway.EventYear:
		return "(time)"
	case gateway.EventColumn, gateway.EventSectorCode, gateway.ChildConst, gateway.ChildFirst, gateway.ChildMost:
	}
	return s.Column
}

// tables says to suppress what is published.
func (l *lattice) tables() suppress.Tables {
	t := suppress.Tables{Definition: l.def}
	for _, s := range l.sets {
		t.Sets = append(t.Sets, s.Set)
	}
	for _, name := range usedDimensions(l.def) {
		// Every event has a sector and a quarter of the window. That a child has some
		// code in another column is not certain.
		switch dim := l.def.Dimension(name); dim.Source.Kind {
		case gateway.EventSector, gateway.EventQuarter:
			t.Covered = append(t.Covered, name)
		default:
		}
	}
	return t
}

// publishExact runs suppress over the base, and puts its pattern into the form that
// questions read.
func publishExact(c *counted, l *lattice, rel Release) (*Published, [][]state, error) {
	w, err := l.widened()
	if err != nil {
		return nil, nil, err
	}
	report, tables := newReporting(l, rel.Coverage), l.tables()
	l.each(func(s *set, at []int) {
		if report.missing(s, at) && !l.omits(s, at) {
			tables.Hide = append(tables.Hide, string(l.label(s, at, nil)))
		}
	})
	if tables.Earlier, err = w.earlier(c, rel.Earlier); err != nil {
		return nil, nil, err
	}
	rules, err := exactRules(rel)
	if err != nil {
		return nil, nil, err
	}
	raw, err := suppress.NewRaw(tables, rules)
	if err != nil {
		return nil, nil, err
	}
	if err = w.feed(c, raw); err != nil {
		return nil, nil, err
	}
	pattern, err := suppress.Protect(raw)
	if err != nil {
		return nil, nil, err
	}
	return l.publishPattern(pattern, rel, report)
}

// exactRules are the release's rules in the words of suppress: the law of thresholds
// with its permanent draws, for cells and for minorities.
func exactRules(rel Release) (suppress.Rules, error) {
	law, err := newLaw(rel.Rules)
	if err != nil {
		return suppress.Rules{}, err
	}
	keys := newKeyed(rel.Noise, rel.Lineage, rel.Number)
	return suppress.Rules{
		K: int64(law.from), SharePercent: int64(math.Floor(rel.Rules.Share*100 + 1e-9)), ShareBelow: int64(rel.Rules.ShareBelow),
		Threshold: func(label string) int64 { return int64(law.threshold(keys.threshold([]byte(label)))) },
		Edge:      func(minority int64, key uint64) int64 { return int64(law.threshold(keys.edge(minority, key))) },
	}, nil
}

// feed gives suppress the base: every cell of the finest crossing, and for a multi
// dimension of its coarser levels and of its root too.
func (w wide) feed(c *counted, raw *suppress.Raw) error {
	base := raw.Base()
	for _, s := range w.bases() {
		if c.cells[s.index] == nil {
			continue
		}
		var at []int
		nodes := make([]string, len(base))
		for i, cell := range c.cells[s.index] {
			if cell.children == 0 {
				continue
			}
			at = s.nodes(i, at)
			clear(nodes)
			for j, code := range w.codes(s, at) {
				k := slices.IndexFunc(base, func(sd gateway.SetDimension) bool { return sd.Name == s.Set[j].Name })
				nodes[k] = code
			}
			if err := raw.Add(nodes, suppress.Count{Children: cell.children, Key: cell.key}); err != nil {
				return err
			}
		}
	}
	return nil
}

// bases are the sets that hold all partition dimensions at their leaves, with every
// choice of levels of the multi ones.
func (w wide) bases() []*set {
	var bases []*set
	for _, s := range w.sets {
		if w.under(s.Set) == s {
			bases = append(bases, s)
		}
	}
	return bases
}

// earlier are the cells that earlier releases of the same window show: known to
// everybody, for ever (disclosure.md 2.6 step 6). Exact tables are frozen. If a number
// that was shown were another today, the two would tell who came, exactly; so the
// build is refused, and names no cell.
func (w wide) earlier(c *counted, releases []*Published) ([]string, error) {
	var labels []string
	for _, p := range releases {
		d := p.Definition()
		if d.Profile != gateway.Standing || d.Standing.Mode != gateway.Exact {
			return nil, gateway.Errorf(gateway.Conflict, "release %s has another profile: exact tables are for children of whom nothing else was ever released", p.Release())
		}
		switch {
		case d.To < w.def.From || w.def.To < d.From:
			continue
		case d.From != w.def.From || d.To != w.def.To:
			return nil, gateway.Errorf(gateway.Conflict, "release %s has a window that overlaps this one: the difference of two exact tables is exact", p.Release())
		case !w.holds(p.l):
			return nil, gateway.Errorf(gateway.Conflict, "release %s of this window has dimensions that this one has not, or otherwise; keep them", p.Release())
		}
		now := w.complete(c, p.l)
		for _, s := range p.l.sets {
			for i, st := range p.cells[s.index].status {
				if st != statusValue {
					continue
				}
				if p.cells[s.index].values[gateway.CountChildren][i] != now[s.index][i].children {
					return nil, gateway.Errorf(gateway.Conflict,
						"the records behind release %s have changed since: exact tables of a window are frozen, because the difference of two would tell who was added. Publish another window, or a lineage of additive tables", p.Release())
				}
				labels = append(labels, string(p.l.label(s, s.nodes(i, nil), nil)))
			}
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels), nil
}

// holds reports whether another definition's dimensions are ours, code by code.
func (w wide) holds(l *lattice) bool {
	ours := usedDimensions(w.def)
	for _, name := range usedDimensions(l.def) {
		theirs, own := l.def.Dimension(name), w.def.Dimension(name)
		if !slices.Contains(ours, name) || theirs.Kind != own.Kind || !slices.Equal(theirs.Levels, own.Levels) || !sameTree(theirs, own) {
			return false
		}
	}
	return true
}

// each calls f for every cell.
func (l *lattice) each(f func(s *set, at []int)) {
	for _, s := range l.sets {
		var at []int
		for c := range s.cells {
			at = s.nodes(c, at)
			f(s, at)
		}
	}
}

// publishPattern turns shown and hidden cells into published ones.
func (l *lattice) publishPattern(pattern *suppress.Pattern, rel Release, report *reporting) (*Published, [][]state, error) {
	out := &Published{head: headerOf(l, rel), l: l, closed: make([]bool, len(l.sets))}
	for _, s := range l.sets {
		shown, err := pattern.Cells(s.Set)
		if err != nil {
			return nil, nil, err
		}
		cells := noCells(s)
		for c := range cells.status {
			cells.status[c] = l.declared(s, c, report)
			if cells.status[c] == statusOmitted {
				continue // not in the pattern either
			}
			if len(shown) == 0 {
				return nil, nil, gateway.Errorf(gateway.Internal, "grouping set %q: the audit returned fewer cells than there are", s.key)
			}
			cell := shown[0]
			shown = shown[1:]
			if cells.status[c] != statusValue {
				continue
			}
			if cell.Status != gateway.StatusValue {
				cells.status[c] = statusSuppressed
				continue
			}
			cells.values[gateway.CountChildren][c] = *cell.Value
		}
		out.cells = append(out.cells, cells)
	}
	states := out.states()
	for _, h := range pattern.Hidden {
		s, c, ok := l.find(h.Label)
		if ok && states[s.index][c].hidden() {
			states[s.index][c] = stateOf(h.Rule)
		}
	}
	out.head.Summary = summaryOf(out, states)
	out.head.Summary.Audit = auditOf(out, pattern, rel)
	return out, states, out.seal()
}

// headerOf is the header of a release whose sets are all published: the sparsity gate
// is of profile B. Sparse exact tables are hidden cell by cell, until the audit is
// content; and no rule on what was counted may run over public ones.
func headerOf(l *lattice, rel Release) header {
	all := gating{l: l, kept: &Gate{}, closed: make([]bool, len(l.sets))}
	return header{Release: rel.ID, Number: rel.Number, Lineage: rel.Lineage, Rules: rel.Rules, Definition: *l.def, Gate: all.record()}
}

// An Audit says what is known of the hidden cells of exact tables, for the officer's
// risk page: shares in steps of 5 %, and whether the narrowest interval is wide
// enough, never a cell and never a width (disclosure.md 2.6 step 7; 2.11 line 19).
type Audit struct {
	Width    int64               `json:"width"`             // what every interval must be wide: k
	Passed   bool                `json:"passed"`            // the narrowest is
	Earlier  []gateway.ReleaseID `json:"earlier,omitempty"` // of the lineage; what they show of the window counted as known
	Insiders bool                `json:"insiders"`          // intervals hold against who alone knows a hidden cell, and two of them in one row
	// Rules are shares of all cells; Widths of the cells in need of protection, by the
	// width of their interval. They are given for 100 such cells and more.
	Rules  *AuditRules  `json:"by_rule,omitempty"`
	Widths *AuditWidths `json:"by_width,omitempty"`
}

// AuditRules are shares of the cells in percent, each rounded to 5.
type AuditRules struct {
	Primary   int `json:"primary"`   // rules 1 to 5
	Secondary int `json:"secondary"` // hidden so that no primary is a sum of shown cells
	Repair    int `json:"repair"`    // hidden to widen an interval
	Insider   int `json:"insider"`   // hidden to widen it against insiders
}

// AuditWidths are shares of the primary cells in percent, each rounded to 5, by the
// width of the interval in which everybody can place them.
type AuditWidths struct {
	Twice int `json:"up_to_2k"`
	Five  int `json:"up_to_5k"`
	More  int `json:"above_5k"`
	Open  int `json:"no_upper_end"`
}

func auditOf(p *Published, pattern *suppress.Pattern, rel Release) *Audit {
	k := int64(rel.Rules.ThresholdMin)
	a := &Audit{Width: k, Passed: true, Insiders: true}
	for _, e := range rel.Earlier {
		a.Earlier = append(a.Earlier, e.Release())
	}
	rules, widths, primaries := AuditRules{}, AuditWidths{}, 0
	for _, h := range pattern.Hidden {
		switch {
		case h.Primary:
			rules.Primary++
		case h.Rule == suppress.RuleSecondary:
			rules.Secondary++
		case h.Rule == suppress.RuleRepair:
			rules.Repair++
		case h.Rule == suppress.RuleInsider:
			rules.Insider++
		}
		if !h.Primary {
			continue
		}
		primaries++
		width := h.Interval.High - h.Interval.Low
		switch {
		case h.Interval.Open:
			widths.Open++
		case width > 5*k:
			widths.More++
		case width > 2*k:
			widths.Five++
		default:
			widths.Twice++
		}
		a.Passed = a.Passed && (h.Interval.Open || width >= k && h.Interval.High >= k)
	}
	if n := p.head.Summary.Cells; n >= ruleCells {
		a.Rules = &AuditRules{percent(rules.Primary, n), percent(rules.Secondary, n), percent(rules.Repair, n), percent(rules.Insider, n)}
	}
	if n := primaries; n >= ruleCells {
		a.Widths = &AuditWidths{percent(widths.Twice, n), percent(widths.Five, n), percent(widths.More, n), percent(widths.Open, n)}
	}
	return a
}

// stateOf is the state that a rule of suppress leaves a cell in.
func stateOf(r suppress.Rule) state {
	switch r {
	case suppress.RuleThreshold:
		return hiddenSmall
	case suppress.RuleNear, suppress.RuleShare:
		return hiddenNear
	default:
		return hiddenRest
	}
}

// states are what published cells tell of themselves.
func (p *Published) states() [][]state {
	states := make([][]state, len(p.l.sets))
	for i, c := range p.cells {
		states[i] = make([]state, len(c.status))
		for j, st := range c.status {
			states[i][j] = [...]state{
				statusSuppressed: hiddenSmall, statusValue: shown, statusImpossible: impossible,
				statusNotReported: notReported, statusOmitted: omitted,
			}[st]
		}
	}
	return states
}

// summaryOf describes published cells. Where cells are hidden one by one until an
// audit is content, shares by rule are the audit's to tell.
func summaryOf(p *Published, states [][]state) Summary {
	sum := summarise(p.l, states, p.closed)
	for _, all := range [][]SetSummary{sum.Sets, sum.Cubes} {
		for i := range all {
			all[i].Rules = nil
		}
	}
	return sum
}
