package policies

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Bounds of what a policy may return.
const (
	maxText   = 2000 // bytes of prose
	maxBands  = 64   // bands of a count
	maxKeep   = 16   // characters kept of a code
	maxLaw    = 64   // values of the threshold law
	maxReason = 256  // violations of a contract
)

var domainName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// strict decodes one value of a policy into a struct. Keys that the struct does
// not have are refused, and so are keys in another case, which encoding/json
// would take.
func strict(what string, value, into any, keys ...string) error {
	object, ok := value.(map[string]any)
	if !ok {
		return invalid("policy: %s is not an object", what)
	}
	for key := range object {
		if !slices.Contains(keys, key) {
			return invalid("policy: %s has the unknown key %q", what, key)
		}
	}
	text, err := json.Marshal(object)
	if err != nil {
		return invalid("policy: %s cannot be read", what)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return invalid("policy: %s: %v", what, err)
	}
	return nil
}

// decodePlan turns the answer about a contract into a plan: exactly one action a
// field, in the order of the contract, each well-formed and not below a floor.
func decodePlan(c *gateway.Contract, answer any) (gateway.Plan, error) {
	plan := gateway.Plan{Contract: c.ID, Version: c.Version}
	decisions, ok := answer.(map[string]any)
	if !ok {
		return gateway.Plan{}, invalid("policy: ingest.plan gives no answer for contract %s", c.ID)
	}
	for _, name := range slices.Sorted(maps.Keys(decisions)) {
		if c.Field(gateway.FieldName(name)) == nil {
			return gateway.Plan{}, invalid("policy: ingest.plan decides about %s.%s, which the contract does not have", c.ID, name)
		}
	}
	for i := range c.Fields {
		f := &c.Fields[i]
		decision, ok := decisions[string(f.Name)]
		if !ok {
			return gateway.Plan{}, invalid("policy: ingest.plan says nothing about %s.%s", c.ID, f.Name)
		}
		p, because, err := decodeField(string(c.ID)+"."+string(f.Name), f, decision)
		if err != nil {
			return gateway.Plan{}, err
		}
		plan.Fields = append(plan.Fields, p)
		plan.Because = append(plan.Because, because)
	}
	return plan, nil
}

func decodeField(what string, f *gateway.Field, value any) (gateway.FieldPlan, string, error) {
	var d struct {
		Do, Domain, Fallback, Because string
		Keep                          *int
		Cuts                          []int
		Day                           bool
	}
	if err := strict(what, value, &d, "do", "domain", "fallback", "because", "keep", "cuts", "day"); err != nil {
		return gateway.FieldPlan{}, "", err
	}
	action, ok := gateway.ParseAction(d.Do)
	if !ok {
		return gateway.FieldPlan{}, "", invalid("policy: %s: %q is not an action", what, d.Do)
	}
	p := gateway.FieldPlan{Field: f.Name, Do: action, Domain: d.Domain, Fallback: d.Fallback, Cuts: d.Cuts, Day: d.Day}
	if d.Keep != nil {
		p.Keep = *d.Keep
	}
	// Floors first: their names say more than a misfit of type and action.
	if err := checkFloors(what, f, p); err != nil {
		return gateway.FieldPlan{}, "", err
	}
	if wrong := misfit(f, p); wrong != "" {
		return gateway.FieldPlan{}, "", invalid("policy: %s: %s", what, wrong)
	}
	because := strings.TrimSpace(d.Because)
	if because == "" || len(because) > maxText {
		return gateway.FieldPlan{}, "", invalid("policy: %s: the decision does not say why", what)
	}
	return p, strings.Join(strings.Fields(because), " "), nil
}

// misfit says what is wrong with an action for a field, or "".
func misfit(f *gateway.Field, p gateway.FieldPlan) string {
	switch {
	case p.Do != gateway.Pseudonymise && p.Domain != "":
		return "only pseudonyms have a domain"
	case p.Fallback != "" && (p.Do != gateway.Pseudonymise || f.Type != gateway.TypeIIN):
		return "only the pseudonym of an identification number has a fallback"
	case p.Do != gateway.Generalise && (p.Keep != 0 || p.Cuts != nil || p.Day):
		return "only a generalisation has parameters"
	case p.Do == gateway.Drop && f.Event:
		return "the event's date cannot be dropped: every row needs its quarter"
	case p.Do == gateway.Drop:
		return ""
	case f.Column == "":
		return "the contract has no column to store it in"
	}
	switch p.Do {
	case gateway.Keep:
		return misfitKeep(f)
	case gateway.Pseudonymise:
		return misfitPseudonym(f, p)
	default:
		return misfitCoarser(f, p)
	}
}

