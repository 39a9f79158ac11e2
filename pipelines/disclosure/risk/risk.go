// Package risk is the page that a data protection officer reads before approving a
// release: what the release answers, what is hidden and why, what an attacker could
// do and how well it went on invented children, and what the stored rows look like.
//
// A build makes a [Page] once, at its end, from the summary of the protected cells,
// the budget, one [Tally] a contract and the result of the attacks on a [Twin].
// [Page.Canonical] is what is stored, in canonical JSON (RFC 8785); [Digest] of it
// is what the officer approves, and it holds the digest of the cells. [Parse] reads
// it back, and [Page.Text] is the page for people.
//
// It will not hold a cell, a count of children, or a share finer than 5 %; nothing
// on it compares a count with a number that a reader chose: bands and thresholds are
// fixed and public (disclosure.md 2.11 line 19). It knows no database and no policy.
package risk

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// version is of the page's form: another would be read wrongly.
const version = 1

// A Page describes a release for whoever approves it.
type Page struct {
	Version    int                `json:"v"`
	Release    gateway.ReleaseID  `json:"release"`
	Built      time.Time          `json:"built"` // in whole seconds
	Snapshot   uint64             `json:"snapshot"`
	From       string             `json:"from"` // first quarter
	To         string             `json:"to"`   // last quarter
	Cells      string             `json:"cells_digest"`
	Definition string             `json:"definition_digest"` // SHA-256 of the pinned definition and rules, RFC 8785
	Policy     gateway.Revision   `json:"policy"`
	Notice     string             `json:"notice"` // about the policies in force
	K          int                `json:"k"`      // the lowest threshold
	V          float64            `json:"v_declared"`
	Needed     float64            `json:"v_needed"`
	Deviation  int                `json:"largest_deviation"` // D1 + D2
	Cubes      []Cube             `json:"cubes"`
	Hidden     disclosure.Summary `json:"hidden"`
	Attackers  []Attacker         `json:"attackers"`
	Widths     disclosure.Widths  `json:"widths"`
	Twin       *Twin              `json:"twin"` // null: the attacks were not run
	// Of the profiles other than the interactive one: which, and in words what protects.
	Profile    gateway.Profile `json:"profile,omitempty"`
	Protection string          `json:"protection,omitempty"`
	Rows       []Rows          `json:"rows"`
	Reports    []Reports       `json:"reports"`
}

// A Cube is what the release lets people ask.
type Cube struct {
	ID         string            `json:"cube"`
	Title      gateway.Text      `json:"title"`
	Grain      gateway.Grain     `json:"grain"`
	Cap        int               `json:"cap"`
	Measures   []gateway.Measure `json:"measures"`
	Dimensions []Dimension       `json:"dimensions"`
}

// A Dimension is one way to split a cube.
type Dimension struct {
	Name  string       `json:"name"`
	Title gateway.Text `json:"title"`
	Codes int          `json:"codes"`
}

// An Attacker is the best linear one who combines every published number about one
// cell: what is left of the noise for cells that name this many dimensions
// (disclosure.md 2.5).
type Attacker struct {
	Dimensions int     `json:"dimensions"`
	A          float64 `json:"a"`
	Deviation  float64 `json:"sd"` // sqrt(V/A)
}

// A Twin is how the attacks went on a release of invented children that was made
// from the definition and the rules alone.
type Twin struct {
	Children int      `json:"children"` // invented ones
	Keys     int      `json:"keys"`     // noise keys, each with children of its own
	Attacks  []Attack `json:"attacks"`
}

// An Attack is one measure of one attack on the twin.
type Attack struct {
	Name    string  `json:"name"` // "A2 parent less siblings"
	Measure string  `json:"measure"`
	Verdict string  `json:"verdict"` // in words: what, how far it got, and how far it may
	Value   float64 `json:"value"`   // of the measure, to three digits
	Bar     string  `json:"bar"`
	Held    bool    `json:"held"`    // the release withstood it
	Working bool    `json:"working"` // the attack breaks what is unprotected, so that its failing means something
}

// Reports is how complete a sector's reports are for the window, by region and
// quarter: from registrations and accepted batches, never from rows.
type Reports struct {
	Contract gateway.ContractID `json:"contract"`
	Title    gateway.Text       `json:"title"`
	Places   int                `json:"places"` // regions and quarters
	Complete int                `json:"complete"`
}

// Attackers reads the attackers off a budget.
func Attackers(b *disclosure.Budget) []Attacker {
	list := make([]Attacker, 0, len(b.Depths))
	for _, d := range b.Depths {
		a := Attacker{Dimensions: d.Dimensions, A: math.Round(d.A*1000) / 1000}
		if d.A > 0 {
			a.Deviation = math.Round(math.Sqrt(b.V/d.A)*100) / 100
		}
		list = append(list, a)
	}
	return list
}

// Cubes reads off a definition what it lets people ask.
func Cubes(d *gateway.Definition) []Cube {
	list := make([]Cube, 0, len(d.Cubes))
	for i := range d.Cubes {
		c := &d.Cubes[i]
		cube := Cube{ID: c.ID, Title: c.Title, Grain: c.Grain, Cap: c.Cap, Measures: c.Measures}
		for _, name := range c.Dimensions {
			if dim := d.Dimension(name); dim != nil {
				cube.Dimensions = append(cube.Dimensions, Dimension{dim.Name, dim.Title, len(dim.Nodes)})
			}
		}
		list = append(list, cube)
	}
	return list
}

// Canonical returns the one encoding of the page, RFC 8785.
func (p *Page) Canonical() ([]byte, error) {
	p.Version = version
	p.Built = p.Built.UTC().Truncate(time.Second)
	return Canonical(p)
}

// Canonical returns anything in canonical JSON.
func Canonical(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding a risk page: %w", err)
	}
	text, err = jcs.Transform(text)
	if err != nil {
		return nil, fmt.Errorf("encoding a risk page canonically: %w", err)
	}
	return text, nil
}

// Digest is the SHA-256 of canonical bytes in hex: what an approval names.
func Digest(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

var errPage = errors.New("risk: not a risk page that this version reads")

// Parse reads a page from any JSON of it and returns its canonical bytes too: a
// reader compares [Digest] of them with what the registry says, so that white space
// on the way changes nothing. Unknown fields are refused: they would be approved
// unread.
func Parse(text []byte) (*Page, []byte, error) {
	canonical, err := jcs.Transform(text)
	if err != nil {
		return nil, nil, errPage
	}
	var p Page
	if json.Unmarshal(canonical, &p) != nil || p.Version != version {
		return nil, nil, errPage
	}
	again, err := Canonical(&p)
	if err != nil || string(again) != string(canonical) {
		return nil, nil, errPage
	}
	return &p, canonical, nil
}
