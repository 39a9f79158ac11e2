package synth

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Counts are what the files of a country hold.
type Counts struct {
	Children     int                        `json:"children"` // with an identification number
	Records      map[gateway.ContractID]int `json:"records"`  // lines, without the header, dirt included
	Unidentified map[gateway.ContractID]int `json:"unidentified"`
	Dirty        []Dirt                     `json:"dirty"` // in the order of files and lines
}

// Counts makes the records once and counts them. The lines are those that
// [Country.Write] writes.
func (c *Country) Counts() (*Counts, error) {
	n := &Counts{Children: c.options.Children, Records: map[gateway.ContractID]int{}, Unidentified: map[gateway.ContractID]int{}}
	var dirt [sectors][]Dirt
	err := c.each(func(r *record) error {
		file := sectorNames[r.sector]
		n.Records[file]++
		if !r.iin {
			n.Unidentified[file]++
		}
		if r.dirt != nil {
			dirt[r.sector] = append(dirt[r.sector], Dirt{file, n.Records[file] + 1, r.dirt.column, r.dirt.code})
		}
		return nil
	})
	n.Dirty = []Dirt{}
	for _, d := range dirt {
		n.Dirty = append(n.Dirty, d...)
	}
	return n, err
}

// Write writes one CSV file a sector: UTF-8, commas, a header of the contract's
// fields in their order. w is asked once for each sector where its file goes;
// nothing is closed.
func (c *Country) Write(w func(gateway.ContractID) (io.Writer, error)) error {
	var files [sectors]*bufio.Writer
	for i := range files {
		out, err := w(sectorNames[i])
		if err != nil {
			return fmt.Errorf("writing the file of %s: %w", sectorNames[i], err)
		}
		files[i] = bufio.NewWriterSize(out, 1<<16)
		if _, err := files[i].WriteString(c.forms[i].headline()); err != nil {
			return fmt.Errorf("writing the file of %s: %w", sectorNames[i], err)
		}
	}
	line := make([]byte, 0, 1024)
	err := c.each(func(r *record) error {
		line = r.line(line[:0])
		if _, err := files[r.sector].Write(line); err != nil {
			return fmt.Errorf("writing the file of %s: %w", sectorNames[r.sector], err)
		}
		return nil
	})
	for i, file := range files {
		if flushed := file.Flush(); flushed != nil && err == nil {
			err = fmt.Errorf("writing the file of %s: %w", sectorNames[i], flushed)
		}
	}
	return err
}

func (f *form) headline() string {
	names := make([]string, len(f.header))
	for i, at := range f.header {
		names[i] = string(f.contract.Fields[at].Name)
	}
	return strings.Join(names, ",") + "\n"
}

// line appends the record as RFC 4180 wants it. No value of the generator holds
// a comma, a quote or a line break.
func (r *record) line(line []byte) []byte {
	for i, at := range r.form.header {
		if i > 0 {
			line = append(line, ',')
		}
		line = append(line, r.cells[at]...)
	}
	return append(line, '\n')
}
