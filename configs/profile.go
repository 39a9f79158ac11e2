package configs

import (
	"math"
	"regexp"

	"github.com/pana-exchange/pana/gateway"
)

// decimal is how privacy amounts are written: digits and a point. "1e-1" beside
// "0.1" would be two spellings of one amount.
var decimal = regexp.MustCompile(`^[0-9]{1,6}(\.[0-9]{1,18})?$`)

// readProfile reads how the lineage is protected, and holds the parameters against
// it: those of another profile mean nothing and would only look as if they did.
func (r *cubeReader) readProfile() {
	f, at := &r.file, r.top.at("profile")
	switch gateway.Profile(f.Profile) {
	case "interactive":
		r.def.Profile = gateway.Interactive
	case gateway.Interactive, gateway.Standing, gateway.Public:
		r.def.Profile = gateway.Profile(f.Profile)
	default:
		at.bad("profile %q is none of interactive, %s, %s", f.Profile, gateway.Standing, gateway.Public)
		return
	}
	if (f.Standing != nil) != (r.def.Profile == gateway.Standing) || (f.Public != nil) != (r.def.Profile == gateway.Public) {
		at.bad("the keys standing and public go with the profiles of those names, which need them")
		return
	}
	if s := f.Standing; s != nil {
		r.def.Standing = &gateway.StandingTables{Mode: s.Mode}
		if s.Mode != gateway.Exact && s.Mode != gateway.Additive {
			r.top.at("standing").at("mode").bad("mode %q is neither %s nor %s", s.Mode, gateway.Exact, gateway.Additive)
		}
	}
	if p := f.Public; p != nil {
		r.def.Public = &gateway.PrivacyTerms{Rho: p.Rho, Yearly: p.Yearly, Delta: p.Delta}
		for _, amount := range [][2]string{{"rho", p.Rho}, {"yearly", p.Yearly}, {"delta", p.Delta}} {
			if !decimal.MatchString(amount[1]) {
				r.top.at("public").at(amount[0]).bad("%s is a plain decimal such as 0.1", amount[0])
			}
		}
	}
	r.checkV()
}

// checkV refuses noise that is too small, and a V where nothing has that variance.
func (r *cubeReader) checkV() {
	switch {
	case !r.def.Noisy() && r.def.V != 0:
		r.top.at("v").bad("v is of interactive releases and additive tables; the counts of this profile do not have that variance")
	case r.def.Noisy() && !(r.def.V >= minV) || math.IsInf(r.def.V, 0):
		r.top.at("v").bad("v must be %d or more", minV)
	}
}
