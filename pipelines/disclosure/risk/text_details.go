package risk

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

func (p *Page) writeDetails(s *sheet) {
	s.title("Tables for specialists")
	p.writeSets(s)
	p.writeDepths(s)
	for i := range p.Rows {
		p.writeRowSets(s, &p.Rows[i])
	}
	p.writeIdentity(s)
}

func (s *sheet) table(head string, rows []string) {
	t := tabwriter.NewWriter(s, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "  "+head)
	for _, r := range rows {
		_, _ = fmt.Fprintln(t, "  "+r)
	}
	_ = t.Flush()
}

func (p *Page) writeSets(s *sheet) {
	s.line("")
	s.say("A. By grouping set: numbers, share hidden, of that by rule (too few, too close to the whole, to guard another; given from 100 numbers on), and share of the hidden "+
		"ones that can be narrowed down below %d (%s; given from 100 hidden numbers on).", p.Widths.K, p.Widths.Method)
	narrow := map[string]int{}
	for _, w := range p.Widths.Sets {
		narrow[w.Name] = w.Narrow
	}
	var rows []string
	for _, set := range p.Hidden.Sets {
		name := strings.ReplaceAll(set.Name, "|", ", ")
		if name == "" {
			name = "(total)"
		}
		if set.Gated {
			rows = append(rows, fmt.Sprintf("%s\t%d\tclosed", short(name), set.Cells))
			continue
		}
		row := fmt.Sprintf("%s\t%d\t%d %%", short(name), set.Cells, set.Hidden)
		if r := set.Rules; r != nil {
			row += fmt.Sprintf("\t%d/%d/%d", r.Small, r.Near, r.Remainder)
		} else {
			row += "\t-"
		}
		if n, known := narrow[set.Name]; known {
			row += fmt.Sprintf("\t%d %%", n)
		} else {
			row += "\t-"
		}
		rows = append(rows, row)
	}
	s.table("grouping set\tnumbers\thidden\tby rule\tnarrow", rows)
}

// short keeps names of grouping sets within the page.
func short(name string) string {
	const most = 56
	var parts []string
	for part := range strings.SplitSeq(name, ", ") {
		dim, level, _ := strings.Cut(part, "@")
		if level != "" && level != dim {
			dim += "@" + level
		}
		parts = append(parts, dim)
	}
	r := []rune(strings.Join(parts, " x "))
	if len(r) > most {
		r = append(r[:most-1], '…')
	}
	return string(r)
}

func (p *Page) writeDepths(s *sheet) {
	if p.Profile != "" {
		return
	}
	s.line("")
	s.say("B. The best linear attacker by how many attributes a number names: A, and the standard deviation sqrt(V/A) that is left. V is %s; this release needs %s or more.",
		plain(p.V), plain(p.Needed))
	var rows []string
	for _, a := range p.Attackers {
		rows = append(rows, fmt.Sprintf("%d\t%.3f\t%.2f", a.Dimensions, a.A, a.Deviation))
	}
	s.table("attributes\tA\tsd", rows)
}

func (p *Page) writeRowSets(s *sheet, r *Rows) {
	if !r.Told || len(r.Sets) == 0 {
		return
	}
	s.line("")
	text := fmt.Sprintf("C. %s, stored rows, the riskiest of %d sets of columns, shares in %%: smallest class; children alone, in classes below 3 and below %d; expected right guesses; "+
		"children whose class gives a sensitive value away (\"same\"; \"clear\": one value prevails).", r.Title.EN, len(r.Sets), p.K)
	if r.Left > 0 {
		text += fmt.Sprintf(" %d sets were left out: their code lists are too long.", r.Left)
	}
	s.say("%s", text)
	var rows []string
	sets := slices.DeleteFunc(slices.Clone(r.Sets), func(s RowSet) bool { return s.Below10 == 0 })
	sets = sets[:min(shownSets, len(sets))]
	if r.Together != nil {
		all := *r.Together
		all.Columns = []string{"all together"}
		sets = append([]RowSet{all}, sets...)
	}
	for _, set := range sets {
		doubt := "-\t-"
		if d := set.Doubt; d != nil {
			doubt = fmt.Sprintf("%d\t%d", d.Same, d.Clear)
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%d\t%d\t%d\t%d\t%s", short(strings.Join(set.Columns, ", ")), set.Smallest,
			set.Single, set.Below3, set.Below10, set.Guessed, doubt))
	}
	s.table("columns\tsmallest\talone\t<3\t<"+strconv.Itoa(p.K)+"\tguess\tsame\tclear", rows)
}

func (p *Page) writeIdentity(s *sheet) {
	s.line("")
	s.say("D. What this page is about.")
	s.line("  built       %s, from batches up to entry %d of the log", p.Built.UTC().Format(time.RFC3339), p.Snapshot)
	s.line("  numbers     %s", p.Cells)
	s.line("  definition  %s", p.Definition)
	s.line("  policies    %s", p.Policy)
}

func sd(v float64) float64 { return math.Sqrt(v) }

// plain writes a number with as many digits as mean something.
func plain(x float64) string {
	return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64)
}

// grouped writes a number with its thousands apart.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

func attributes(n int) string {
	if n == 1 {
		return "one attribute"
	}
	return fmt.Sprintf("%d attributes", n)
}

func things(n int) string {
	switch n {
	case 0:
		return "Nothing"
	case 1:
		return "One thing"
	}
	return fmt.Sprintf("%d things", n)
}
