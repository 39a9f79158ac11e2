package dp

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Privacy parameters are integers of a small unit. Sums in the ledger are then
// exact, do not depend on order and have one encoding; as floats, 0.1 spent ten
// times is not 1. They are read and written as decimals: "0.1".
type (
	// Rho is zero-concentrated privacy loss (Bun and Steinke 2016), in billionths.
	Rho int64
	// Epsilon is pure privacy loss, in billionths.
	Epsilon int64
	// Delta is the probability that approximate privacy leaves out, in units of 1e-18.
	Delta int64
)

// The decimal places of the units.
const (
	lossPlaces  = 9
	deltaPlaces = 18
	lossUnit    = 1_000_000_000
	deltaUnit   = 1_000_000_000_000_000_000
)

// SuggestedRho is the budget of a yearly public release (disclosure.md 2.12):
// epsilon 2.14 at [ReportDelta]. Raising it is for whoever answers for the data.
const SuggestedRho Rho = lossUnit / 10

// ReportDelta is the delta at which epsilons are reported (disclosure.md 2.12).
const ReportDelta = 1e-6

// Bounds of single parameters. They keep every product below in range and refuse
// what cannot be meant: ε = 64 hides nothing.
const (
	maxRho     Rho     = 1000 * lossUnit
	maxEpsilon Epsilon = 64 * lossUnit
)

var errDecimal = errors.New("a privacy parameter is a plain decimal such as 0.1")

// ParseRho reads a decimal of at most nine places.
func ParseRho(text string) (Rho, error) {
	n, err := parseFixed(text, lossPlaces)
	return Rho(n), err
}

// ParseEpsilon reads a decimal of at most nine places.
func ParseEpsilon(text string) (Epsilon, error) {
	n, err := parseFixed(text, lossPlaces)
	return Epsilon(n), err
}

// ParseDelta reads a decimal of at most eighteen places.
func ParseDelta(text string) (Delta, error) {
	n, err := parseFixed(text, deltaPlaces)
	return Delta(n), err
}

// String returns the shortest decimal.
func (r Rho) String() string { return formatFixed(int64(r), lossPlaces) }

// String returns the shortest decimal.
func (e Epsilon) String() string { return formatFixed(int64(e), lossPlaces) }

// String returns the shortest decimal.
func (d Delta) String() string { return formatFixed(int64(d), deltaPlaces) }

// Float returns the nearest float, for reports.
func (r Rho) Float() float64 { return float64(r) / lossUnit }

// Float returns the nearest float, for reports.
func (e Epsilon) Float() float64 { return float64(e) / lossUnit }

// Float returns the nearest float, for reports.
func (d Delta) Float() float64 { return float64(d) / deltaUnit }

// parseFixed reads digits, and after a point at most so many more. It knows
// neither sign nor exponent: a privacy parameter needs none, and "1e-1" beside
// "0.1" would be two spellings of one amount.
func parseFixed(text string, places int) (int64, error) {
	whole, part, pointed := strings.Cut(text, ".")
	if whole == "" || pointed && part == "" || len(part) > places {
		return 0, errDecimal
	}
	digits := whole + part + strings.Repeat("0", places-len(part))
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, errDecimal
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, errDecimal // the text is not repeated: it may be anything
	}
	return n, nil
}

// formatFixed is the inverse of parseFixed; a negative amount does not occur in a
// valid value and is still written truthfully.
func formatFixed(n int64, places int) string {
	sign, magnitude := "", uint64(n) //nolint:gosec // the bits are wanted
	if n < 0 {
		sign, magnitude = "-", -magnitude
	}
	digits := strconv.FormatUint(magnitude, 10)
	if len(digits) <= places {
		digits = strings.Repeat("0", places+1-len(digits)) + digits
	}
	at := len(digits) - places
	part := strings.TrimRight(digits[at:], "0")
	if part == "" {
		return sign + digits[:at]
	}
	return sign + digits[:at] + "." + part
}

// saturating is the sum, or the end of the range that it would pass.
func saturating(a, b int64) int64 {
	sum := a + b
	switch {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	}
	return sum
}
