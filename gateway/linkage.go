package gateway

import (
	"fmt"
	"maps"
	"slices"
)

// A Linkage counts how the records of a batch that were taken point to children
// (domain.md 3.1, I16). It is counted while the file is read, so that an agency has it
// with its receipt, and is of that file alone: nothing in it depends on what anybody
// else has sent (trust.md 6.1). Outside the agency and its steward it is told in bands
// only: see [Quality].
type Linkage struct {
	Identified  int `json:"identified"`  // a valid IIN
	Disagreeing int `json:"disagreeing"` // of these: the column of birth date or sex says otherwise
	Fallback    int `json:"fallback"`    // no IIN, but a key of names, birth date and sex
	Unlinkable  int `json:"unlinkable"`  // neither: counted as a contact, never as a child
}

// Records is how many records there were.
func (l Linkage) Records() int { return l.Identified + l.Fallback + l.Unlinkable }

// Linkable is how many of them point to a child.
func (l Linkage) Linkable() int { return l.Identified + l.Fallback }

// Plus returns the counts of two together.
func (l Linkage) Plus(o Linkage) Linkage {
	return Linkage{l.Identified + o.Identified, l.Disagreeing + o.Disagreeing, l.Fallback + o.Fallback, l.Unlinkable + o.Unlinkable}
}

// Bands returns what may be told of the counts.
func (l Linkage) Bands() LinkageBands {
	n := l.Records()
	return LinkageBands{
		Linkable: ShareBandOf(l.Linkable(), n), Identified: ShareBandOf(l.Identified, n),
		Disagreeing: ShareBandOf(l.Disagreeing, n), Fallback: ShareBandOf(l.Fallback, n),
	}
}

// LinkageBands are the shares of records in bands. All are of the records; what is not
// linkable has neither IIN nor fallback key. A band that is not told is "".
type LinkageBands struct {
	Linkable    ShareBand `json:"linkable,omitempty"`
	Identified  ShareBand `json:"identified,omitempty"`
	Disagreeing ShareBand `json:"disagreeing,omitempty"`
	Fallback    ShareBand `json:"fallback,omitempty"`
}

// A ShareBand is a share in bands of 10 %: "80-90" is from 80 % on and below 90 %, and
// "90-100" has 100 % in it. "" is not told.
type ShareBand string

// ShareBandOf returns the band of a part of a whole; of nothing there is none.
func ShareBandOf(part, whole int) ShareBand {
	if whole <= 0 || part < 0 || part > whole {
		return ""
	}
	from := min(part*10/whole, 9) * 10
	return ShareBand(fmt.Sprintf("%d-%d", from, from+10))
}

// Least returns the lower of two bands; one that is not told is the lowest, because
// nobody can rely on it.
func (b ShareBand) Least(o ShareBand) ShareBand {
	if b.from() < o.from() {
		return b
	}
	return o
}

func (b ShareBand) from() int {
	from, to := 0, 0
	if n, _ := fmt.Sscanf(string(b), "%d-%d", &from, &to); n != 2 {
		return -1
	}
	return from
}

// A ReportedBand says how much of what was expected has been accepted.
type ReportedBand string

// The bands of reporting.
const (
	ReportedAll  ReportedBand = "complete"
	ReportedMost ReportedBand = "90" // 90 % or more, and not all
	ReportedHalf ReportedBand = "50" // from 50 % on, and below 90 %
	ReportedLess ReportedBand = "below_50"
	ReportedNone ReportedBand = "none"
)

// ReportedBandOf returns the band of what was accepted of what was expected. Where
// nothing was expected it is "".
func ReportedBandOf(accepted, expected int) ReportedBand {
	switch {
	case expected <= 0:
		return ""
	case accepted <= 0:
		return ReportedNone
	case accepted >= expected:
		return ReportedAll
	case accepted*10 >= expected*9:
		return ReportedMost
	case accepted*2 >= expected:
		return ReportedHalf
	}
	return ReportedLess
}

// A TimelyBand says how long after the end of their periods batches are accepted, half
// of them at least.
type TimelyBand string

// The bands of timeliness, in days.
const (
	Within15 TimelyBand = "0-15"
	Within30 TimelyBand = "16-30"
	Within90 TimelyBand = "31-90"
	Over90   TimelyBand = "over_90"
)

// TimelyBandOf returns the band of a number of days.
func TimelyBandOf(days int) TimelyBand {
	switch {
	case days <= 15:
		return Within15
	case days <= 30:
		return Within30
	case days <= 90:
		return Within90
	}
	return Over90
}

// Quality is what a release says of the reports that it was made from: nothing but
// bands, of batches and of shares of records. It is pinned when the release is built.
type Quality struct {
	Agencies []AgencyQuality `json:"agencies"` // by contract and id
	Places   []PlaceQuality  `json:"places"`   // by contract and region
	Sectors  []SectorQuality `json:"sectors"`  // by contract
}

// QualityChildren is how many children an agency must have reported for its linkage to
// be told: of fewer, a band of 10 % would be about some twenty of them.
const QualityChildren = 200

// An AgencyQuality is how an agency has reported what a release counts of it.
type AgencyQuality struct {
	Agency   AgencyID     `json:"agency"`
	Contract ContractID   `json:"contract"`
	Title    Text         `json:"title"`
	Regions  []string     `json:"regions"`
	Reported ReportedBand `json:"reported,omitempty"`
	Timely   TimelyBand   `json:"timely,omitempty"`
	Linkage  LinkageBands `json:"linkage"` // nothing for fewer than [QualityChildren] children
}

// A PlaceQuality is how the agencies of a sector have reported for a region.
type PlaceQuality struct {
	Contract ContractID   `json:"contract"`
	Region   string       `json:"region"`
	Reported ReportedBand `json:"reported,omitempty"`
	Timely   TimelyBand   `json:"timely,omitempty"`
	Through  Quarter      `json:"through,omitempty"` // the last quarter of the window without a gap before it; 0: none
}

// A SectorQuality is how the agencies of a sector have reported. Its linkage is of the
// agencies whose own is told: whether another, smaller one would bring the sector over a
// limit is for nobody to try out.
type SectorQuality struct {
	Contract ContractID   `json:"contract"`
	Reported ReportedBand `json:"reported,omitempty"`
	Timely   TimelyBand   `json:"timely,omitempty"`
	Linkage  LinkageBands `json:"linkage"`
}

// Linkable returns the linkable share of what rests on several sectors, the lowest of
// theirs; of all where none is named. It is "" where one is not told.
func (q *Quality) Linkable(sectors ...ContractID) ShareBand {
	if q == nil {
		return ""
	}
	told := map[ContractID]ShareBand{}
	for _, s := range q.Sectors {
		told[s.Contract] = s.Linkage.Linkable
	}
	if len(sectors) == 0 {
		sectors = slices.Collect(maps.Keys(told))
	}
	if len(sectors) == 0 {
		return ""
	}
	least := told[sectors[0]]
	for _, s := range sectors[1:] {
		least = least.Least(told[s])
	}
	return least
}
