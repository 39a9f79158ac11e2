package gateway

import (
	"errors"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// A Value is a number that the records of one contract carry and that a cube may
// add up over children (disclosure.md 2.7). Each child counts once, with a number of
// its own between Min and Max, which are public and decided without data.
//
// It exists in the cells that name its sector and nowhere else: there every child
// has a record of the contract.
type Value struct {
	ID       string     `json:"id"`
	Title    Text       `json:"title"`
	Unit     Text       `json:"unit"`
	Sector   ContractID `json:"sector"`
	Column   string     `json:"column"`    // of type Int32, -1 where the record has none
	PerChild PerChild   `json:"per_child"` // how a child's records in the cell make one number
	Min      int64      `json:"min"`       // clamps of that number, 0 <= Min < Max: the noise is in units of Max
	Max      int64      `json:"max"`
	// Precision is what sums are rounded to, at least a third of their noise's standard
	// deviation: digits below that would be noise only.
	Precision int64 `json:"precision"`
	Dominance bool  `json:"dominance,omitempty"` // hide sums that few children make up: for costs and durations, not for ages
}

// PerChild says how the records of a child become its one number.
type PerChild string

// The ways. Latest and mean need a field that is required: a child without the
// number would have none.
const (
	PerChildSum    PerChild = "sum"    // of its records; an empty field adds nothing
	PerChildMean   PerChild = "mean"   // rounded half up to a whole number
	PerChildLatest PerChild = "latest" // of the latest quarter and day, the largest
)

// MaxValue bounds Max, so that the sums of any population and their noise are
// exact in 64 bits.
const MaxValue = 1 << 20

// Value returns the value with an id, or nil.
func (d *Definition) Value(id string) *Value {
	for i := range d.Values {
		if d.Values[i].ID == id {
			return &d.Values[i]
		}
	}
	return nil
}

// SectorOf returns the place in the set of the one dimension that is the sector
// of an event, at its leaves; -1 when there is none, and so no value exists there.
func (d *Definition) SectorOf(set GroupingSet) int {
	return slices.IndexFunc(set, func(sd SetDimension) bool {
		dim := d.Dimension(sd.Name)
		return dim.Source.Kind == EventSector && sd.Level == len(dim.Levels)-1
	})
}

// StatSum follows the id of a value in the measure of its published sums.
const StatSum = "sum"

// SumOf is the measure of a value's published sums.
func SumOf(value string) Measure { return Measure(value + "." + StatSum) }

// A Band is the whole numbers from From to below Below that a node stands for, as
// Y10T14 stands for 10 to 14 years. Only of nodes with bands are there medians.
type Band struct {
	From  int `json:"from"`
	Below int `json:"below"`
}

// A Decimal is a number with a fixed number of digits after the point: 12.50 is
// {1250, 2}. What is computed from published cells is rounded to one, by integers
// alone, so that the same cells give the same bytes on every machine.
type Decimal struct {
	Digits int64
	Scale  int // digits after the point, 0 to 18
}

// String writes the number with exactly Scale digits after the point.
func (d Decimal) String() string {
	digits := strconv.FormatInt(d.Digits, 10)
	digits, negative := strings.CutPrefix(digits, "-")
	if d.Scale > 0 {
		digits = strings.Repeat("0", max(0, d.Scale+1-len(digits))) + digits
		digits = digits[:len(digits)-d.Scale] + "." + digits[len(digits)-d.Scale:]
	}
	if negative {
		return "-" + digits
	}
	return digits
}

// Float returns the number for drawing, not for further arithmetic.
func (d Decimal) Float() float64 {
	f, _ := d.Rat().Float64()
	return f
}

// Rat returns the number.
func (d Decimal) Rat() *big.Rat {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d.Scale)), nil)
	return new(big.Rat).SetFrac(big.NewInt(d.Digits), scale)
}

// MarshalJSON writes a JSON number.
func (d Decimal) MarshalJSON() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalJSON reads what MarshalJSON writes, and no other spelling.
func (d *Decimal) UnmarshalJSON(text []byte) error {
	whole, part, _ := strings.Cut(string(text), ".")
	n, err := strconv.ParseInt(whole+part, 10, 64)
	if err != nil || len(part) > 18 {
		return errors.New("not a decimal number of at most 18 digits")
	}
	read := Decimal{n, len(part)}
	if read.String() != string(text) {
		return errors.New("not a decimal number in its one spelling")
	}
	*d = read
	return nil
}
