package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// An indicator is read from published cells by whoever asks: the release pins its
// definition, and every table that it is made of is a question of its own, with its own
// leaf in the ledger.

// askIndicator asks for the tables of an indicator and puts them together.
func askIndicator(ctx context.Context, cl *client, release, id, by string, asked gateway.Purpose) (*gateway.Indicator, gateway.IndicatorTable, error) {
	var catalogue exchange.Catalogue
	err := cl.call(ctx, http.MethodGet, "/v1/releases/"+url.PathEscape(release), nil, &catalogue)
	if err != nil {
		return nil, gateway.IndicatorTable{}, err
	}
	d := catalogue.Pinned.Definition
	if d == nil || d.Indicator(id) == nil {
		return nil, gateway.IndicatorTable{}, usageError{fmt.Errorf("release %s has no indicator of that name; it has %s", release, indicatorNames(d))}
	}
	n := d.Indicator(id)
	if n.Shape == gateway.ShapeOperation {
		return nil, gateway.IndicatorTable{}, usageError{fmt.Errorf("indicator %s is of batches, not of children: pana release show %s", id, release)}
	}
	if by != "" && !slices.Contains(n.By, by) {
		return nil, gateway.IndicatorTable{}, usageError{fmt.Errorf("indicator %s is by %s, or in all", id, strings.Join(n.By, ", "))}
	}
	var tables []gateway.Table
	for _, q := range n.Asks(by) {
		var table gateway.Table
		err = cl.call(ctx, http.MethodPost, tablePath(release, q.Cube),
			tableQuestion{Measure: q.Measure, GroupBy: q.GroupBy, Filter: q.Filter, Purpose: asked}, &table)
		if err != nil {
			return nil, gateway.IndicatorTable{}, err
		}
		tables = append(tables, table)
	}
	read := n.Read(d.Dimension(by), tables)
	read.Linkable = catalogue.Pinned.Quality.Linkable(n.Linked...)
	return n, read, nil
}

func indicatorNames(d *gateway.Definition) string {
	if d == nil || len(d.Indicators) == 0 {
		return "none"
	}
	var names []string
	for _, n := range d.Indicators {
		names = append(names, n.ID)
	}
	return strings.Join(names, ", ")
}

// indicatorQuery is pana query --indicator.
type indicatorQuery struct {
	release, id, purpose, population string
	by                               []string
}

func (c *cli) queryIndicator(ctx context.Context, flags clientFlags, q indicatorQuery) error {
	if len(q.by) > 1 {
		return usageError{errors.New("an indicator is by one dimension, or in all")}
	}
	cl, err := flags.client()
	if err != nil {
		return err
	}
	n, table, err := askIndicator(ctx, cl, q.release, q.id, strings.Join(q.by, ""), gateway.Purpose(q.purpose))
	if err != nil {
		return err
	}
	if q.population != "" {
		err = rate(&table, q.population)
		if err != nil {
			return err
		}
	}
	return c.print(table, func(w io.Writer) error { return writeIndicator(w, n, &table) })
}

// writeIndicator draws an indicator: n, N, cannot tell and what follows from them.
func writeIndicator(w io.Writer, n *gateway.Indicator, t *gateway.IndicatorTable) error {
	_, err := fmt.Fprintf(w, "  %s\n", n.Definition.EN)
	if err != nil {
		return err
	}
	if t.By == "" {
		err = writeIndicatorParts(w, n, &t.Rows[0], t)
	} else {
		err = writeIndicatorRows(w, t)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "  linkable share %s; shares are of the children of whom it can be told; a share of %s is of hidden numbers\n", linkableText(t.Linkable), hiddenMark)
	return err
}

func linkableText(b gateway.ShareBand) string {
	if b == "" {
		return "not told"
	}
	return strings.Replace(string(b), "-", "–", 1) + " %"
}

// writeIndicatorParts draws one group: a line for the denominator, those of whom it
// cannot be told, and each part.
func writeIndicatorParts(w io.Writer, n *gateway.Indicator, row *gateway.IndicatorRow, t *gateway.IndicatorTable) error {
	tw := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	of := 1.0
	if row.Of.Value != nil {
		of = max(of, float64(*row.Of.Value))
	}
	_, _ = fmt.Fprintf(tw, "  %s\t%s\t\t%s\n", cmp.Or(t.Of.EN, "All"), cellText(row.Of), cellBar(row.Of, of))
	if row.CannotTell != nil {
		_, _ = fmt.Fprintf(tw, "  cannot tell\t%s\t\t%s\n", cellText(*row.CannotTell), strings.ReplaceAll(cellBar(*row.CannotTell, of), "█", "░"))
	}
	for i, cell := range row.Parts {
		_, _ = fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\n", t.Parts[i].EN, cellText(cell), shareText(row, i), cellBar(cell, of))
	}
	if row.Median != nil {
		_, _ = fmt.Fprintf(tw, "  median\t%s days\t\t\n", strconv.FormatFloat(*row.Median, 'f', -1, 64))
	} else if n.Shape == gateway.ShapeBands {
		_, _ = fmt.Fprintf(tw, "  median\tbeyond the last band, or of hidden numbers\t\t\n")
	}
	return tw.Flush()
}

