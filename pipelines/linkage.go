package pipelines

import "github.com/pana-exchange/pana/gateway"

// A linkClass is how a good record points to a child (domain.md 3.1, I16).
type linkClass uint8

const (
	linkNone       linkClass = iota // no child can be told
	linkIdentified                  // by a valid IIN
	linkDisagrees                   // by one with which birth date or sex disagree
	linkFallback                    // by the fallback key
	linkClasses
)

// linkOf classes the current record. A plan that drops the IIN links nothing.
func (st *stream) linkOf() linkClass {
	switch {
	case !st.program.pid:
		return linkNone
	case st.slots[st.schema.iin].ok && st.disagrees:
		return linkDisagrees
	case st.slots[st.schema.iin].ok:
		return linkIdentified
	case st.named:
		return linkFallback
	}
	return linkNone
}

// linkage counts the records of a file that were good so far, or is nil where none was.
// Of a blind file disagreement is not known here: its maker took birth date and sex
// from the IIN.
func (r *Reader) linkage() *gateway.Linkage {
	r.tally.mu.Lock()
	defer r.tally.mu.Unlock()
	n := &r.tally.links
	l := gateway.Linkage{
		Identified: n[linkIdentified] + n[linkDisagrees], Disagreeing: n[linkDisagrees],
		Fallback: n[linkFallback], Unlinkable: n[linkNone],
	}
	if l.Records() == 0 {
		return nil
	}
	return &l
}
