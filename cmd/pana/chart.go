package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/pana-exchange/pana/gateway"
)

// Charts of a table of one dimension in the terminal. All that they show is made of the
// published numbers, and a hidden cell stays hidden in each of them: no bar has a
// length, and nothing is a share of it.

// A chart is what pana query --chart draws.
type chart struct {
	kind   string   // bars, funnel, overlap, or "" for what fits
	stages []string // codes of a funnel, in their order; none: those of the answer
}

// flags adds the flags that fill in a chart.
func (ch *chart) flags(f *pflag.FlagSet) {
	f.StringVar(&ch.kind, "chart", "", "bars, funnel or overlap (of codes such as health+police); default: what fits")
	f.StringSliceVar(&ch.stages, "stages", nil, "codes of --chart funnel, in their order, with commas between them; default: all")
}

// check refuses a chart that there is not, and one of what is not drawn.
func (ch *chart) check(undrawn bool) error {
	switch {
	case undrawn && (ch.kind != "" || len(ch.stages) > 0):
		return usageError{errors.New("--chart is drawn on the screen: it goes without --format, -o and --json")}
	case !slices.Contains([]string{"", "bars", "funnel", "overlap"}, ch.kind):
		return usageError{errors.New("--chart is bars, funnel or overlap")}
	case len(ch.stages) > 0 && ch.kind != "funnel":
		return usageError{errors.New("--stages are of --chart funnel")}
	}
	return nil
}

// write draws a table as the chart that was asked for.
func (ch *chart) write(w io.Writer, t *gateway.Table) error {
	cells, err := ch.pick(t)
	if err != nil {
		return err
	}
	sd := 0.0
	if t.Measure == gateway.CountChildren { // that of records is larger, by what is not published
		sd = math.Sqrt(t.Variance)
	}
	switch {
	case ch.kind == "funnel":
		err = writeFunnel(w, stagesOf(cells), sd)
	case ch.kind == "overlap" || ch.kind == "" && overlaps(t):
		err = writeOverlap(w, cells)
	default:
		return writeTable(w, t, nil)
	}
	if err != nil {
		return err
	}
	return writeScale(w, t)
}

// pick returns the cells to draw: of a funnel its stages, in their order.
func (ch *chart) pick(t *gateway.Table) ([]gateway.Cell, error) {
	single := len(t.Dimensions) == 1
	switch {
	case (ch.kind == "funnel" || ch.kind == "overlap") && !single:
		return nil, usageError{fmt.Errorf("the chart %s is of one dimension: name it with --by, and the others with --where", ch.kind)}
	case ch.kind == "overlap" && !overlaps(t):
		return nil, usageError{errors.New("an overlap is of codes that are joined by +, such as those of the dimension pair")}
	case len(ch.stages) == 0:
		return t.Cells, nil
	}
	var cells []gateway.Cell
	for _, code := range ch.stages {
		i := slices.IndexFunc(t.Cells, func(c gateway.Cell) bool { return c.Nodes[0] == code })
		if i < 0 {
			return nil, usageError{fmt.Errorf("the answer has no code %q for --stages", code)}
		}
		cells = append(cells, t.Cells[i])
	}
	return cells, nil
}

// overlaps reports whether each code of a table stands for several others.
func overlaps(t *gateway.Table) bool {
	return len(t.Dimensions) == 1 && len(t.Cells) > 0 &&
		!slices.ContainsFunc(t.Cells, func(c gateway.Cell) bool { return !strings.Contains(c.Nodes[0], "+") })
}

// A stage is one of a funnel.
type stage struct {
	title string
	cell  gateway.Cell
}

func stagesOf(cells []gateway.Cell) []stage {
	all := make([]stage, len(cells))
	for i, c := range cells {
		all[i] = stage{c.Nodes[0], c}
	}
	return all
}

const chartWidth = 30

