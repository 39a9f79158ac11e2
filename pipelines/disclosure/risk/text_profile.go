package risk

import (
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// What the page says where a release is not of the interactive profile.

func (p *Page) writeProfilePoint(s *sheet) {
	switch {
	case p.Hidden.Audit != nil:
		s.point("The other numbers are exact. Where each hidden one could be was computed before: %s (section 4). Nothing else may ever be released about these children.", p.auditVerdict())
	case p.Profile == gateway.Public:
		s.point("Every number is blurred at random, once and for all, and paid for from a privacy budget that cannot be exceeded (section 4).")
	default:
		s.point("Every number is a sum of blurred ones: tables add up, and totals are blurred more than their parts (section 4).")
	}
}

// auditVerdict is the audit in half a sentence: pass or fail, never a width.
func (p *Page) auditVerdict() string {
	if p.Hidden.Audit.Passed {
		return "none can be placed more narrowly than allowed"
	}
	return "SOME CAN BE PLACED MORE NARROWLY THAN ALLOWED"
}

// writeProtection says in words what protects, and what the audit of exact tables
// found: shares in steps of 5 %, never a cell and never a width.
func (p *Page) writeProtection(s *sheet) {
	for line := range strings.Lines(p.Protection) {
		s.line("  %s", strings.TrimRight(line, "\n"))
	}
	a := p.Hidden.Audit
	if a == nil {
		return
	}
	s.say("Audit: by linear programming over everything that the tables show, %s (a range of %d children).", p.auditVerdict(), a.Width)
	if a.Insiders {
		s.say("That holds against everybody outside, and against a child or unit that alone is in a hidden number, also two of them together.")
	}
	if len(a.Earlier) > 0 {
		var ids []string
		for _, id := range a.Earlier {
			ids = append(ids, string(id))
		}
		s.say("What %s show counted as known.", strings.Join(ids, ", "))
	}
	if r := a.Rules; r != nil {
		s.say("Of all numbers %s were hidden as too few or too close to the whole, %s so that those cannot be computed, %s to widen a range, and %s to widen it against insiders.",
			some(r.Primary), some(r.Secondary), some(r.Repair), some(r.Insider))
	}
	if w := a.Widths; w != nil {
		s.say("Of the numbers in need of protection %s have a range of up to twice the least, %s of up to five times, %s of more, and %s have no upper end.",
			some(w.Twice), some(w.Five), some(w.More), some(w.Open))
	}
}

func (p *Page) watchProfile(add func(format string, args ...any)) {
	switch {
	case p.Hidden.Audit != nil && !p.Hidden.Audit.Passed:
		add("The audit failed: do not approve.")
	case p.Hidden.Audit != nil:
		add("These tables are exact and frozen: once approved, nothing else may be released about the children of %s to %s, and late records never count.", p.From, p.To)
	case p.Profile == gateway.Public:
		add("Once approved these numbers are for everybody and for ever; what they cost of the privacy budget does not come back.")
	}
}
