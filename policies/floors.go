package policies

import (
	"math"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A Floor is a limit that no policy can cross. It lives in code, beside the
// clause it comes from, and is changed only as code is: reviewed, released, and
// after the data protection officer was asked.
type Floor struct {
	Name string `json:"name"` // as errors name it: "floor direct-identifier: …"
	Text string `json:"text"` // what it demands
}

// A fieldFloor is a floor under what is done to one field.
type fieldFloor struct {
	Floor
	crossed func(f *gateway.Field, p gateway.FieldPlan) bool
}

// A releaseFloor is a floor under the protection of a release.
type releaseFloor struct {
	Floor
	crossed func(r gateway.ReleaseRules, variance float64) bool
}

// finestArea is the number of characters of a KATO code that name a region.
const finestArea = 2

// Floors returns every floor, in the order in which they are checked.
func Floors() []Floor {
	var floors []Floor
	for _, f := range fieldFloors {
		floors = append(floors, f.Floor)
	}
	for _, f := range releaseFloors {
		floors = append(floors, f.Floor)
	}
	return floors
}

var fieldFloors = []fieldFloor{
	// domain.md 3, roles: a direct identifier is never stored in clear. Law of the
	// Republic of Kazakhstan "On personal data and their protection" (No. 94-V of
	// 2013), article 17: data for statistics and research are depersonalised.
	{
		Floor{"direct-identifier", "a direct identifier is pseudonymised or dropped, never stored in clear"},
		func(f *gateway.Field, p gateway.FieldPlan) bool {
			return (f.Role == gateway.RoleDirect || f.Type == gateway.TypeIdentifier || f.Type == gateway.TypeIIN) &&
				!oneOf(p.Do, gateway.Drop, gateway.Pseudonymise) && !banded(f, p)
		},
	},
	// trust.md 5.2: the identification number joins sectors under the child domain
	// only; under another domain it would be a second, unlinked pseudonym of a child.
	{
		Floor{"iin", "the child's identification number is a pseudonym of the domain child, and nothing else is"},
		func(f *gateway.Field, p gateway.FieldPlan) bool {
			return p.Do == gateway.Pseudonymise && (f.Type == gateway.TypeIIN) != (p.Domain == "child")
		},
	},
	// domain.md 3 and 3.1: a key of names is another pseudonym than one of a number; in
	// one domain two children could be one, and nobody could tell which links are weak.
	{
		Floor{"fallback", "a key of names is made in a domain of its own, where there is no identification number"},
		func(f *gateway.Field, p gateway.FieldPlan) bool {
			return p.Fallback != "" && (f.Type != gateway.TypeIIN || p.Fallback == p.Domain || oneOf(p.Fallback, "child", "record", "referral"))
		},
	},
	// domain.md 3: free text cannot be made safe by a rule; names are of no use to a
	// count; a village school identifies the child.
	{
		Floor{"free-text", "names, narratives, organisations and other text are dropped"},
		func(f *gateway.Field, p gateway.FieldPlan) bool {
			text := f.Type == gateway.TypeText || oneOf(f.Class, "name", "narrative", "organisation")
			return text && p.Do != gateway.Drop
		},
	},
	// overview.md 6: an operator with one agency's file must not re-identify by date.
	{
		Floor{"exact-date", "dates are dropped or stored as quarters and shifted days"},
		func(f *gateway.Field, p gateway.FieldPlan) bool {
			return f.Type == gateway.TypeDate && !oneOf(p.Do, gateway.Drop, gateway.Generalise)
		},
	},
	// domain.md 3: with sex and region, a birth date names one child in most regions.
	{
		Floor{"birth-date", "birth dates and ages are dropped or stored as age bands"},
		func(f *gateway.Field, p gateway.FieldPlan) bool {
			return (oneOf(f.Type, gateway.TypeBirthDate, gateway.TypeAge) || oneOf(f.Class, "birth_date", "age")) &&
				p.Do != gateway.Drop && !banded(f, p)
		},
	},
	// domain.md 2.8 and 3: residence is truncated to two digits, the region.
	{
		Floor{"area", "places are dropped or cut to the region, two digits of KATO"},
		func(f *gateway.Field, p gateway.FieldPlan) bool {
			cut := p.Do == gateway.Generalise && p.Keep >= 1 && p.Keep <= finestArea
			return area(f) && p.Do != gateway.Drop && !cut
		},
	},
}

// banded reports whether a birth date or an age becomes its band.
func banded(f *gateway.Field, p gateway.FieldPlan) bool {
	return oneOf(f.Type, gateway.TypeBirthDate, gateway.TypeAge) && p.Do == gateway.Generalise
}

// area reports whether a field is a place. A contract could class it otherwise,
// so its column and its list say so too.
func area(f *gateway.Field) bool {
	return f.Class == "area" || f.Column == gateway.ColumnRegion ||
		(f.List != nil && strings.HasPrefix(strings.ToLower(string(f.List.ID)), "kato"))
}

var releaseFloors = []releaseFloor{
	// disclosure.md 2.4 rule 1 and 2.12: "Floor that policy may not lower: the law
	// starts at 10."
	{
		Floor{"threshold", "no count of fewer than 10 children is shown"},
		func(r gateway.ReleaseRules, _ float64) bool { return r.ThresholdMin < 10 || r.ThresholdMin > 1000 },
	},
	// disclosure.md 2.4: a hard threshold on a true count is an oracle for whoever
	// plants children; the shipped law gives no threshold more than 0.15.
	{
		Floor{"soft-threshold", "the law is one of probabilities, none above 0.15, that make 1"},
		func(r gateway.ReleaseRules, _ float64) bool { return !softLaw(r.Threshold) },
	},
	// disclosure.md 2.4 rule 5 and 2.12.
	{
		Floor{"share", "a sensitive group of more than 95 % of a parent below 200 is hidden"},
		func(r gateway.ReleaseRules, _ float64) bool {
			return !(r.Share > 0 && r.Share <= 0.95) || r.ShareBelow < 200
		},
	},
	// disclosure.md 2.4 rules 4 and 5: a share that the soft threshold does not imply
	// would be a hard one.
	{
		Floor{"share-implied", "(1 - share) * share_below is at most the lowest threshold, so that the soft threshold of minorities implies the share"},
		func(r gateway.ReleaseRules, _ float64) bool { return !r.ShareCovered() },
	},
	// disclosure.md 2.3: the records of one subject are capped before they count.
	{
		Floor{"record-cap", "at most 20 records of one child count"},
		func(r gateway.ReleaseRules, _ float64) bool { return r.RecordCap < 1 || r.RecordCap > 20 },
	},
	// disclosure.md 2.3: V is "never below 50 without a new table of feasibility".
	// That V is at least 7.8 A is checked where A is known, when a release is built.
	{
		Floor{"noise", "the variance of a published count is at least 50"},
		func(_ gateway.ReleaseRules, v float64) bool { return !(v >= 50) || math.IsInf(v, 0) },
	},
}

func softLaw(law []float64) bool {
	sum := 0.0
	for _, p := range law {
		if !(p >= 0 && p <= 0.15) {
			return false
		}
		sum += p
	}
	return len(law) <= maxLaw && math.Abs(sum-1) < 1e-9
}

func checkFloors(what string, f *gateway.Field, p gateway.FieldPlan) error {
	for _, floor := range fieldFloors {
		if floor.crossed(f, p) {
			return invalid("floor %s: %s: the policy says %s, but %s", floor.Name, what, p.Do, floor.Text)
		}
	}
	return nil
}

func checkReleaseFloors(r gateway.ReleaseRules, variance float64) error {
	for _, floor := range releaseFloors {
		if floor.crossed(r, variance) {
			return invalid("floor %s: release.rules: %s", floor.Name, floor.Text)
		}
	}
	return nil
}

func oneOf[T comparable](x T, of ...T) bool { return slices.Contains(of, x) }
