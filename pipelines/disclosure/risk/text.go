package risk

import (
	"fmt"
	"io"
	"strings"

	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// width is the most columns of the page, so that it prints and fits a terminal.
const width = 100

// A sheet is a page in the making.
type sheet struct {
	strings.Builder
}

func (s *sheet) title(text string) {
	fmt.Fprintf(s, "\n%s\n%s\n", text, strings.Repeat("-", len([]rune(text))))
}

// say writes a paragraph.
func (s *sheet) say(format string, args ...any) {
	s.wrap("", "", fmt.Sprintf(format, args...))
}

// point writes an item of a list.
func (s *sheet) point(format string, args ...any) {
	s.wrap("  * ", "    ", fmt.Sprintf(format, args...))
}

// line writes text as it is: what is to be copied must not be broken.
func (s *sheet) line(format string, args ...any) {
	fmt.Fprintf(s, format+"\n", args...)
}

// wrap breaks a text into lines of at most width columns.
func (s *sheet) wrap(first, other, text string) {
	line, used := first, len([]rune(first))
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i > 0 && used+1+n > width:
			s.line("%s", line)
			line, used = other+word, len([]rune(other))+n
			continue
		case i > 0:
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	s.line("%s", line)
}

// WriteText writes the page for people: short sentences first, tables last. digest
// is that of the page's canonical bytes.
func (p *Page) WriteText(w io.Writer, digest string) error {
	s := &sheet{}
	s.line("RISK PAGE OF RELEASE %s", p.Release)
	s.line("")
	s.say("For the data protection officer. Read it from top to bottom before you approve; it takes five minutes, and the tables " +
		"for specialists come last. It holds no number of children. Shares are rounded to 5 %%, so \"0 %%\" means fewer than " +
		"1 in 40.")
	p.writeShort(s)
	p.writeAnswers(s)
	p.writeHidden(s)
	p.writeAttackers(s)
	p.writeTwin(s)
	p.writeRows(s)
	p.writeWatch(s)
	p.writeApproval(s, digest)
	p.writeDetails(s)
	_, err := io.WriteString(w, s.String())
	return err
}

// WriteShort writes the page's first part and what to look out for, where there is
// no room for more.
func (p *Page) WriteShort(w io.Writer) error {
	s := &sheet{}
	p.writePoints(s)
	_, err := io.WriteString(w, s.String())
	return err
}

func (p *Page) writeShort(s *sheet) {
	s.title("1. In short")
	p.writePoints(s)
}

func (p *Page) writePoints(s *sheet) {
	s.point("If you approve, researchers with a granted purpose can ask %s numbers about the events of %s to %s. Nothing else can be asked.",
		grouped(p.asked()), p.From, p.To)
	s.point("About %d %% of these numbers are hidden, because few children or none stand behind them.", p.hidden())
	if p.Profile == "" {
		s.point("Every other number is blurred on purpose. Whoever combines all of them is typically still wrong by %s children or more about any one of them.",
			plain(p.smallestDeviation()))
	}
	switch held := p.held(); {
	case p.Profile != "":
		p.writeProfilePoint(s)
	case p.Twin == nil:
		s.point("Attacks on invented children were NOT run for this release (section 5).")
	case held < len(p.Twin.Attacks):
		s.point("Of %d attacks on a copy with invented children %d got further than they should or prove nothing (section 5).", len(p.Twin.Attacks), len(p.Twin.Attacks)-held)
	default:
		s.point("%d attacks on a copy with invented children were tried; none got further than allowed (section 5).", held)
	}
	if worst, r := p.worstRows(); worst != nil {
		s.point("Researchers never see stored rows. Whoever got hold of those of %s, and knew %s of every child, would find %s of them alone (section 6).",
			r.Title.EN, names(worst.Columns), some(worst.Single))
	}
	s.point("%s to look out for: see section 7.", things(len(p.watch())))
}

func (p *Page) writeAnswers(s *sheet) {
	s.title("2. What the release answers")
	s.say("The release counts events from %s to %s. A question picks one of these subjects and splits it by some of the attributes named. "+
		"No list of children, no single record and no free text can be asked.", p.From, p.To)
	for _, c := range p.Cubes {
		var dims []string
		for _, d := range c.Dimensions {
			dims = append(dims, fmt.Sprintf("%s (%d)", strings.ToLower(d.Title.EN), d.Codes))
		}
		s.point("%s: counts %s; by %s; at most %s at once.", c.Title.EN, measures(c), strings.Join(dims, ", "), attributes(c.Cap))
	}
	s.say("The number in brackets is how many values an attribute can take.")
}

func measures(c Cube) string {
	var list []string
	for _, m := range c.Measures {
		list = append(list, string(m))
	}
	return strings.Join(list, " and ")
}

func (p *Page) writeHidden(s *sheet) {
	s.title("3. What is hidden, and why")
	s.say("Of all %s numbers about %d %% are hidden. A hidden number looks the same whatever the reason: the researcher cannot tell a small one from "+
		"a zero. The reasons are:", grouped(p.asked()), p.hidden())
	s.point("Too few. Fewer than %d children, or none. Up to %d may be hidden too: where exactly the line is, is secret for each number, so that nobody can test it.",
		p.K, p.K+9)
	s.point("From one place only. Where units such as schools are told apart, a number to which one unit brings nearly everybody tells about that unit.")
	s.point("Too close to the whole. \"All children of this group are …\" tells something about every one of them, so a number is hidden when nearly nobody is outside it.")
	s.point("To guard another. If just one number of a group were hidden, subtraction would give it away; a second one is then hidden with it.")
	switch n := p.gated(); {
	case n == 1:
		s.point("Too sparse. One table is closed as a whole, because most of its numbers would be hidden or small (table A names it). It is not among the %s.",
			grouped(p.asked()))
	case n > 1:
		s.point("Too sparse. %d tables are closed as a whole, because most of their numbers would be hidden or small (table A names them). They are not among the %s.",
			n, grouped(p.asked()))
	}
	s.say("By subject, of all numbers with those of closed tables (a table of two subjects is counted in both):")
	for _, c := range p.Hidden.Cubes {
		text := fmt.Sprintf("%s: %s numbers, about %d %% of them not shown", p.cubeTitle(c.Name), grouped(c.Cells), c.Hidden)
		if r := c.Rules; r != nil {
			text += " (" + rules(r) + ")"
		}
		if c.NotReported > 0 {
			text += fmt.Sprintf("; %s more are marked \"not reported\", because a sector's reports are incomplete", grouped(c.NotReported))
		}
		s.point("%s.", text)
	}
}

func rules(r *disclosure.RuleShares) string {
	text := fmt.Sprintf("too few %d %%, too close %d %%, to guard another %d %%", r.Small, r.Near, r.Remainder)
	if r.Unit > 0 {
		text += fmt.Sprintf(", nearly all from one unit %d %%", r.Unit)
	}
	if r.Gate > 0 {
		text += fmt.Sprintf(", in tables that are closed %d %%", r.Gate)
	}
	return text
}

// asked is how many numbers can be asked: those of the sets that are not closed.
func (p *Page) asked() int {
	n := 0
	for _, set := range p.Hidden.Sets {
		if !set.Gated {
			n += set.Cells
		}
	}
	return n
}

func (p *Page) gated() int {
	n := 0
	for _, set := range p.Hidden.Sets {
		if set.Gated {
			n++
		}
	}
	return n
}

func (p *Page) cubeTitle(id string) string {
	for _, c := range p.Cubes {
		if c.ID == id {
			return c.Title.EN
		}
	}
	return id
}

// hidden is the share over all cubes, weighted by their cells.
func (p *Page) hidden() int {
	part, cells := 0, 0
	for _, c := range p.Hidden.Sets {
		if !c.Gated {
			part, cells = part+c.Hidden*c.Cells, cells+c.Cells
		}
	}
	return step(float64(part)/100, float64(cells))
}

func (p *Page) smallestDeviation() float64 {
	least := 0.0
	for _, a := range p.Attackers {
		if a.Deviation > 0 && (least == 0 || a.Deviation < least) {
			least = a.Deviation
		}
	}
	return least
}

func (p *Page) writeAttackers(s *sheet) {
	s.title("4. What an attacker could do")
	if p.Profile != "" {
		p.writeProtection(s)
		return
	}
	s.say("Every number shown carries noise: it is typically off by about %s children, never by more than %d. The noise of a number is the same however "+
		"and whoever asks, so asking again gains nothing.", plain(sd(p.V)), p.Deviation)
	s.say("The same children are counted in several tables, so an attacker can combine numbers to reduce the noise. We computed what the best possible combination "+
		"achieves: about any single number such an attacker is still wrong by typically %s children or more. That is too much to tell whether one child is in it. "+
		"(The gateway refuses releases below 2.8; see table B.)", plain(p.smallestDeviation()))
	s.say("Can hidden numbers be fenced in by those shown around them? Of the hidden numbers %s can be narrowed down to a range of fewer than %d children%s.",
		some(p.Widths.Narrow), p.Widths.K, narrowly(p.Widths.Narrow))
	s.say("These figures hold for an attacker who knows only what is published. Somebody who knows almost all children of a group already can do better about the last one; " +
		"no table can be safe against that.")
}

func narrowly(percent int) string {
	if percent == 0 {
		return ""
	}
	return "; that such a number is small is then known, but not which of the possible ones it is"
}

func (p *Page) writeTwin(s *sheet) {
	s.title("5. How attacks went on invented children")
	if p.Profile != "" {
		s.say("The attacks are of another kind of release, and were not run. Section 4 says what holds for this one.")
		return
	}
	if p.Twin == nil {
		s.say("The attacks were not run for this release. Ask the steward to build it on a gateway that runs them, or judge by sections 3 and 4 alone.")
		return
	}
	s.say("To try real attacks without touching real children, the gateway invented %s children, built the same release over them and attacked it, knowing the true answers. "+
		"It says how this design of release fares, not how these children do. Each attack was repeated %d times with new noise; HELD means that it stayed within its limit "+
		"with 95 %% certainty.", grouped(p.Twin.Children), p.Twin.Keys)
	for _, a := range p.Twin.Attacks {
		verdict := "HELD"
		switch {
		case !a.Held:
			verdict = "NOT HELD"
		case !a.Working:
			verdict = "NO EVIDENCE (the attack fails on unprotected numbers too)"
		}
		s.point("%s. %s", verdict, a.Verdict)
	}
}

func (p *Page) held() int {
	held := 0
	if p.Twin != nil {
		for _, a := range p.Twin.Attacks {
			if a.Held && a.Working {
				held++
			}
		}
	}
	return held
}

func (p *Page) writeApproval(s *sheet, digest string) {
	s.title("8. What you approve")
	s.say("You approve this page, word for word, by its digest (a fingerprint: one changed letter gives another). The page holds the fingerprint of the %s "+
		"protected numbers, so those and no others are opened to questions. Approving changes no number. Whoever built the release cannot approve it.", grouped(p.asked()))
	s.line("")
	s.line("  pana release approve %s \\", p.Release)
	s.line("    --digest %s \\", digest)
	s.line("    --reason \"the risk page was read\"")
	s.line("")
	s.say("To refuse, write to the steward, or close the release for good: pana release withdraw %s --reason \"…\"", p.Release)
}