func writeIndicatorRows(w io.Writer, t *gateway.IndicatorTable) error {
	tw := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	head := []string{"  ", "N", "cannot tell"}
	for _, p := range t.Parts {
		head = append(head, p.EN, "share")
	}
	if t.Population != nil {
		head = append(head, fmt.Sprintf("per %d", t.Population.Per))
	}
	_, _ = fmt.Fprintln(tw, strings.Join(head, "\t"))
	for i := range t.Rows {
		row := &t.Rows[i]
		line := []string{"  " + cmp.Or(row.Title.EN, row.Group), cellText(row.Of), "–"}
		if row.CannotTell != nil {
			line[2] = cellText(*row.CannotTell)
		}
		for j, cell := range row.Parts {
			line = append(line, cellText(cell), shareText(row, j))
		}
		if len(row.Rates) > 0 {
			line = append(line, rateText(row.Rates[0]))
		}
		_, _ = fmt.Fprintln(tw, strings.Join(line, "\t"))
	}
	return tw.Flush()
}

func shareText(row *gateway.IndicatorRow, i int) string {
	if row.Shares[i] == nil {
		return hiddenMark
	}
	return strconv.FormatFloat(*row.Shares[i]*100, 'f', 0, 64) + " %"
}

func rateText(r *float64) string {
	if r == nil {
		return hiddenMark
	}
	return strconv.FormatFloat(*r, 'f', 1, 64)
}

// demoIndicators are those that the demonstration reads, in the order of a story.
var demoIndicators = []string{"i1", "i3", "i7", "first_sign", "i8", "i4_social", "i6", "i5"}

// indicators has the researcher read what becomes of children.
func (d *demo) indicators(ctx context.Context) error {
	for _, id := range demoIndicators {
		n, table, err := askIndicator(ctx, d.keys["researcher"], string(d.result.Release.ID), id, "", purpose)
		if gated(err) {
			d.title("%s: %v", id, err)
			continue
		}
		if _, unknown := errors.AsType[usageError](err); unknown {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading indicator %s: %w", id, err)
		}
		d.title("%s (indicator %s)", n.Title.EN, n.ID)
		d.result.Indicators = append(d.result.Indicators, table)
		if d.c.asJSON {
			continue
		}
		err = writeIndicator(d.c.out, n, &table)
		if err != nil {
			return err
		}
	}
	return d.completeness(ctx)
}

// completeness shows which quarters were reported, from the agencies' registrations and
// never from rows.
func (d *demo) completeness(ctx context.Context) error {
	var coverage exchange.Coverage
	err := d.keys["steward"].call(ctx, http.MethodGet, "/v1/coverage", nil, &coverage)
	if err != nil {
		return err
	}
	d.title("Completeness of reporting (indicator i15): the last quarter reported without a gap")
	through := map[gateway.ContractID]map[gateway.Quarter]int{}
	var order []gateway.ContractID
	for _, h := range coverage.Horizons {
		if through[h.Contract] == nil {
			through[h.Contract] = map[gateway.Quarter]int{}
			order = append(order, h.Contract)
		}
		through[h.Contract][h.Through]++
	}
	for _, sector := range order {
		for q, regions := range through[sector] {
			d.line("%-10s through %s in %d regions", sector, cmp.Or(q.String(), "no quarter"), regions)
		}
	}
	return nil
}

// rate adds rates, with the operator's numbers of children.
func rate(t *gateway.IndicatorTable, file string) error {
	p, err := readPopulation(file)
	if err == nil {
		err = p.checked(t.By)
	}
	if err != nil {
		return err
	}
	t.Population = &gateway.PopulationNote{Source: file, Per: ratePer}
	for i := range t.Rows {
		row := &t.Rows[i]
		children := p.children(t.By, row.Group)
		for _, cell := range row.Parts {
			var r *float64
			if cell.Value != nil && children > 0 {
				value := float64(*cell.Value) * ratePer / children
				r = &value
			}
			row.Rates = append(row.Rates, r)
		}
	}
	return nil
}
