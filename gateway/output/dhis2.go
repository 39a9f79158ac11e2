package output

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// The data value set of DHIS2 (its developer guide, "Data values"); a value is text.
type (
	dataValueSet struct {
		DataElementIDScheme         string      `json:"dataElementIdScheme"`
		OrgUnitIDScheme             string      `json:"orgUnitIdScheme"`
		CategoryOptionComboIDScheme string      `json:"categoryOptionComboIdScheme"`
		DataValues                  []dataValue `json:"dataValues"`
	}
	dataValue struct {
		DataElement         string `json:"dataElement"`
		Period              string `json:"period"`
		OrgUnit             string `json:"orgUnit"`
		CategoryOptionCombo string `json:"categoryOptionCombo,omitempty"`
		Value               string `json:"value,omitempty"`
		Comment             string `json:"comment"`
	}
)

// country is the organisation unit of a table that does not name a region.
const country = "KZ"

// writeDHIS2 writes a data value set whose ids are codes: of the data element the
// cube and the measure, of the organisation unit the region, and of the category
// option combination the codes of all else that the question names, in the order of
// the cube, joined by "_". DHIS2 has no status of a value, so where there is none the
// comment says why and the value is left out; the importer takes that (its E7618 asks
// for one of the two). Its periods are quarters and years: a table over another
// window is refused.
func writeDHIS2(w io.Writer, d *Document) error {
	flow, err := newDataflow(d)
	if err != nil {
		return err
	}
	set := dataValueSet{"CODE", "CODE", "CODE", []dataValue{}}
	var cite []string
	for _, c := range d.citation() {
		cite = append(cite, strings.ToLower(c.id)+" "+c.value)
	}
	for _, c := range d.Table.Cells {
		v := dataValue{DataElement: flow.indicator, OrgUnit: country, Comment: commentOf(c) + strings.Join(cite, "; ")}
		var combination []string
		for _, a := range flow.axes {
			at := a.at(c)
			switch {
			case a.id == "TIME_PERIOD":
				v.Period = strings.Replace(at, "-Q", "Q", 1)
			case at == total || a.id == "INDICATOR":
			case a.id == "REF_AREA":
				v.OrgUnit = at
			default:
				combination = append(combination, at)
			}
		}
		if strings.Contains(v.Period, "/") {
			return gateway.Errorf(gateway.Invalid, "DHIS2 has periods of a quarter or a year: group by quarter or year, or filter by one")
		}
		v.CategoryOptionCombo = strings.Join(combination, "_")
		v.Value = d.figure(c).value
		if c.Status == gateway.StatusImpossible {
			v.Value = "0"
		}
		set.DataValues = append(set.DataValues, v)
	}
	err = json.NewEncoder(w).Encode(set)
	if err != nil {
		return fmt.Errorf("writing a data value set: %w", err)
	}
	return nil
}

// commentOf says in words what a cell without a number is.
func commentOf(c gateway.Cell) string {
	switch c.Status {
	case gateway.StatusValue:
		return ""
	case gateway.StatusImpossible:
		return "structural zero: there is none by definition; "
	case gateway.StatusNotReported:
		return "not reported; "
	case gateway.StatusSuppressed:
	}
	return "suppressed to protect privacy; "
}
