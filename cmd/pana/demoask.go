package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A demoQuestion is one question of the demonstration.
type demoQuestion struct {
	title string
	cube  string
	tableQuestion
}

var demoQuestions = []demoQuestion{
	{
		"Children known to the police and not reached by social services within 30 days, by region",
		"pathways",
		tableQuestion{Measure: gateway.CountChildren, GroupBy: []string{"region"}, Filter: map[string]string{"reached": "no"}},
	},
	{
		// Of the girls alone there are too few in most regions: see untold.
		"The same for those who were 10 to 14 at their first event",
		"pathways",
		tableQuestion{
			Measure: gateway.CountChildren, GroupBy: []string{"region"},
			Filter: map[string]string{"reached": "no", "age_first": "Y10T14"},
		},
	},
	{
		"Which sectors see children, by sex",
		"pathways",
		tableQuestion{Measure: gateway.CountChildren, GroupBy: []string{"sector", "sex"}},
	},
	{
		"Records about children, by sector and quarter",
		"volume",
		tableQuestion{Measure: gateway.CountRecords, GroupBy: []string{"sector", "quarter"}},
	},
	{
		"Median age at the first event, by the sector that saw it: made of published counts alone",
		"pathways",
		tableQuestion{Measure: "age_first.median", GroupBy: []string{"first_sector"}},
	},
}

// ask has the researcher ask the questions.
func (d *demo) ask(ctx context.Context) error {
	d.title("A researcher asks")
	for _, q := range demoQuestions {
		table, err := d.table(ctx, q)
		d.title("%s", q.title)
		if gated(err) {
			d.line("%v", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("asking %q: %w", q.title, err)
		}
		d.result.Tables = append(d.result.Tables, table)
		if d.c.asJSON {
			continue
		}
		err = writeTable(d.c.out, &table, d.titles())
		if err != nil {
			return err
		}
	}
	return nil
}

// gated reports whether a question is refused because the country has too few
// children for it: the rule at work, not a fault of the demonstration.
func gated(err error) bool {
	refusal, ok := errors.AsType[*problem](err)
	return ok && refusal.Status == http.StatusConflict && strings.HasSuffix(refusal.Type, ":withheld")
}

func (d *demo) table(ctx context.Context, q demoQuestion) (gateway.Table, error) {
	q.Purpose = purpose
	var table gateway.Table
	err := d.keys["researcher"].call(ctx, http.MethodPost, tablePath(string(d.result.Release.ID), q.cube), q.tableQuestion, &table)
	return table, err
}

// titles labels codes in English, from the definition that the release pins.
func (d *demo) titles() func(dimension, code string) string {
	definition, err := definition("demo")
	return func(name, code string) string {
		if err != nil || definition.Dimension(name) == nil {
			return code
		}
		node := definition.Dimension(name).Node(code)
		if node == nil || node.Title.EN == "" {
			return code
		}
		return node.Title.EN
	}
}

// untold shows what a researcher is not told.
func (d *demo) untold(ctx context.Context) error {
	d.title("What a researcher is not told")
	hidden := 0
	for _, t := range d.result.Tables {
		for _, cell := range t.Cells {
			if cell.Status == gateway.StatusSuppressed {
				hidden++
			}
		}
	}
	d.line("%d cells above are hidden: small, zero, or too near to their total; never which", hidden)
	err := d.askAgain(ctx)
	if err != nil {
		return err
	}
	girls := demoQuestions[1]
	girls.Filter = map[string]string{"sex": "F"}
	maps.Copy(girls.Filter, demoQuestions[1].Filter)
	_, err = d.table(ctx, girls)
	switch {
	case gated(err):
		d.line("the girls of 10 to 14 alone, by region: %v", err)
	case err != nil:
		return err
	}
	deep := demoQuestion{cube: "pathways", tableQuestion: tableQuestion{
		Measure: gateway.CountChildren, GroupBy: []string{"region", "sex", "age_first", "first_sector", "reached"},
	}}
	_, err = d.table(ctx, deep)
	refusal, ok := errors.AsType[*problem](err)
	if !ok || refusal.Status >= http.StatusInternalServerError {
		return errors.Join(errors.New("a question of five dimensions was not refused"), err)
	}
	d.line("five dimensions at once: %s", refusal.Detail)
	return nil
}

// askAgain repeats the first question that was answered.
func (d *demo) askAgain(ctx context.Context) error {
	if len(d.result.Tables) == 0 {
		return nil
	}
	first := d.result.Tables[0]
	for _, q := range demoQuestions {
		again, err := d.table(ctx, q)
		if gated(err) {
			continue
		}
		if err != nil {
			return err
		}
		if !sameTable(again, first) {
			return errors.New("the same question gave another answer")
		}
		d.line("the same question again: the same bytes, so there is nothing to average")
		return nil
	}
	return errors.New("a question that was answered is refused")
}

func sameTable(a, b gateway.Table) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// count adds a receipt to the result.
func (d *demo) count(receipt []byte) (gateway.Receipt, error) {
	var r gateway.Receipt
	err := json.Unmarshal(receipt, &r)
	if err != nil {
		return r, errors.New("the receipt is not one that this version reads")
	}
	d.result.In += r.Records
	d.result.Stored += r.Stored
	d.result.Refused += r.Refused
	d.result.Receipts = append(d.result.Receipts, r.Batch)
	return r, nil
}

// countLines counts the records of a synthetic file, which has no line breaks
// inside its cells.
func countLines(path string) (int, error) {
	f, err := os.Open(path) //nolint:gosec // the demonstration wrote it
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := -1 // the header
	for lines.Scan() {
		n++
	}
	return n, lines.Err()
}
