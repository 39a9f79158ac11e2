// Package series lays official statistics beside the gateway's answers, by code: the
// number that a statistics bureau publishes of a region, a sex or an age next to the
// number that a release has of the same, without a table made by hand.
//
// [Read] reads a series as Open SDG platforms publish it, [ReadAnswer] an answer in CSV,
// and [Laying.Beside] joins them by the crosswalks of configs. What is joined says how
// well the codes match, and which breaks lie between the year of the one and the window
// of the other (domain.md 2.8): an official number of a region that was divided since is
// of more than the region of today.
//
// It compares nothing and computes nothing. A survey's share and a register's count stay
// what they are, side by side.
package series

import (
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/output"
)

// The columns of Open SDG's data files that are no dimension.
const (
	columnYear  = "Year"
	columnUnit  = "UNIT_MEASURE"
	columnValue = "Value"
)

// maxLines bounds what is read of one file: both files are tables for people.
const maxLines = 1 << 20

// A Series is one file of official numbers.
type Series struct {
	Columns      []string // the dimensions, in the order of the file: REF_AREA, SEX, …
	Observations []Observation
}

// An Observation is one official number.
type Observation struct {
	Year  int
	Unit  string
	Codes []string // by column; "" is the total
	Value string   // as it was published
}

// Read reads a data file of an Open SDG platform: CSV with the columns Year and Value,
// and one for each dimension.
func Read(r io.Reader) (*Series, error) {
	rows, err := readAll(r)
	if err != nil {
		return nil, err
	}
	year, unit, value := slices.Index(rows[0], columnYear), slices.Index(rows[0], columnUnit), slices.Index(rows[0], columnValue)
	if year < 0 || value < 0 {
		return nil, gateway.Errorf(gateway.Invalid, "the series has no columns Year and Value")
	}
	s := &Series{}
	var at []int
	for i, name := range rows[0] {
		if i != year && i != unit && i != value {
			s.Columns, at = append(s.Columns, name), append(at, i)
		}
	}
	for i, row := range rows[1:] {
		o := Observation{Value: row[value]}
		o.Year, err = strconv.Atoi(row[year])
		if err != nil || o.Year < 1 || o.Year > 9999 {
			return nil, gateway.Errorf(gateway.Invalid, "line %d of the series: the year is none", i+2)
		}
		if unit >= 0 {
			o.Unit = row[unit]
		}
		for _, place := range at {
			o.Codes = append(o.Codes, row[place])
		}
		s.Observations = append(s.Observations, o)
	}
	return s, nil
}

// An Answer is a table as it was written in CSV.
type Answer struct {
	Release    gateway.ReleaseID
	Measure    gateway.Measure
	Dimensions []string // grouped, by name
	Cells      []Cell
}

// A Cell is one line of an answer.
type Cell struct {
	Nodes         []string // by dimension
	Status, Value string
}

// ReadAnswer reads an answer in the format csv. It needs a line: that of an answer
// without cells says of no release.
func ReadAnswer(r io.Reader) (*Answer, error) {
	rows, err := readAll(r)
	if err != nil {
		return nil, err
	}
	head := rows[0]
	status := slices.Index(head, "status")
	if len(rows) < 2 || status < 2 || head[0] != "release" || head[1] != "measure" || status+1 >= len(head) || head[status+1] != "value" {
		return nil, gateway.Errorf(gateway.Invalid, "the answer is not one that was written with --format csv, or has no cell")
	}
	a := &Answer{Release: gateway.ReleaseID(rows[1][0]), Measure: gateway.Measure(output.Unguard(rows[1][1]))}
	for _, name := range head[2:status] {
		name, _, _ = strings.Cut(output.Unguard(name), "@")
		a.Dimensions = append(a.Dimensions, name)
	}
	for _, row := range rows[1:] {
		c := Cell{Status: row[status], Value: row[status+1]}
		for _, code := range row[2:status] {
			c.Nodes = append(c.Nodes, output.Unguard(code))
		}
		a.Cells = append(a.Cells, c)
	}
	return a, nil
}

// readAll reads a CSV file whose lines are equally long. Errors name lines only.
func readAll(r io.Reader) ([][]string, error) {
	in := csv.NewReader(r)
	var rows [][]string
	for {
		row, err := in.Read()
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			return nil, gateway.Errorf(gateway.Invalid, "line %d is not CSV with as many cells as the header", parse.Line)
		}
		if err == io.EOF && len(rows) > 0 {
			return rows, nil
		}
		if err != nil || len(rows) == maxLines {
			return nil, gateway.Errorf(gateway.Invalid, "the file is empty, cannot be read or has more than %d lines", maxLines)
		}
		if len(rows) == 0 {
			row[0] = strings.TrimPrefix(row[0], "\ufeff")
		}
		rows = append(rows, row)
	}
}
