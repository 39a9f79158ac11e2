package suppress

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A plan is the pattern while it is being decided. It holds true values and never
// leaves the package.
type plan struct {
	rule      []Rule // of a cell; "" is published
	value     []int64
	verdict   map[int]verdict
	primaries []int // in the order of the cells
	largest   int64
}

// needs is what a primary needs against everybody.
func (p *plan) needs(i int) need { return p.verdict[i].need }

func (p *plan) hide(i int, r Rule) { p.rule[i] = r }

// Protect decides which cells are shown, and uses the counts up. It fails rather
// than publish a cell that it cannot protect.
func Protect(r *Raw) (*Pattern, error) {
	c, err := r.take()
	if err != nil {
		return nil, err
	}
	p := c.begin()
	for _, i := range p.primaries {
		if c.s.cells[i].force {
			return nil, conflict()
		}
	}
	if !c.eliminate(p) {
		return nil, conflict()
	}
	seen := newWorlds(p)
	err = c.audit(p, audition{p.primaries, p.needs, nil, RuleRepair, seen})
	if err == nil {
		err = c.auditInsiders(p, seen)
	}
	if err != nil {
		return nil, err
	}
	return c.finish(p)
}

// begin applies the primary rules.
func (c *counted) begin() *plan {
	p := &plan{rule: make([]Rule, len(c.s.cells)), value: make([]int64, len(c.s.cells)), verdict: map[int]verdict{}}
	for i := range c.s.cells {
		at := &c.s.cells[i]
		p.value[i] = c.sum(at.column)
		p.largest = max(p.largest, p.value[i])
		if len(at.column) == 0 {
			continue
		}
		if v := c.judge(at); v.rule != "" {
			p.verdict[i] = v
			p.primaries = append(p.primaries, i)
			p.hide(i, v.rule)
		} else if at.omitted {
			p.hide(i, RuleOmitted)
		}
	}
	return p
}

// A Pattern says which cells of the tables are shown, and their values. Values of
// hidden cells are not in it.
type Pattern struct {
	// Hidden are the hidden cells in the order of tables and codes, for the officer
	// only: rules and intervals tell what the tables do not.
	Hidden []Hidden
	// Digest is SHA-256 of everything that may be published, in hex.
	Digest string

	cells []shown
	sets  map[string]bool
}

// Hidden is one hidden cell: which rule hid it and where readers can place it.
// The interval is given for primary cells; others need no protection themselves.
type Hidden struct {
	Label    string
	Rule     Rule
	Primary  bool
	Interval Interval
}

type shown struct {
	set  string
	cell gateway.Cell
}

// Cells returns one table: the cells that may be published, in the order of the
// codes. Zero, small and secondary cells all look alike (disclosure.md 2.1, 2.4
// rule 3); a structural zero is told apart. The code that a dimension omits is not in
// it. It reports NotFound for a grouping set that was not protected.
func (p *Pattern) Cells(set gateway.GroupingSet) ([]gateway.Cell, error) {
	key := setKey(set)
	if !p.sets[key] {
		return nil, gateway.Errorf(gateway.NotFound, "the grouping set is not among the protected tables")
	}
	var cells []gateway.Cell
	for _, s := range p.cells {
		if s.set == key {
			cells = append(cells, clone(s.cell))
		}
	}
	return cells, nil
}

func clone(c gateway.Cell) gateway.Cell {
	c.Nodes = slices.Clone(c.Nodes)
	if c.Value != nil {
		value := *c.Value
		c.Value = &value
	}
	return c
}

func setKey(set gateway.GroupingSet) string {
	var b strings.Builder
	for _, sd := range set {
		fmt.Fprintf(&b, "%s@%d|", sd.Name, sd.Level)
	}
	return b.String()
}

// finish audits the final pattern once more, from nothing, and drops the counts.
func (c *counted) finish(p *plan) (*Pattern, error) {
	a, err := c.attack(c.knowledge(p))
	if err != nil {
		return nil, err
	}
	out := &Pattern{sets: map[string]bool{}}
	digest := sha256.New()
	for i := range c.s.cells {
		at := &c.s.cells[i]
		cell := gateway.Cell{Nodes: at.nodes, Status: gateway.StatusSuppressed}
		v, primary := p.verdict[i]
		switch {
		case len(at.column) == 0:
			cell.Status = gateway.StatusImpossible
		case p.rule[i] == "":
			value := p.value[i]
			cell.Status, cell.Value = gateway.StatusValue, &value
		default:
			h := Hidden{Label: at.label, Rule: p.rule[i], Primary: primary}
			if primary {
				x, err := a.extent(at.column)
				if err != nil {
					return nil, err
				}
				if h.Interval = x.inward(); !h.Interval.meets(v.need) {
					return nil, gateway.Errorf(gateway.Internal, "the final audit contradicts the pattern")
				}
			}
			out.Hidden = append(out.Hidden, h)
		}
		key := setKey(at.set)
		out.sets[key] = true
		if at.omitted {
			continue
		}
		out.cells = append(out.cells, shown{key, cell})
		fmt.Fprintf(digest, "%s %s", at.label, cell.Status)
		if cell.Value != nil {
			fmt.Fprintf(digest, " %d", *cell.Value)
		}
		fmt.Fprintln(digest)
	}
	out.Digest = hex.EncodeToString(digest.Sum(nil))
	return out, nil
}
