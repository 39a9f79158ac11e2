package redteam

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// A Report is what a run came to.
type Report struct {
	Keys     int       `json:"keys"`
	Seed     uint64    `json:"seed"`
	Passed   bool      `json:"passed"`
	Missed   []string  `json:"missed"` // bars that the default misses
	Broken   []string  `json:"broken"` // attacks that do not break their control
	Sections []Section `json:"populations"`
}

// A Section is one population.
type Section struct {
	Population string `json:"population"`
	Children   int    `json:"children,omitempty"`
	Cells      int    `json:"cells,omitempty"` // published
	Rows       []Row  `json:"rows"`
}

// A Row is one measure of one attack. A figure that makes no sense for a protection
// is left out.
type Row struct {
	Attack     string    `json:"attack"`
	Measure    string    `json:"measure"`
	None       *Figure   `json:"none,omitempty"`
	Rounded    *Figure   `json:"ons_10_5,omitempty"`
	Single     *Figure   `json:"single_layer,omitempty"`
	Default    *Figure   `json:"default,omitempty"`
	Baseline   *Figure   `json:"baseline,omitempty"`
	Difference *Figure   `json:"default_less_baseline,omitempty"`
	Bar        string    `json:"bar,omitempty"` // "" only informs
	Met        bool      `json:"met"`
	Controls   []Control `json:"controls,omitempty"`
}

// A Control is what came of an attack on a protection that it must break.
type Control struct {
	Protection string  `json:"protection"`
	Bar        string  `json:"bar"`
	Figure     *Figure `json:"figure,omitempty"`
	Broken     bool    `json:"found"` // the attack found the weakness
}

// judge collects what is missed and what is broken.
func (r *Report) judge() {
	r.Missed, r.Broken = []string{}, []string{}
	for _, s := range r.Sections {
		for _, row := range s.Rows {
			name := s.Population + ": " + row.Attack + ", " + row.Measure
			if !row.Met {
				r.Missed = append(r.Missed, name)
			}
			for _, c := range row.Controls {
				if !c.Broken {
					r.Broken = append(r.Broken, name+", on "+c.Protection)
				}
			}
		}
	}
	r.Passed = len(r.Missed)+len(r.Broken) == 0
}

// WriteText writes the report as tables for people.
func (r *Report) WriteText(w io.Writer) error {
	for _, s := range r.Sections {
		err := s.writeText(w)
		if err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%d noise keys, seed %d; a figure is the mean over keys ± half its 95 %% interval\n", r.Keys, r.Seed)
	for _, list := range []struct {
		what  string
		names []string
	}{{"bar missed", r.Missed}, {"attack broken", r.Broken}} {
		for _, name := range list.names {
			if err == nil {
				_, err = fmt.Fprintf(w, "%s: %s\n", list.what, name)
			}
		}
	}
	return err
}

func (s *Section) writeText(w io.Writer) error {
	title := s.Population
	if s.Children > 0 {
		title = fmt.Sprintf("%s: %d children, %d published cells", s.Population, s.Children, s.Cells)
	}
	_, err := fmt.Fprintf(w, "%s\n", title)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "  attack\tmeasure\tnone\t10-5\tsingle\tdefault\tbaseline\tbar\t\tcontrols") // the error comes with Flush
	for _, r := range s.Rows {
		verdict := "met"
		switch {
		case !r.Met:
			verdict = "MISSED"
		case r.Bar == "":
			verdict = ""
		}
		_, _ = fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Attack, r.Measure,
			r.None, r.Rounded, r.Single, r.Default, r.Baseline, r.Bar, verdict, r.controls())
	}
	_, _ = fmt.Fprintln(t)
	return t.Flush()
}

func (r *Row) controls() string {
	var parts []string
	for _, c := range r.Controls {
		verdict := "found"
		if !c.Broken {
			verdict = "NOT FOUND"
		}
		parts = append(parts, fmt.Sprintf("%s %s %s: %s", c.Protection, c.Figure, c.Bar, verdict))
	}
	return strings.Join(parts, "; ")
}

// String writes "0.071 ±0.012", without an interval for one key, "-" for none.
func (f *Figure) String() string {
	switch {
	case f == nil:
		return "-"
	case f.High == f.Low:
		return fmt.Sprintf("%.3f", f.Mean)
	default:
		return fmt.Sprintf("%.3f ±%.3f", f.Mean, f.High-f.Mean)
	}
}

// Verdict is the report in a line.
func (r *Report) Verdict() string {
	return fmt.Sprintf("%d bars missed, %d attacks broken", len(r.Missed), len(r.Broken))
}
