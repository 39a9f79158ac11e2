package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/output"
)

func (c *cli) queryCommand() *cobra.Command {
	var flags clientFlags
	var release, cube, measure, purpose, format, keep, out, indicator, population string
	var groupBy, where []string
	var drawn chart
	command := &cobra.Command{
		Use:   "query --release R (--cube C [--where DIM=CODE]… | --indicator I) [--by DIM]…",
		Short: "Ask a release a question (researchers)",
		Long: `Ask for a table: a measure, grouped by dimensions, below a filter. A cell names at
most four dimensions, filters included. Hidden cells are shown as ··: they may be
small, zero, or too near to their total, and it is never said which.

Measures are children and records; VALUE.sum and VALUE.mean of a number that the
release adds up, where its sector is named; and, made of published counts,
DIM.median, DIM.p25 and any other percentage of a dimension of ages, DIM.share of a
code in what is above it, and DIM.jaccard of a pair of sectors. Their standard
deviation stands beside them; a refusal lists what a cube measures.`,
		Example: `  pana query --release demo-1 --cube pathways --by region --by reached --purpose policy-evaluation
  pana query --release demo-1 --indicator i3 --by region --purpose policy-evaluation
  pana query --release demo-1 --cube pathways --measure age_first.median --by first_sector --purpose policy-evaluation
  pana query --release demo-1 --cube pathways --by region --where sector=police --where sex=F --purpose policy-evaluation --format csv`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if indicator != "" {
				return c.queryIndicator(cmd.Context(), flags, indicatorQuery{release, indicator, purpose, population, groupBy})
			}
			q, err := question(measure, purpose, groupBy, where)
			if err != nil {
				return err
			}
			as, err := c.answerFormat(cmd, format, out)
			if err == nil {
				err = drawn.check(c.asJSON || as != output.JSON || out != "")
			}
			if err != nil {
				return err
			}
			cl, err := flags.client()
			if err != nil {
				return err
			}
			body, header, err := cl.raw(cmd.Context(), tablePath(release, cube), q, as.MediaType())
			if file := cmp.Or(keep, out); err == nil && file != "" {
				err = keepEvidence(file, body, header)
			}
			if err != nil {
				return err
			}
			if out != "" {
				return c.kept(out, as)
			}
			if as != output.JSON { // the gateway's own bytes: the ledger has their digest
				_, err = c.out.Write(body)
				return err
			}
			var t gateway.Table
			if json.Unmarshal(body, &t) != nil {
				return errors.New("the gateway's answer is not the JSON that this version reads")
			}
			return c.print(t, func(w io.Writer) error { return writeAnswer(w, &t, &drawn) })
		},
	}
	flags.add(command)
	f := command.Flags()
	f.StringVar(&release, "release", "", "release to ask, such as demo-1")
	f.StringVar(&cube, "cube", "", "cube of the release, such as pathways")
	f.StringVar(&measure, "measure", string(gateway.CountChildren), "children, records, or a statistic such as age_first.median")
	f.StringVar(&purpose, "purpose", "", "purpose for which you ask; one that your key was granted")
	f.StringArrayVar(&groupBy, "by", nil, "dimension, or dimension@level, to group by; may be repeated")
	f.StringArrayVar(&where, "where", nil, "DIMENSION=CODE to filter by; may be repeated")
	drawn.flags(f)
	f.StringVar(&format, "format", "table", formatNames())
	f.StringVarP(&out, "out", "o", "", "file for the answer, in the format that its ending names, such as table.sdmx.csv; what proves it is kept beside")
	f.StringVar(&keep, "keep", "", "file for the answer as it came; what proves it is kept beside, for pana audit answer")
	f.StringVar(&indicator, "indicator", "", "indicator of the release, such as i3, in place of a cube: n, N, cannot tell")
	f.StringVar(&population, "population", "", "CSV of numbers of children by codes (region,sex,population), for rates of an indicator per 100,000")
	require(command, "release")
	command.MarkFlagsOneRequired("cube", "indicator")
	for _, flag := range []string{"cube", "where", "measure", "keep", "out", "format", "chart", "stages"} {
		command.MarkFlagsMutuallyExclusive("indicator", flag)
	}
	return command
}

// tableQuestion is the body of a question over HTTP.
type tableQuestion struct {
	Measure gateway.Measure   `json:"measure"`
	GroupBy []string          `json:"group_by,omitempty"`
	Filter  map[string]string `json:"filter,omitempty"`
	Purpose gateway.Purpose   `json:"purpose,omitempty"`
}

func question(measure, purpose string, groupBy, where []string) (tableQuestion, error) {
	q := tableQuestion{Measure: gateway.Measure(measure), GroupBy: groupBy, Filter: map[string]string{}, Purpose: gateway.Purpose(purpose)}
	for _, w := range where {
		name, code, ok := strings.Cut(w, "=")
		if _, doubled := q.Filter[name]; !ok || doubled {
			return q, usageError{errors.New("--where is DIMENSION=CODE, each dimension once")}
		}
		q.Filter[name] = code
	}
	return q, nil
}

