package configs

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

type valueFile struct {
	ID        string             `yaml:"id"`
	Title     gateway.Text       `yaml:"title"`
	Unit      gateway.Text       `yaml:"unit"`
	Sector    gateway.ContractID `yaml:"sector"`
	Column    string             `yaml:"column"`
	PerChild  gateway.PerChild   `yaml:"per_child"`
	Min       int64              `yaml:"min"`
	Max       int64              `yaml:"max"`
	Precision int64              `yaml:"precision"`
	Dominance bool               `yaml:"dominance"`
}

// readValues reads the values and holds them against the contracts: a column that
// is not stored, or codes, could be added up to something all the same.
func (r *cubeReader) readValues() {
	for i, f := range r.file.Values {
		at := r.top.at("values").at(i)
		v := gateway.Value{
			ID: f.ID, Title: f.Title, Unit: f.Unit, Sector: f.Sector, Column: f.Column, PerChild: f.PerChild,
			Min: f.Min, Max: f.Max, Precision: f.Precision, Dominance: f.Dominance,
		}
		if !namePattern.MatchString(v.ID) || r.def.Value(v.ID) != nil || r.def.Dimension(v.ID) != nil {
			at.at("id").bad("value id %q does not match %s, or is given twice", v.ID, namePattern)
		}
		if v.Title.EN == "" || v.Unit.EN == "" {
			at.bad("value %s has no English title or unit", v.ID)
		}
		if v.Min < 0 || v.Max <= v.Min || v.Max > gateway.MaxValue {
			at.bad("the clamps of a child's number are 0 <= min < max <= %d", gateway.MaxValue)
		}
		if least := math.Ceil(float64(v.Max) * math.Sqrt(r.def.V) / 3); float64(v.Precision) < least {
			at.at("precision").bad("the precision of sums is %g or more, a third of the standard deviation of their noise", least)
		}
		r.checkValueField(&v, at)
		r.def.Values = append(r.def.Values, v)
	}
}

// checkValueField finds the field of a value. Where a child's number is a mean or
// the latest, a child without it would have none, and the cell is of all its
// children: the field must be required.
func (r *cubeReader) checkValueField(v *gateway.Value, at place) {
	c := r.contract(v.Sector)
	if c == nil {
		at.at("sector").bad("there is no contract %q", v.Sector)
		return
	}
	f := stored(c, v.Column)
	if v.Column == "" || f == nil || f.Type != gateway.TypeInteger {
		at.at("column").bad("contract %s stores no integer %q", c.ID, v.Column)
		return
	}
	switch v.PerChild {
	case gateway.PerChildSum:
	case gateway.PerChildMean, gateway.PerChildLatest:
		if !f.Required {
			at.at("per_child").bad("%s of a child's records needs a field that is required", v.PerChild)
		}
	default:
		at.at("per_child").bad("per_child is %s, %s or %s", gateway.PerChildSum, gateway.PerChildMean, gateway.PerChildLatest)
	}
}

func (r *cubeReader) checkCubeValues(c *gateway.Cube, at place) {
	if len(c.Values) == 0 {
		return
	}
	sectors := 0
	for _, name := range c.Dimensions {
		if d := r.def.Dimension(name); d != nil && d.Source.Kind == gateway.EventSector {
			sectors++
		}
	}
	if c.Grain != gateway.Events || sectors != 1 {
		at.at("values").bad("values are added up in a cube of events with one dimension of sectors")
	}
	for i, id := range c.Values {
		if r.def.Value(id) == nil || slices.Contains(c.Values[:i], id) {
			at.at("values").at(i).bad("value %q is not defined, or is given twice", id)
		}
	}
}

// bands gives leaves the numbers that they stand for: what the file says, and for
// ages what the code says.
func (r *cubeReader) bands(f *dimensionFile, leaves []gateway.Node, at place) []gateway.Node {
	if r.ofAges(f.Source) {
		for i := range leaves {
			leaves[i].Band = ageBand(leaves[i].Code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(f.Bands)) {
		i := slices.IndexFunc(leaves, func(n gateway.Node) bool { return n.Code == code })
		band := gateway.Band{From: f.Bands[code][0], Below: f.Bands[code][1]}
		if i < 0 || band.Below <= band.From {
			at.at(code).bad("%q is not a leaf, or its band is empty", code)
			continue
		}
		leaves[i].Band = &band
	}
	for i := range leaves {
		for j := range leaves[:i] {
			if a, b := leaves[i].Band, leaves[j].Band; a != nil && b != nil && a.From < b.Below && b.From < a.Below {
				at.bad("the bands of %q and %q overlap", leaves[j].Code, leaves[i].Code)
			}
		}
	}
	return leaves
}

func (r *cubeReader) ofAges(s sourceFile) bool {
	for _, c := range r.contracts {
		f := stored(c, s.Column)
		if s.Column != "" && f != nil && (f.Type == gateway.TypeAge || f.Type == gateway.TypeBirthDate) {
			return true
		}
	}
	return false
}

// ageBand reads "Y10T14": 10 to 14 years, so from 10 to below 15.
func ageBand(code string) *gateway.Band {
	var b gateway.Band
	n, err := fmt.Sscanf(code, "Y%dT%d", &b.From, &b.Below)
	if err != nil || n != 2 || code != fmt.Sprintf("Y%dT%d", b.From, b.Below) || b.Below < b.From {
		return nil
	}
	b.Below++
	return &b
}
