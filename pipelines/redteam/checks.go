package redteam

import (
	"context"
	"fmt"
	"math"
)

// A check is one measure of one attack: how to take it, what it must break, and the
// bar for the default.
type check struct {
	attack, measure string

	// Of one protection of one population under one key; baseline is what the published
	// one-way margins alone give.
	value, baseline func(t *trial) (float64, error)
	// Instead of value: of one protection of the grid, a figure a key.
	across func(ctx context.Context, o Options, by publisher) ([]float64, error)

	controls []control
	bar      bar
}

// A control is a protection that the attack must break, or the attack is broken: a
// column of the table, or a planted fault.
type control struct {
	col    int
	fault  *publisher
	found  string // "≥ 0.95"
	breaks func(f Figure) bool
}

// A bar is what the default must meet.
type bar struct {
	text string // "" for a measure that only informs
	met  func(r *Row) bool
}

// The bars of disclosure.md 4.
const (
	barOutsider = 0.60
	barInsider  = 0.68
	barRecovery = 0.05
	barSpread   = 2.79 // V >= 7.8 A
	barReleases = 0.9
	barTiming   = 0.01
)

func noGain() bar {
	return bar{"≤ 0", func(r *Row) bool { return r.Default.Mean <= 0 }}
}

func atLeast(x float64) bar {
	return bar{fmt.Sprintf("≥ %g", x), func(r *Row) bool { return r.Default.Mean >= x }}
}

func equals(x float64) bar {
	return bar{fmt.Sprintf("= %g", x), func(r *Row) bool { return r.Default.Mean == x }}
}

// nearChance bounds an AUC from both sides: a score that is wrong too often tells as
// much as one that is right.
func nearChance(x float64) bar {
	return bar{fmt.Sprintf("AUC ≤ %g", x), func(r *Row) bool { return max(r.Default.Mean, 1-r.Default.Mean) <= x }}
}

// overBaseline bounds the upper end of the interval of the difference.
func overBaseline() bar {
	return bar{fmt.Sprintf("default - baseline ≤ %g", barRecovery), func(r *Row) bool { return r.Difference != nil && r.Difference.High <= barRecovery }}
}

func from(col int, x float64) control {
	return control{col, nil, fmt.Sprintf("≥ %g", x), func(f Figure) bool { return f.Mean >= x }}
}

func upTo(x float64) control {
	return control{colNone, nil, fmt.Sprintf("≤ %g", x), func(f Figure) bool { return f.Mean <= x }}
}

// with is a control on a planted fault.
func (k control) with(fault publisher) control {
	k.fault = &fault
	return k
}

func controls(all ...control) []control { return all }

