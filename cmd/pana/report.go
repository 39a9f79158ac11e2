package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines"
)

// reportFlags say how a report is written. They are those of a check and of an
// upload, whose reports of one file are the same bytes.
type reportFlags struct {
	lang  string
	asCSV bool
}

func (f *reportFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.lang, "lang", "en", "language of the report's messages: kk, ru or en")
	flags.BoolVar(&f.asCSV, "csv", false, "print the report as CSV")
}

// describe says what a problem code means in a language.
func describe(code gateway.ProblemCode, lang string) string {
	if message := configs.Message(code, lang); message != "" {
		return message
	}
	return pipelines.Describe(string(code))
}

// printReport prints a report that has its messages: as JSON, as CSV or as a table.
func (c *cli) printReport(r *gateway.Report, f reportFlags) error {
	if f.asCSV {
		return writeReportCSV(c.out, r)
	}
	return c.print(r, func(w io.Writer) error { return writeFileReport(w, r) })
}

// writeReportCSV writes a line a group and a line a detail. Nothing in it comes
// from a cell, so nothing in it is a formula.
func writeReportCSV(w io.Writer, r *gateway.Report) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"severity", "line", "column", "code", "count", "message"})
	for _, part := range []struct {
		name   string
		groups []gateway.ProblemGroup
	}{{"error", r.Errors}, {"warning", r.Warnings}} {
		for _, g := range part.groups {
			_ = out.Write([]string{part.name, strconv.Itoa(g.Line), string(g.Field), string(g.Code), strconv.Itoa(g.Count), g.Message})
		}
	}
	for _, e := range r.Details {
		_ = out.Write([]string{"detail", strconv.Itoa(e.Line), string(e.Field), string(e.Code), "1", ""})
	}
	out.Flush()
	return out.Error()
}

// most is how many details a person is shown.
const most = 20

// writeFileReport writes a report for people: groups first, then the first places.
func writeFileReport(w io.Writer, r *gateway.Report) error {
	_, _ = fmt.Fprintf(w, "%d records, %d with problems\n", r.Records, r.Refused)
	if r.ReadAs != nil {
		_, _ = fmt.Fprintf(w, "read as %s\n", readAs(r.ReadAs))
	}
	if l := r.Linkage; l != nil {
		_, _ = fmt.Fprintf(w, "linked: %d by number (%d disagree with its date or sex), %d by name, %d not\n",
			l.Identified, l.Disagreeing, l.Fallback, l.Unlinkable)
	}
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, part := range []struct {
		name   string
		groups []gateway.ProblemGroup
	}{{"error", r.Errors}, {"warning", r.Warnings}} {
		for _, g := range part.groups {
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%d times, first at line %d\t%s\n", part.name, g.Field, g.Code, g.Count, g.Line, g.Message)
		}
	}
	for i, e := range r.Details {
		if i == most {
			break
		}
		_, _ = fmt.Fprintf(t, "  line %d\t%s\t%s\n", e.Line, e.Field, e.Code)
	}
	err := t.Flush()
	if more := r.Omitted + max(0, len(r.Details)-most); more > 0 && err == nil {
		_, err = fmt.Fprintf(w, "  … and %d more\n", more)
	}
	return err
}

// readAs says in one line how a file was read.
func readAs(d *gateway.Dialect) string {
	words := []string{string(d.Format)}
	for _, word := range []string{string(d.Compression), d.Encoding, d.Separator, d.Lines} {
		if word != "" {
			words = append(words, word)
		}
	}
	if d.BOM {
		words = append(words, "byte order mark")
	}
	if d.Sheet > 0 {
		words = append(words, "sheet "+strconv.Itoa(d.Sheet))
	}
	if len(d.Dates) > 0 {
		words = append(words, "dates "+strings.Join(d.Dates, " and "))
	}
	if named := namedBy(d.Columns); named != "" {
		words = append(words, "columns by "+named)
	}
	if d.Mapping != "" {
		words = append(words, "mapping "+d.Mapping[:12]+"…")
	}
	if len(d.Mapped) > 0 {
		words = append(words, fmt.Sprintf("codes of %d columns by the mapping", len(d.Mapped)))
	}
	return strings.Join(words, ", ")
}

// namedBy says by which names the columns are called, where not all are called by the
// names of their fields.
func namedBy(columns []gateway.ReadColumn) string {
	var names []string
	for _, c := range columns {
		if !slices.Contains(names, c.Named) {
			names = append(names, c.Named)
		}
	}
	if len(names) == 0 || len(names) == 1 && names[0] == "field" {
		return ""
	}
	slices.Sort(names)
	return strings.Join(names, " and ")
}

// writeProblems lists row problems: where, which rule, and what the rule says.
func writeProblems(w io.Writer, list []gateway.RowError, omitted int) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, e := range list {
		_, _ = fmt.Fprintf(t, "  line %d\t%s\t%s\t%s\n", e.Line, e.Field, e.Code, pipelines.Describe(string(e.Code)))
	}
	err := t.Flush()
	if omitted > 0 && err == nil {
		_, err = fmt.Fprintf(w, "  … and %d more\n", omitted)
	}
	return err
}
