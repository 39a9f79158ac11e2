package dp

import (
	"strconv"

	"github.com/pana-exchange/pana/gateway"
)

// IndicatorNote goes beside every figure of a shadow ledger (disclosure.md 2.10).
const IndicatorNote = "indicator, not a guarantee"

// An Indicator looks like a rho and is none: profile B's noise is bounded, keyed
// and partly permanent, and its thresholds look at true counts, so no theorem
// stands behind the number. It is a type of its own so that it can be neither
// spent from a budget nor turned into an epsilon.
type Indicator float64

// String returns the number with its note.
func (i Indicator) String() string {
	return strconv.FormatFloat(float64(i), 'g', 4, 64) + " (" + IndicatorNote + ")"
}

// MarshalText writes what String returns: the note must survive an export.
func (i Indicator) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// Exposure is the shadow ledger of one release of profile B, for whoever watches
// how much is told about a child, and which sets tell most of it.
type Exposure struct {
	Note  string        `json:"note"`
	Sets  []SetExposure `json:"sets"`
	Total Indicator     `json:"total"` // over the sets
}

// SetExposure is the part of one grouping set.
type SetExposure struct {
	Set     string    `json:"set"`
	Cells   int       `json:"cells"` // c: the most cells that one child is in, by definition
	Exposed Indicator `json:"exposed"`
}

// Shadow is for comparing definitions, and years, with each other: a set of several
// multi-valued dimensions shows up at once as telling most. It charges c/(2·V) for every grouping set that a definition admits, as if
// its noise of variance V were Gaussian: what profile C would have charged for the
// same noise. Measures of a set are charged once, as they share the permanent
// draw; every further release of the lineage adds as much again.
func Shadow(d *gateway.Definition) (Exposure, error) {
	err := validDefinition(d)
	if err != nil {
		return Exposure{}, err
	}
	if !(d.V > 0) {
		return Exposure{}, gateway.Errorf(gateway.Invalid, "the definition has no noise")
	}
	e := Exposure{Note: IndicatorNote}
	for _, a := range d.AdmittedSets() {
		c := reach(d, a.Set)
		exposed := Indicator(float64(c) / (2 * d.V))
		e.Sets = append(e.Sets, SetExposure{a.Set.Key(d), c, exposed})
		e.Total += exposed
	}
	return e, nil
}
