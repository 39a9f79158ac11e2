package risk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// shownSets is how many sets of columns a contract's table has: the riskiest.
const shownSets = 12

// worstRows is the set of one or two columns with most children alone, and its
// contract; nil where nothing is told.
func (p *Page) worstRows() (*RowSet, *Rows) {
	var worst *RowSet
	var of *Rows
	for i := range p.Rows {
		for j := range p.Rows[i].Sets {
			s := &p.Rows[i].Sets[j]
			if worst == nil || s.Single > worst.Single || s.Single == worst.Single && s.Below10 > worst.Below10 {
				worst, of = s, &p.Rows[i]
			}
		}
	}
	return worst, of
}

func (p *Page) writeRows(s *sheet) {
	s.title("6. What the stored rows look like")
	if p.Profile == gateway.Public {
		s.say("Left out on purpose: it would be computed from true counts. Of this release nothing beside the blurred numbers may depend on those, or the privacy budget would not tell all that it costs.")
		return
	}
	s.say("Researchers never see rows; a thief, a court or a dishonest operator might. Rows hold no name and no identifier, but attributes together can single out a child. "+
		"A class is all children who look alike to somebody who knows certain attributes of one event of theirs; the larger, the better. The aim is %d. "+
		"A child without a known value could be anybody, so it counts into every class that it may belong to.", p.K)
	for i := range p.Rows {
		p.writeContract(s, &p.Rows[i])
	}
	s.say("Days of events are stored shifted by a secret number per child and are left out here: nobody can match them.")
}

func (p *Page) writeContract(s *sheet, r *Rows) {
	if !r.Told {
		s.point("%s: fewer than %d children, too few to tell anything without telling of single ones.", r.Title.EN, MinChildren)
		return
	}
	if len(r.Sets) == 0 {
		s.point("%s: no attribute that others could know is stored.", r.Title.EN)
		return
	}
	worst := &r.Sets[0]
	if worst.Below10 == 0 {
		s.point("%s: whichever %d attributes are known, hardly any child is in a class of fewer than %d.", r.Title.EN, maxTogether, p.K)
	} else {
		text := fmt.Sprintf("%s: riskiest together are %s. Then %s of the children are in classes of fewer than %d, and %s alone.",
			r.Title.EN, names(worst.Columns), some(worst.Below10), p.K, some(worst.Single))
		if a := worst.Advice; a != nil {
			text += fmt.Sprintf(" What would help most: %s; then %s in such classes.", instead(a), are(a.Below10))
		}
		s.point("%s", text)
	}
	if d := worst.Doubt; d != nil && d.Same >= 5 {
		s.wrap("    ", "    ", fmt.Sprintf("%s in a class whose members all share one value of \"%s\": knowing the class tells it.", capital(are(d.Same)), readable(d.Column)))
	}
	if t := r.Together; t != nil {
		s.wrap("    ", "    ", fmt.Sprintf("Somebody who knew all %d attributes at once would find %s alone.", len(t.Columns), some(t.Single)))
	}
}

func instead(a *Advice) string {
	if a.Instead == dropped {
		return "not storing " + readable(a.Column)
	}
	return "storing " + readable(a.Column) + " as " + a.Instead
}

func readable(column string) string { return strings.ReplaceAll(column, "_", " ") }

// names lists columns as a person reads them.
func names(columns []string) string {
	words := slices.Clone(columns)
	for i, w := range words {
		words[i] = readable(w)
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// some is a share in words where words are clearer.
func some(percent int) string {
	switch percent {
	case 0:
		return "hardly any"
	case 100:
		return "nearly all"
	}
	return fmt.Sprintf("about %d %%", percent)
}

// are is a share that begins a sentence's verb.
func are(percent int) string {
	if percent == 0 {
		return "hardly any is"
	}
	return some(percent) + " are"
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// watch lists what an officer should look at twice, most serious first.
func (p *Page) watch() []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if p.Profile != "" {
		p.watchProfile(add)
	} else if p.Twin == nil {
		add("The attacks of section 5 were not run.")
	} else if n := len(p.Twin.Attacks) - p.held(); n > 0 {
		add("%s of section 5 got further than allowed or proved nothing: do not approve before somebody has explained it to you.", attacks(n))
	}
	if p.Widths.Narrow > 0 {
		add("About %d %% of the hidden numbers can be narrowed down to fewer than %d children (table A says in which tables).", p.Widths.Narrow, p.Widths.K)
	}
	for _, r := range p.Reports {
		switch {
		case r.Complete == 0:
			add("%s: no quarter is completely reported. What depends on it is marked \"not reported\" or \"cannot tell\".", r.Title.EN)
		case r.Complete < r.Places:
			add("%s: reports are incomplete for some regions and quarters. Silence there does not mean that nothing happened.", r.Title.EN)
		}
	}
	for _, c := range p.Hidden.Cubes {
		hidden := c.Hidden
		if c.Rules != nil {
			hidden -= c.Rules.Gate // closed tables are not asked
		}
		if hidden >= 50 {
			add("%s: half of the numbers or more are hidden. The subject is cut too fine for so few children: of little use, and close to what can be guessed.", p.cubeTitle(c.Name))
		}
	}
	for i := range p.Rows {
		if r := &p.Rows[i]; len(r.Sets) > 0 && r.Sets[0].Single >= 5 {
			add("%s: about %d %% of the children stand alone in the stored rows by %s. Coarser storage is a matter of the ingest policies.",
				r.Title.EN, r.Sets[0].Single, names(r.Sets[0].Columns))
		}
	}
	if p.V < p.Needed*1.02 {
		add("The noise is hardly more than the least that this release needs: a further table would need more.")
	}
	if p.Notice != "" {
		add("About the policies: %s.", strings.TrimSuffix(p.Notice, "."))
	}
	return list
}

func (p *Page) writeWatch(s *sheet) {
	s.title("7. What to look out for")
	list := p.watch()
	for _, text := range list {
		s.point("%s", text)
	}
	if len(list) == 0 {
		s.say("Nothing stands out.")
	}
}

func attacks(n int) string {
	if n == 1 {
		return "One attack"
	}
	return fmt.Sprintf("%d attacks", n)
}
