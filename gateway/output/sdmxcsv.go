package output

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/pana-exchange/pana/gateway"
)

// writeSDMXCSV writes SDMX-CSV 2.0.0 (SDMX 3.0), with the citation in columns of its
// own after the attributes, as the field guide allows.
func writeSDMXCSV(w io.Writer, d *Document) error {
	flow, err := newDataflow(d)
	if err != nil {
		return err
	}
	header := []string{"STRUCTURE", "STRUCTURE_ID", "ACTION"}
	for _, a := range flow.axes {
		header = append(header, a.id)
	}
	header = append(header, "OBS_VALUE", "UNIT_MEASURE", "OBS_STATUS", "CONF_STATUS", "NOISE_SD")
	var cite []string
	for _, c := range d.citation() {
		header, cite = append(header, c.id), append(cite, c.value)
	}
	out := csv.NewWriter(w)
	err = out.Write(header)
	for _, c := range d.Table.Cells {
		if err != nil {
			return err
		}
		line := []string{"dataflow", fmt.Sprintf("%s:%s(%s)", agency, flow.id, version), "I"}
		for _, a := range flow.axes {
			line = append(line, a.at(c))
		}
		obs, conf := status(c)
		line = append(line, d.figure(c).value, flow.unit.id, statuses()[obs].id, confidentialities()[conf].id, d.deviation(c))
		err = writeLine(out, append(line, cite...))
	}
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// deviation is the standard deviation that noise gives the number of a cell, or "".
func (d *Document) deviation(c gateway.Cell) string {
	f := d.figure(c)
	if f.variance != "" {
		return strconv.FormatFloat(math.Sqrt(d.Table.Variance), 'f', 4, 64)
	}
	return f.sd
}