// writeFunnel draws stages one below the other, in the middle, each with its share of
// the first and of the one before. sd is the standard deviation of a count's noise,
// or 0 where it is not known.
func writeFunnel(w io.Writer, stages []stage, sd float64) error {
	largest := 1.0
	for _, s := range stages {
		largest = max(largest, size(s.cell))
	}
	tw := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(tw, "  \t\t\tof the first\tof the one before")
	for i, s := range stages {
		first, before := "", ""
		if i > 0 {
			first, before = shareOf(s.cell, stages[0].cell, sd), shareOf(s.cell, stages[i-1].cell, sd)
		}
		bar := int(size(s.cell)*chartWidth/largest + 1e-9)
		indent := (chartWidth - bar) / 2
		middle := strings.Repeat(" ", indent) + strings.Repeat("█", bar) + strings.Repeat(" ", chartWidth-bar-indent)
		_, _ = fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\n", s.title, cellText(s.cell), middle, first, before)
	}
	return tw.Flush()
}

// shareOf is a count's share of another, with the standard deviation that the noise of
// both gives it (disclosure.md 2.7, by the delta method): of published numbers alone.
func shareOf(part, whole gateway.Cell, sd float64) string {
	for _, c := range []gateway.Cell{part, whole} {
		switch c.Status {
		case gateway.StatusValue:
		case gateway.StatusSuppressed:
			return hiddenMark
		case gateway.StatusImpossible, gateway.StatusNotReported:
			return "–"
		}
	}
	if part.Value == nil || whole.Value == nil {
		return hiddenMark
	}
	of := float64(*whole.Value)
	if of <= 2*sd { // a share of so few is noise
		return hiddenMark
	}
	share := float64(*part.Value) / of
	if sd == 0 {
		return fmt.Sprintf("%.0f %%", 100*share)
	}
	return fmt.Sprintf("%.0f ± %.0f %%", 100*share, 100*sd*math.Sqrt(1+share*share)/of)
}

// writeOverlap draws what UpSet draws: a row for each combination, the largest first
// and hidden ones last, and a column for each set, with a dot where the set is in it.
func writeOverlap(w io.Writer, cells []gateway.Cell) error {
	var sets []string
	largest := 1.0
	for _, c := range cells {
		for set := range strings.SplitSeq(c.Nodes[0], "+") {
			if !slices.Contains(sets, set) {
				sets = append(sets, set)
			}
		}
		largest = max(largest, size(c))
	}
	sorted := slices.Clone(cells)
	slices.SortStableFunc(sorted, func(a, b gateway.Cell) int { return int(rank(b) - rank(a)) })
	var head strings.Builder
	for _, set := range sets {
		head.WriteString(set + "  ")
	}
	tw := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(tw, "  %s\t\t\n", strings.TrimRight(head.String(), " "))
	for _, c := range sorted {
		_, _ = fmt.Fprintf(tw, "  %s\t%s\t%s\n", dots(sets, strings.Split(c.Nodes[0], "+")), cellText(c), cellBar(c, largest))
	}
	return tw.Flush()
}

// rank orders cells for drawing: those without a number come last.
func rank(c gateway.Cell) float64 {
	if c.Value == nil && c.Estimate == nil {
		return -1
	}
	return math.Round(1000 * size(c))
}

// dots are a combination's line of the matrix: a dot below the first letter of each set
// that is in it, and a line from the first to the last.
func dots(sets, in []string) string {
	var line []rune
	at := map[int]bool{}
	first, last := -1, -1
	for _, set := range sets {
		if slices.Contains(in, set) {
			at[len(line)], last = true, len(line)
			if first < 0 {
				first = len(line)
			}
		}
		for range []rune(set + "  ") {
			line = append(line, ' ')
		}
	}
	for i := range line {
		switch {
		case at[i]:
			line[i] = '●'
		case i > first && i < last:
			line[i] = '─'
		}
	}
	return strings.TrimRight(string(line), " ")
}