// checks are the attacks on a population.
func checks(o Options) []check {
	return []check{
		{attack: "A1 filter differencing", measure: "AUC", value: filterDifferencing, controls: controls(from(colNone, 0.95)), bar: nearChance(barOutsider)},
		{attack: "A1 filter differencing", measure: "share exact", value: filterExact, controls: controls(from(colNone, 0.95))},
		{attack: "A2 parent less siblings", measure: "ER", value: parentLessSiblings, baseline: parentLessSiblingsBaseline, controls: controls(from(colNone, 0.95)), bar: overBaseline()},
		{attack: "A2 parent less siblings", measure: "share of W < 10", value: narrowed, controls: controls(from(colNone, 0.95))},
		{attack: "A3 geography", measure: "ER", value: geography, baseline: geographyBaseline, controls: controls(from(colNone, 0.95)), bar: overBaseline()},
		{attack: "A3 second geography", measure: "questions answered", value: secondGeography, bar: equals(0)},
		{attack: "A3 second geography", measure: "definitions planned", value: onlyDefault(secondGeographyDefined), bar: equals(0)},
		{attack: "A4 sector combination", measure: "ER of Venn regions", value: sectorCombination, baseline: sectorBaseline, controls: controls(from(colNone, 0.95)), bar: overBaseline()},
		{attack: "A4 sector combination", measure: "unions answered", value: unionsOf("agencies", "agency", "police", "social"), bar: equals(0)},
		{attack: "A5 all routes", measure: "ER", value: allRoutes, baseline: allRoutesBaseline, controls: controls(from(colNone, 0.95)), bar: overBaseline()},
		{attack: "A5 all routes", measure: "ER, careful", value: carefulRoutes, baseline: allRoutesBaseline, controls: controls(from(colNone, 0.95)), bar: overBaseline()},
		{attack: "A5 all routes", measure: "ER, with the model too", value: informedRoutes, baseline: allRoutesBaseline, controls: controls(from(colNone, 0.9)), bar: overBaseline()},
		{attack: "A5 all routes", measure: "ER, careful, answered sets", value: answeredRoutes, baseline: answeredRoutesBaseline, controls: controls(from(colNone, 0.95))},
		{attack: "A5 all routes", measure: "sd of shown cells", value: allRoutesSpread, controls: controls(upTo(0.1)), bar: atLeast(barSpread)},
		{attack: "A5 all routes", measure: "AUC", value: allRoutesTargets, controls: controls(from(colNone, 0.95)), bar: nearChance(barOutsider)},
		{attack: "A6 synonyms", measure: "answers a label", value: synonyms, controls: controls(from(0, 2).with(perSpelling())), bar: equals(1)},
		{attack: "A7 two partitions", measure: "ER, registered nodes", value: partitionRoutes, baseline: allRoutesBaseline, controls: controls(from(colNone, 0.95)), bar: overBaseline()},
		{attack: "A7 two partitions", measure: "routes available", value: routesAvailable},
		{attack: "A7 two partitions", measure: "unions answered", value: unionsOf("paths", "age", "a", "b"), bar: equals(0)},
		{attack: "A8 set equality", measure: "AUC, cell and parent", value: containment, controls: controls(from(colNone, 0.85)), bar: nearChance(barOutsider)},
		{attack: "A9 group disclosure", measure: "shown, minority 0-9", value: groupDisclosure, controls: controls(from(colNone, 1)), bar: equals(0)},
		{attack: "A9 group disclosure", measure: "shown, minority 10-18", value: softDisclosure, controls: controls(from(colNone, 1))},
		{attack: "A10 zero probing", measure: "Z", value: zeroProbing, controls: controls(from(colNone, 0.1)), bar: noGain()},
		{attack: "A10 zero probing", measure: "timing p", value: firstKey(zeroTiming(o.Now)), bar: atLeast(barTiming)},
		{attack: "A15 re-upload", measure: "answers changed", value: reupload, controls: controls(from(colNone, 1)), bar: equals(0)},
		{attack: "A16 time series", measure: "AUC, smallest revision", value: revisionDifferencing, controls: controls(from(colNone, 0.60)), bar: nearChance(barOutsider)},
		{attack: "A16 one-record revision", measure: "AUC, growth (never built)", value: oneRecord(1), controls: controls(from(colNone, 0.95))},
		{attack: "A16 one-record revision", measure: "AUC, changed cells", value: oneRecord(2), controls: controls(from(0, 0.60).with(standard("noise by members", memberKeyed))), bar: nearChance(barOutsider)},
		{attack: "A17 release averaging", measure: "sd of mean of 12", value: releaseAveraging, controls: controls(upTo(3).with(standard("no permanent layer", freshLayer)), upTo(0.1)), bar: atLeast(barReleases * math.Sqrt(25))},
		{attack: "A20 collusion", measure: "change in ER", value: collusionRecovery, bar: noGain()},
		{attack: "A20 collusion", measure: "sd less than one token's", value: collusionSpread, controls: controls(from(0, 0.5).with(perProject())), bar: noGain()},
		{attack: "Sparsity gate", measure: "refused sets answered", value: belowTheGate, bar: equals(0)},
	}
}

// gridChecks are the attacks on the grid, which no population changes.
func gridChecks() []check {
	return []check{
		{
			attack: "A8 set equality", measure: "AUC, cells of the same children", across: setEquality,
			controls: controls(from(colNone, 0.95), from(colSingle, 0.75), from(0, 0.75).with(standard("noise by members", memberKeyed))), bar: nearChance(barOutsider),
		},
		{
			attack: "Insider, 0-25 invented", measure: "AUC, worst group, 60 others", across: insiderSweep(besideVictim, 60, 1),
			controls: controls(from(colNone, 0.95), from(0, 0.80).with(standard("hard threshold", hardThreshold))), bar: nearChance(barInsider),
		},
		{
			attack: "Insider, 0-25 invented", measure: "AUC, worst group, 14 others", across: insiderSweep(besideVictim, 14, 1),
			controls: controls(from(colNone, 0.95), from(0, 0.80).with(standard("hard threshold", hardThreshold))), bar: nearChance(barInsider),
		},
		{
			attack: "Insider, 0-25 invented", measure: "AUC, mean of 4 releases, 60 others", across: insiderSweep(besideVictim, 60, 4),
			controls: controls(from(colNone, 0.95)), bar: nearChance(barInsider),
		},
		{
			attack: "Insider, 0-25 invented", measure: "AUC, worst group, beside a companion", across: insiderSweep(besideCompanion, 0, 1),
			controls: controls(from(colNone, 0.95)), bar: nearChance(barInsider),
		},
		{
			// The residual of disclosure.md 2.4, to be stated: revisions, not the rules of
			// cells, keep an uploader from inventing others four times a year.
			attack: "Insider, 0-25 invented", measure: "AUC, others in each of 4 releases (residual)", across: redrawn(60, 4),
			controls: controls(from(colNone, 0.95)),
		},
	}
}

// onlyDefault takes a measure of the product alone.
func onlyDefault(value func(t *trial) (float64, error)) func(t *trial) (float64, error) {
	return func(t *trial) (float64, error) {
		if v, err := t.release(1); err != nil || v.ask == nil {
			return math.NaN(), err
		}
		return value(t)
	}
}

// firstKey takes a measure that no key changes once.
func firstKey(value func(t *trial) (float64, error)) func(t *trial) (float64, error) {
	return func(t *trial) (float64, error) {
		if t.key != 0 {
			return math.NaN(), nil
		}
		return value(t)
	}
}
