package gateway

// A Crosswalk says how the codes of one list are said in another: many to many,
// because no two classifications cut the world alike. It is read from
// configs/crosswalks, where the file says what each match means.
type Crosswalk struct {
	ID      string
	Version int
	Title   Text
	From    string // id of a code list, or of a vocabulary of others, which has a colon: "kazstat:SEX"
	To      string // likewise
	Status  string // as of a code list
	Source  string
	Pairs   []Pair // in the order of the file
}

// A Pair relates two codes, on some days.
type Pair struct {
	From, To string // To is "" for MatchNone
	Match    Match
	Since    Day // first day on which it holds, or NoDay
	Until    Day // last day, or NoDay
}

// A Match is what the code of From is to that of To (after SKOS, W3C 2009, 10).
type Match string

// The matches.
const (
	MatchExact    Match = "exact"    // the same
	MatchNarrower Match = "narrower" // a part of it
	MatchBroader  Match = "broader"  // more than it
	MatchRelated  Match = "related"  // neither, but some of the one is some of the other
	MatchNone     Match = "none"     // nothing in the other list is of the kind
)

// HoldsOn reports whether the pair holds on a day; on NoDay every pair does.
func (p *Pair) HoldsOn(day Day) bool {
	return day == NoDay || (p.Since == NoDay || day >= p.Since) && (p.Until == NoDay || day <= p.Until)
}

// Targets returns the pairs of a code of From that hold on a day.
func (c *Crosswalk) Targets(code string, on Day) []Pair {
	var pairs []Pair
	for _, p := range c.Pairs {
		if p.From == code && p.HoldsOn(on) {
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// Sources returns the pairs of a code of To that hold on a day.
func (c *Crosswalk) Sources(code string, on Day) []Pair {
	var pairs []Pair
	for _, p := range c.Pairs {
		if p.To == code && p.To != "" && p.HoldsOn(on) {
			pairs = append(pairs, p)
		}
	}
	return pairs
}
