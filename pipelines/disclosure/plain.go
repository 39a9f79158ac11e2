package disclosure

import (
	"fmt"
	"math"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// What the profiles other than the interactive one say of themselves.

// slowAudit is how many unknowns the audit takes in seconds, whatever they hold.
const slowAudit = 400

// plain is the budget of such a profile as a page for people.
func (b *Budget) plain() string {
	var s strings.Builder
	switch {
	case b.Public != nil:
		b.Public.write(&s)
	case b.Standing != nil:
		b.Standing.write(&s, b)
	}
	fmt.Fprintf(&s, "%d cells in %d grouping sets\n", b.Cells, len(b.Sets))
	for _, set := range b.Sets {
		name := set.Set
		if name == "" {
			name = "(total)"
		}
		fmt.Fprintf(&s, "  %-40s %5d cells", name, set.Cells)
		if set.Variance > 0 {
			fmt.Fprintf(&s, ", standard deviation of a count %.1f", math.Sqrt(set.Variance))
		}
		if set.Reach > 1 {
			fmt.Fprintf(&s, "; one child is in up to %d of them", set.Reach)
		}
		s.WriteByte('\n')
	}
	return s.String()
}

func (p *PublicBudget) write(s *strings.Builder) {
	fmt.Fprintf(s, "public release: every cell with discrete Gaussian noise, out of a privacy budget\n")
	fmt.Fprintf(s, "  a release spends rho %v, %v on each grouping set: epsilon %.2f at delta %s\n", p.Rho, p.Set, p.Epsilon, p.Delta)
	fmt.Fprintf(s, "  the lineage may spend rho %v in one year: epsilon %.2f at delta %s; years add up for a child who is in all of them\n", p.Yearly, p.Year, p.Delta)
}

func (b *StandingBudget) write(s *strings.Builder, all *Budget) {
	fmt.Fprintf(s, "standing tables, %s: sums of %s, counted over children for whom all of that is known\n", b.Mode, b.Base)
	if b.Mode == gateway.Exact {
		fmt.Fprintf(s, "  counts are exact; cells are hidden until nobody can place one within less than the threshold\n")
		fmt.Fprintf(s, "  %d unknowns if all were hidden; the audit takes up to %d\n", b.Cells, b.Most)
		if b.Cells > slowAudit {
			fmt.Fprintf(s, "  beyond %d it may take minutes where most counts are small, and be refused as too long\n", slowAudit)
		}
		fmt.Fprintf(s, "  nothing else may ever be released about children of this window\n")
		return
	}
	fmt.Fprintf(s, "  A %.3f, V needed %.1f, V declared %g for each of %d base cells; deviations up to %d + %d\n", all.A, all.Needed, all.V, b.Cells, all.D1, all.D2)
	fmt.Fprintf(s, "  a total of %d of them has standard deviation %.0f\n", b.Parts, math.Sqrt(all.V*float64(b.Parts)))
}

// notes say beside the figures of a question what they mean.
func (p *Published) notes(c *query) []string {
	d := p.l.def
	var notes []string
	switch {
	case d.Profile == gateway.Interactive:
		return append(c.notes(p.l), p.Notes()...)
	case d.Profile == gateway.Public:
		notes = p.publicNotes()
	case d.Standing.Mode == gateway.Exact:
		notes = exactNotes(p.head.Rules.ThresholdMin)
	default:
		notes = []string{
			"Noise was drawn for the finest cells only, and tables are sums of them: they add up, and a count has the variance of all its parts.",
			"Counts are not cut off at zero, which would bias every sum; small ones may be negative.",
			"Suppressed cells are small, zero, or nearly all of a larger group; which of these is never told. What is left of a total by subtraction has the noise of a finest cell at least.",
			completeNote,
		}
	}
	for i, sd := range c.set.Set {
		n := &p.l.dims[c.set.dims[i]]
		if n.Kind == gateway.Multi {
			notes = append(notes, fmt.Sprintf("A child can be in several codes of %s: counts of children do not add up to the total.", sd.Name))
		}
		if n.Omitted != "" {
			notes = append(notes, fmt.Sprintf("Code %s of %s is not published.", n.Omitted, sd.Name))
		}
	}
	return append(notes, p.Notes()...)
}

const completeNote = "Children for whom a dimension of these tables is not known are in none of them, so that parts make the whole."

func exactNotes(k int) []string {
	return []string{
		"Counts are exact. Suppressed cells are small, zero, nearly all of a larger group, or would give such a cell away by subtraction; which of these is never told.",
		fmt.Sprintf("All tables of the release were protected together, and audited: by linear programming over everything that they show, nobody can place a cell in need of protection within an interval narrower than %d, nor can a child or unit that alone is in a hidden cell.", k),
		completeNote,
	}
}

func (p *Published) publicNotes() []string {
	cost, epsilon, _ := p.Privacy()
	return []string{
		fmt.Sprintf("Differentially private: the whole release has rho %v (zero-concentrated), which is epsilon %.2f at delta %s for all that is known of one child. Releases of other years add to it.",
			cost.Rho, epsilon, p.l.def.Public.Delta),
		"Every count has discrete Gaussian noise of the stated variance, zeros too; nothing is hidden for being small.",
		"Counts are whole numbers without bias, not cut off at zero: small ones may be negative. Cut them off after adding up, never before.",
		"Tables do not add up exactly: each has noise of its own.",
	}
}