func misfitKeep(f *gateway.Field) string {
	if f.Type != gateway.TypeCode && f.Type != gateway.TypeInteger {
		return "only codes and integers can be kept"
	}
	return ""
}

func misfitPseudonym(f *gateway.Field, p gateway.FieldPlan) string {
	switch {
	case f.Type != gateway.TypeIIN && f.Type != gateway.TypeIdentifier:
		return "only identifiers can be pseudonymised"
	case !domainName.MatchString(p.Domain):
		return "a pseudonym needs a domain, like child"
	case p.Fallback != "" && !domainName.MatchString(p.Fallback):
		return "a fallback is a domain, like child_name"
	}
	return ""
}

// misfitCoarser checks a generalisation: each type has its own parameters.
func misfitCoarser(f *gateway.Field, p gateway.FieldPlan) string {
	switch {
	case p.Keep != 0 && f.Type != gateway.TypeCode:
		return "only codes are cut to their first characters"
	case p.Cuts != nil && f.Type != gateway.TypeInteger:
		return "only integers have bands"
	case p.Day && f.Type != gateway.TypeDate:
		return "only dates have a shifted day"
	}
	switch f.Type {
	case gateway.TypeCode:
		if f.Multi || p.Keep < 1 || p.Keep > maxKeep {
			return "a single code is cut to 1 to 16 characters"
		}
	case gateway.TypeInteger:
		if len(p.Cuts) == 0 || len(p.Cuts) > maxBands || p.Cuts[0] > f.Min || !ascending(p.Cuts) {
			return "bands are given by ascending lower bounds, the first not above the field's least value"
		}
	case gateway.TypeBirthDate, gateway.TypeAge:
		if f.List == nil {
			return "the contract names no age bands"
		}
	case gateway.TypeDate:
	case gateway.TypeText, gateway.TypeIdentifier, gateway.TypeIIN:
		return "it cannot be generalised"
	}
	return ""
}

func ascending(cuts []int) bool {
	for i := 1; i < len(cuts); i++ {
		if cuts[i] <= cuts[i-1] {
			return false
		}
	}
	return true
}

// decodeTexts reads a set of sentences.
func decodeTexts(what string, answer any) ([]string, error) {
	values, ok := answer.([]any)
	if !ok || len(values) > maxReason {
		return nil, invalid("policy: %s gives no answer that can be read", what)
	}
	texts := make([]string, 0, len(values))
	for _, v := range values {
		t, ok := v.(string)
		if !ok || t == "" || len(t) > maxText {
			return nil, invalid("policy: %s holds something that is not a sentence", what)
		}
		texts = append(texts, t)
	}
	slices.Sort(texts)
	return texts, nil
}

// decodeRules reads the numbers of a release and holds them, and the release's
// declared noise, against the floors.
func decodeRules(d *gateway.Definition, answer any) (gateway.ReleaseRules, error) {
	var r struct {
		Threshold     []float64
		ThresholdMin  int `json:"threshold_min"`
		Share         float64
		ShareBelow    int     `json:"share_below"`
		RecordCap     int     `json:"record_cap"`
		VarianceLeast float64 `json:"variance_least"`
	}
	err := strict("release.rules", answer, &r, "threshold", "threshold_min", "share", "share_below", "record_cap", "variance_least")
	if err != nil {
		return gateway.ReleaseRules{}, err
	}
	rules := gateway.ReleaseRules{
		Threshold: r.Threshold, ThresholdMin: r.ThresholdMin, Share: r.Share, ShareBelow: r.ShareBelow, RecordCap: r.RecordCap,
	}
	if err := checkReleaseFloors(rules, r.VarianceLeast); err != nil {
		return gateway.ReleaseRules{}, err
	}
	if d.Noisy() && !(d.V >= r.VarianceLeast) {
		return gateway.ReleaseRules{}, invalid("release %s: the variance of the noise is %g and policy demands at least %g", d.Lineage, d.V, r.VarianceLeast)
	}
	return rules, nil
}