func tablePath(release, cube string) string {
	return "/v1/releases/" + url.PathEscape(release) + "/cubes/" + url.PathEscape(cube) + "/table"
}

// writeAnswer draws a table and says what goes with it: notes on what was counted,
// and whose policies are in force.
func writeAnswer(w io.Writer, t *gateway.Table, drawn *chart) error {
	err := drawn.write(w, t)
	if err != nil {
		return err
	}
	for _, note := range t.Notes {
		_, err = fmt.Fprintf(w, "  %s\n", note)
		if err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(w, "  policies %s\n", t.Policy)
	return err
}

// hiddenMark stands for a cell that is not shown.
const hiddenMark = "··"

// writeTable draws a table, with a bar for each published value or, over two
// dimensions, as a grid, and says below what the numbers are. title returns the
// label of a code; nil shows codes.
func writeTable(w io.Writer, t *gateway.Table, title func(dimension, code string) string) error {
	if title == nil {
		title = func(_, code string) string { return code }
	}
	var err error
	if len(t.Dimensions) == 2 {
		err = writeGrid(w, t, title)
	} else {
		err = writeBars(w, t, title)
	}
	if err != nil {
		return err
	}
	return writeScale(w, t)
}

// writeScale says what the numbers of a table are.
func writeScale(w io.Writer, t *gateway.Table) error {
	if slices.ContainsFunc(t.Cells, func(c gateway.Cell) bool { return c.Estimate != nil }) {
		_, err := fmt.Fprintf(w, "  %s, made of published numbers; ± standard deviation of their noise; %s = hidden (small, zero, near its total, or made of too few)\n",
			t.Measure, hiddenMark)
		return err
	}
	more := ""
	if t.Measure == gateway.CountRecords {
		more = ", more where children have several records"
	}
	_, err := fmt.Fprintf(w, "  %s; standard deviation of a value %.1f%s; values are multiples of %d; %s = hidden (small, zero or near its total)\n",
		t.Measure, math.Sqrt(t.Variance), more, t.Base, hiddenMark)
	return err
}

func writeBars(w io.Writer, t *gateway.Table, title func(dimension, code string) string) error {
	largest := 1.0
	if slices.ContainsFunc(t.Cells, func(c gateway.Cell) bool { return c.Estimate != nil }) {
		largest = 1e-9
	}
	for _, cell := range t.Cells {
		largest = max(largest, size(cell))
	}
	tw := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, cell := range t.Cells {
		labels := make([]string, len(cell.Nodes))
		for i, code := range cell.Nodes {
			labels[i] = title(t.Dimensions[i], code)
		}
		_, _ = fmt.Fprintf(tw, "  %s\t%s\t%s\n", strings.Join(labels, "\t"), cellText(cell), cellBar(cell, largest))
	}
	return tw.Flush()
}

// writeGrid draws the first dimension down and the second across.
func writeGrid(w io.Writer, t *gateway.Table, title func(dimension, code string) string) error {
	var rows, columns []string
	at := map[[2]string]gateway.Cell{}
	for _, cell := range t.Cells {
		row, column := cell.Nodes[0], cell.Nodes[1]
		if !slices.Contains(rows, row) {
			rows = append(rows, row)
		}
		if !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
		at[[2]string{row, column}] = cell
	}
	tw := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	line := []string{"  "}
	for _, column := range columns {
		line = append(line, title(t.Dimensions[1], column))
	}
	_, _ = fmt.Fprintln(tw, strings.Join(line, "\t"))
	for _, row := range rows {
		line := []string{"  " + title(t.Dimensions[0], row)}
		for _, column := range columns {
			line = append(line, cellText(at[[2]string{row, column}]))
		}
		_, _ = fmt.Fprintln(tw, strings.Join(line, "\t"))
	}
	return tw.Flush()
}

func cellText(cell gateway.Cell) string {
	switch cell.Status {
	case gateway.StatusValue:
		if cell.Estimate != nil && cell.SD != nil {
			return cell.Estimate.String() + " ± " + cell.SD.String()
		}
		return strconv.FormatInt(*cell.Value, 10)
	case gateway.StatusImpossible:
		return "0 (impossible)"
	case gateway.StatusNotReported:
		return "not reported"
	case gateway.StatusSuppressed:
	}
	return hiddenMark
}

// size is how large a cell is drawn; a sum below zero is not.
func size(cell gateway.Cell) float64 {
	switch {
	case cell.Value != nil:
		return max(0, float64(*cell.Value))
	case cell.Estimate != nil:
		return max(0, cell.Estimate.Float())
	}
	return 0
}

func cellBar(cell gateway.Cell, largest float64) string {
	const width = 30
	return strings.Repeat("█", int(size(cell)*width/largest+1e-9))
}
