package output

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A column is one of a table as Parquet and Arrow have it: of texts, none missing, or
// of numbers, nil where a cell has none.
type column struct {
	name    string
	texts   []string
	numbers []*float64
}

// ofCells are the columns that every table has; a dimension by the name of one gets
// "dim_" before it.
var ofCells = []string{"status", "value", "noise_sd"}

// framed is the table by columns, with what goes beside them.
func (d *Document) framed() ([]column, []pair, error) {
	columns, err := d.columns()
	if err != nil {
		return nil, nil, err
	}
	meta, err := d.metadata()
	return columns, meta, err
}

// columns are the table by columns: one of text for each dimension, the status, and
// the value and the standard deviation of its noise. Counts are doubles too, so that
// tables of counts and of statistics can be laid together.
func (d *Document) columns() ([]column, error) {
	all := make([]column, 0, len(d.Table.Dimensions)+len(ofCells))
	for i, name := range d.Table.Dimensions {
		if slices.Contains(ofCells, name) {
			name = "dim_" + name
		}
		c := column{name: name, texts: []string{}}
		for _, cell := range d.Table.Cells {
			c.texts = append(c.texts, strings.ToValidUTF8(cell.Nodes[i], "\ufffd"))
		}
		all = append(all, c)
	}
	status, value, noise := column{name: ofCells[0], texts: []string{}}, column{name: ofCells[1]}, column{name: ofCells[2]}
	for _, cell := range d.Table.Cells {
		v, err := parsed(d.figure(cell).value)
		if err != nil {
			return nil, err
		}
		sd, err := parsed(d.deviation(cell))
		if err != nil {
			return nil, err
		}
		status.texts = append(status.texts, string(cell.Status))
		value.numbers, noise.numbers = append(value.numbers, v), append(noise.numbers, sd)
	}
	return append(all, status, value, noise), nil
}

// parsed reads a number as the other formats spell it, so that all say the same.
func parsed(text string) (*float64, error) {
	if text == "" {
		return nil, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("a number of a table: %w", err)
	}
	return &v, nil
}

// A pair is a key of a file's metadata and its value.
type pair struct{ key, value string }

// metadata is what goes beside the columns: the citation, what was asked, and the
// titles of the codes of the dimensions that the question names, as JSON.
func (d *Document) metadata() ([]pair, error) {
	t := d.Table
	var all []pair
	for _, c := range d.citation() {
		all = append(all, pair{"pana." + strings.ToLower(c.id), c.value})
	}
	titles := map[string]map[string]gateway.Text{}
	for i := range d.Definition.Dimensions {
		dim := &d.Definition.Dimensions[i]
		if _, filtered := t.Filter[dim.Name]; !filtered && !slices.Contains(t.Dimensions, dim.Name) {
			continue
		}
		titles[dim.Name] = map[string]gateway.Text{"": dim.Title}
		for _, n := range dim.Nodes {
			titles[dim.Name][n.Code] = n.Title
		}
	}
	filter, err := json.Marshal(t.Filter)
	if err != nil {
		return nil, fmt.Errorf("writing a filter: %w", err)
	}
	codes, err := json.Marshal(titles)
	if err != nil {
		return nil, fmt.Errorf("writing the titles of codes: %w", err)
	}
	return append(
		all,
		pair{"pana.question", t.Label}, pair{"pana.measure", string(t.Measure)}, pair{"pana.filter", string(filter)},
		pair{"pana.base", strconv.Itoa(t.Base)}, pair{"pana.titles", string(codes)}, pair{"pana.notes", strings.Join(t.Notes, "\n")},
	), nil
}

// bitmap has a bit for each number, the lowest first, which is set where there is one:
// the definition levels of Parquet and the validity of Arrow alike.
func bitmap(numbers []*float64) (bits []byte, missing int) {
	bits = make([]byte, (len(numbers)+7)/8)
	for i, v := range numbers {
		if v == nil {
			missing++
			continue
		}
		bits[i/8] |= 1 << (i % 8)
	}
	return bits, missing
}
