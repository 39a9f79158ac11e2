package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// ratePer is what rates are per: 100,000 children (domain.md 3.1, I17).
const ratePer = 100_000

// A populace is the operator's numbers of children by codes of some dimensions. The
// project ships none: which estimate is right for which year is the statistics
// bureau's to say.
type populace struct {
	dimensions []string
	rows       []populaceRow
}

type populaceRow struct {
	codes    []string
	children float64
}

// readPopulation reads a CSV with a column for each of some dimensions, holding their
// codes, and one called population:
//
//	region,sex,population
//	10,F,104211
func readPopulation(file string) (*populace, error) {
	f, err := os.Open(filepath.Clean(file))
	if err != nil {
		return nil, usageError{fmt.Errorf("the population cannot be read: %s", file)}
	}
	defer func() { _ = f.Close() }()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil || len(lines) < 2 {
		return nil, usageError{fmt.Errorf("%s is no CSV with a header and numbers", file)}
	}
	at := slices.Index(lines[0], "population")
	if at < 0 {
		return nil, usageError{fmt.Errorf("%s has no column population", file)}
	}
	p := &populace{dimensions: slices.Delete(slices.Clone(lines[0]), at, at+1)}
	for i, line := range lines[1:] {
		n, err := strconv.ParseUint(line[at], 10, 32)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s, line %d: the population is not a whole number", file, i+2)}
		}
		codes := slices.Delete(slices.Clone(line), at, at+1)
		if slices.ContainsFunc(p.rows, func(r populaceRow) bool { return slices.Equal(r.codes, codes) }) {
			return nil, usageError{fmt.Errorf("%s, line %d: the same codes are there twice", file, i+2)}
		}
		p.rows = append(p.rows, populaceRow{codes, float64(n)})
	}
	return p, nil
}

// checked refuses a population that does not know the dimension that is asked for.
func (p *populace) checked(by string) error {
	if by != "" && !slices.Contains(p.dimensions, by) {
		return usageError{errors.New("the population has no column " + by)}
	}
	return nil
}

// children adds up the numbers of one code of a dimension, or all.
func (p *populace) children(by, group string) float64 {
	at, sum := slices.Index(p.dimensions, by), 0.0
	for _, r := range p.rows {
		if by == "" || at >= 0 && r.codes[at] == group {
			sum += r.children
		}
	}
	return sum
}
