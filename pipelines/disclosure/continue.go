package disclosure

import (
	"reflect"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// Parameters are what a release pins: equal for all purposes (disclosure.md 2.8).
type Parameters struct {
	Definition *gateway.Definition
	Rules      gateway.ReleaseRules
}

// Continue refuses parameters under which a release would undo an earlier one of its
// lineage. Readers keep old answers, and the permanent layer and the thresholds are
// drawn by lineage and label, so that
//
//   - a changed V is a second noise on every cell (disclosure.md 2.11 line 8);
//   - a law that lets some threshold fall tells which cells lay between the two;
//   - a dimension of the same name with another tree makes areas that nobody
//     registered, and one source under another name makes a second label, and so a
//     second permanent draw, of the same children;
//   - cubes that were never counted together open routes that no budget counted, so
//     the budget is taken over all that the lineage has published.
//
// Rules may become stricter. Both releases passed [Plan].
func Continue(before, after Parameters) error {
	a, b := before.Definition, after.Definition
	switch {
	case a.Lineage != b.Lineage:
		return gateway.Errorf(gateway.Conflict, "lineage %s does not continue lineage %s", b.Lineage, a.Lineage)
	case a.Profile == b.Profile && a.V != b.V:
		return gateway.Errorf(gateway.Conflict, "lineage %s has V %g, for ever: with V %g its cells would get a second noise", b.Lineage, a.V, b.V)
	}
	err := continueProfile(a, b)
	if err != nil {
		return err
	}
	err = continueRules(before.Rules, after.Rules)
	if err != nil {
		return err
	}
	for i := range b.Dimensions {
		err = continueDimension(a, &b.Dimensions[i])
		if err != nil {
			return err
		}
	}
	for i := range b.Values {
		err = continueValue(a, &b.Values[i])
		if err != nil {
			return err
		}
	}
	if !slices.Equal(sharedFacts(a, b), sharedFacts(b, a)) {
		return gateway.Errorf(gateway.Conflict, "lineage %s declares other implications than it did; a cell would get a second label", b.Lineage)
	}
	if b.Frozen() || b.Profile == gateway.Public {
		return nil // the audit knows what was shown, and the ledger what was spent
	}
	_, err = Plan(together(a, b))
	if err != nil {
		return gateway.Errorf(gateway.Conflict, "together with what lineage %s has published before: %v", b.Lineage, err)
	}
	return nil
}

func continueRules(before, after gateway.ReleaseRules) error {
	a, err := newLaw(before)
	if err != nil {
		return err
	}
	b, err := newLaw(after)
	if err != nil {
		return err
	}
	switch {
	case b.below(a):
		return gateway.Errorf(gateway.Conflict, "the law of thresholds is lower than that of an earlier release of the lineage")
	case after.Share > before.Share || after.ShareBelow < before.ShareBelow:
		return gateway.Errorf(gateway.Conflict, "the share rule is weaker than that of an earlier release of the lineage")
	case after.RecordCap > before.RecordCap:
		return gateway.Errorf(gateway.Conflict, "the cap on one child's records is higher than that of an earlier release of the lineage")
	}
	return nil
}

// below reports whether some draw stands for a smaller threshold than under the other
// law. Thresholds only fall where a law's steps are, so those are what is tried.
func (l law) below(other law) bool {
	for _, steps := range [][]uint64{{0}, l.cum, other.cum} {
		for _, u := range steps {
			if l.threshold(u) < other.threshold(u) {
				return true
			}
		}
	}
	return false
}

// continueDimension holds a dimension against those of an earlier release. The nodes
// of quarters and years follow the window and are no one's choice.
func continueDimension(before *gateway.Definition, dim *gateway.Dimension) error {
	for i := range before.Dimensions {
		old := &before.Dimensions[i]
		same := reflect.DeepEqual(old.Source, dim.Source)
		switch {
		case same && before.Dimension(dim.Name) == nil:
			return gateway.Errorf(gateway.Conflict,
				"dimension %s was called %s in an earlier release of the lineage; under another name its cells would get a second noise", dim.Name, old.Name)
		case old.Name != dim.Name:
		case !same || old.Kind != dim.Kind || old.Omitted != dim.Omitted || !slices.Equal(old.Levels, dim.Levels) || old.Sensitive && !dim.Sensitive:
			return gateway.Errorf(gateway.Conflict, "dimension %s is not what it was in an earlier release of the lineage", dim.Name)
		case !ofTime(dim) && (!sameTree(old, dim) || !sameBands(old, dim)):
			return gateway.Errorf(gateway.Conflict,
				"dimension %s has another tree than in an earlier release of the lineage; the codes of both would not nest", dim.Name)
		}
	}
	return nil
}

// continueValue holds a value against those of an earlier release: its noise is drawn
// by its id and scaled by its clamp. With another clamp two releases would cancel the
// permanent draw; under another name the same numbers would get a second one.
// Dominance may come, as rules may become stricter.
func continueValue(before *gateway.Definition, v *gateway.Value) error {
	for _, old := range before.Values {
		same := old.Sector == v.Sector && old.Column == v.Column && old.PerChild == v.PerChild
		switch {
		case same && before.Value(v.ID) == nil:
			return gateway.Errorf(gateway.Conflict,
				"value %s was called %s in an earlier release of the lineage; under another name its sums would get a second noise", v.ID, old.ID)
		case old.ID != v.ID:
		case !same || old.Min != v.Min || old.Max != v.Max || old.Precision != v.Precision || old.Dominance && !v.Dominance:
			return gateway.Errorf(gateway.Conflict, "value %s is not what it was in an earlier release of the lineage", v.ID)
		}
	}
	return nil
}

// sameBands reports whether the same codes stand for the same numbers.
func sameBands(a, b *gateway.Dimension) bool {
	return slices.EqualFunc(a.Nodes, b.Nodes, func(x, y gateway.Node) bool { return reflect.DeepEqual(x.Band, y.Band) })
}

func ofTime(dim *gateway.Dimension) bool {
	return dim.Source.Kind == gateway.EventQuarter || dim.Source.Kind == gateway.EventYear
}

// sharedFacts are the implications of a definition between dimensions that another
// has too, sorted.
func sharedFacts(d, other *gateway.Definition) []gateway.Implication {
	var shared []gateway.Implication
	for _, i := range d.Implied {
		if other.Dimension(i.If.Dimension) != nil && other.Dimension(i.Then.Dimension) != nil {
			shared = append(shared, i)
		}
	}
	slices.SortFunc(shared, func(a, b gateway.Implication) int {
		return slices.Compare([]string{a.If.Dimension, a.If.Node, a.Then.Dimension, a.Then.Node},
			[]string{b.If.Dimension, b.If.Node, b.Then.Dimension, b.Then.Node})
	})
	return shared
}

// together is a definition with the cubes of both, over the window of the later one.
func together(before, after *gateway.Definition) *gateway.Definition {
	d := *after
	d.Dimensions, d.Cubes = slices.Clone(after.Dimensions), slices.Clone(after.Cubes)
	for i := range before.Dimensions {
		if after.Dimension(before.Dimensions[i].Name) == nil {
			d.Dimensions = append(d.Dimensions, before.Dimensions[i])
		}
	}
	d.Values = slices.Clone(after.Values)
	for _, v := range before.Values {
		if after.Value(v.ID) == nil {
			d.Values = append(d.Values, v)
		}
	}
	d.Implied = slices.Clone(after.Implied)
	for _, i := range before.Implied {
		if after.Dimension(i.If.Dimension) == nil || after.Dimension(i.Then.Dimension) == nil {
			d.Implied = append(d.Implied, i)
		}
	}
	for _, c := range before.Cubes {
		c.ID += " before"
		d.Cubes = append(d.Cubes, c)
	}
	return &d
}
