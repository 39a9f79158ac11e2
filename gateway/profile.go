package gateway

// A Profile is how the counts of a lineage are protected (disclosure.md 2.0). One
// profile holds for all cubes over the same children and for all releases of a
// lineage: two mechanisms over one number are two looks at it.
type Profile string

// The profiles. The zero value is the one that most releases want.
const (
	// Interactive is profile B: keyed noise on every cell, secret thresholds, and
	// answers to whoever was granted questions.
	Interactive Profile = ""
	// Standing is profile A: tables that an officer signs off once, exact with cells
	// hidden, or sums of noisy base cells.
	Standing Profile = "standing"
	// Public is profile C: discrete Gaussian noise out of a privacy budget, for pages
	// and files that nobody is accountable for reading.
	Public Profile = "public"
)

// StandingMode says what standing tables show.
type StandingMode string

// The modes of standing tables.
const (
	// Exact shows true counts, and hides what they would tell. Nothing else may ever
	// be released about the same children (disclosure.md 2.0).
	Exact StandingMode = "exact"
	// Additive draws the noise of the finest cells only and adds them up
	// (disclosure.md 2.5): margins agree, and have the variance of all their parts.
	Additive StandingMode = "additive"
)

// StandingTables are the parameters of the profile Standing.
type StandingTables struct {
	Mode StandingMode `json:"mode"` // required
}

// PrivacyTerms are the parameters of the profile Public. Amounts are decimals, as
// they are written in the cube file: sums of them must be exact. They are decided
// before anybody counts.
type PrivacyTerms struct {
	Rho    string `json:"rho"`    // spent by one release, in equal parts on its grouping sets
	Yearly string `json:"yearly"` // the most that the releases of the lineage begun in one year spend
	Delta  string `json:"delta"`  // at which an epsilon is reported
}

// Frozen reports whether tables are exact: two of one cell that differ would tell by
// how much, so they never do.
func (d *Definition) Frozen() bool {
	return d.Profile == Standing && d.Standing != nil && d.Standing.Mode == Exact
}

// Noisy reports whether V is the variance of the definition's noise: exact tables
// have none, and that of public ones follows from their budget.
func (d *Definition) Noisy() bool {
	return d.Profile == Interactive || d.Profile == Standing && d.Standing != nil && d.Standing.Mode == Additive
}
