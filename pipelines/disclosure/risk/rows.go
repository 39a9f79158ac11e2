package risk

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// Limits of what is counted, so that memory is bounded by the code lists and not by
// the children. They are of the lists alone: no data decides what is left out.
const (
	maxTogether = 3       // columns that an outsider is taken to know at once
	maxClasses  = 1 << 20 // combinations of a set whose sizes are counted
	maxDoubt    = 1 << 21 // combinations times values of a sensitive column
	maxNumbers  = 1 << 25 // in all tables of a contract: 128 MB
	maxExact    = 1 << 20 // different combinations of all columns together
	// MinChildren is how many children a contract needs for anything to be told: of
	// fewer, a share of 5 % would be a handful.
	MinChildren = 200
)

// A Column is a stored column as a combination sees it: numbers below Size, 0 for an
// empty cell.
type Column struct {
	Name    string
	Title   gateway.Text
	Size    int // of the code list, and 1
	Coarser []Coarsening
}

// A Coarsening is a registered way to store less of a column.
type Coarsening struct {
	To  string // what it would be: "year instead of quarter"
	Map []int  // by number: the coarser one; 0 stays 0
}

// A Tally counts the children of one contract by what is stored of them, from their
// combinations of quasi-identifiers and sensitive values in any order. Each child
// counts once, by its first record: an outsider is taken to know one event of it.
type Tally struct {
	contract  gateway.ContractID
	quasi     []Column
	sensitive []Column
	sets      []*tabled
	left      int // sets whose code lists are too long
	room      int // numbers that tables may still have
	children  int
	held      held
	exact     map[uint64]uint32 // all columns together; nil when there are too many
}

// tabled is one set of columns with its dense tables.
type tabled struct {
	columns []int // into quasi
	sizes   []int
	counts  []uint32
	doubt   [][]uint32 // by sensitive column: class*Size + value; nil where too large
}

// NewTally prepares the tables of every set of at most three columns.
func NewTally(contract gateway.ContractID, quasi, sensitive []Column) *Tally {
	t := &Tally{contract: contract, quasi: quasi, sensitive: sensitive, exact: map[uint64]uint32{}, held: newHeld(len(quasi), len(sensitive)), room: maxNumbers}
	for together := range maxTogether { // small sets first: they get room before large ones
		for mask := 1; mask < 1<<len(quasi); mask++ {
			if bits.OnesCount(uint(mask)) == together+1 {
				t.place(mask)
			}
		}
	}
	return t
}

func (t *Tally) place(mask int) {
	s := &tabled{}
	classes := 1
	for i, c := range t.quasi {
		if mask>>i&1 == 1 {
			s.columns, s.sizes = append(s.columns, i), append(s.sizes, c.Size)
			classes *= c.Size
		}
	}
	if classes > min(maxClasses, t.room) {
		t.left++
		return
	}
	s.counts = make([]uint32, classes)
	t.room -= classes
	for _, c := range t.sensitive {
		var doubt []uint32
		if n := classes * c.Size; n <= min(maxDoubt, t.room) {
			doubt = make([]uint32, n)
			t.room -= n
		}
		s.doubt = append(s.doubt, doubt)
	}
	t.sets = append(t.sets, s)
}

// Add counts children of one combination. The numbers are in the order of the
// columns and below their sizes; n is below 2^32.
func (t *Tally) Add(quasi, sensitive []int, n int) {
	t.children += n
	t.together(quasi, n)
	for i, v := range quasi {
		t.held.quasi[i] = append(t.held.quasi[i], v)
	}
	for i, v := range sensitive {
		t.held.sensitive[i] = append(t.held.sensitive[i], v)
	}
	t.held.n = append(t.held.n, uint32(n)) //nolint:gosec // a child counts once, and there are fewer than 2^32
	if len(t.held.n) == cap(t.held.n) {
		t.count()
	}
}

// held are combinations that are not in the tables yet, by column: they go into one
// table after the other, so that each is in the processor's cache when it is written.
type held struct {
	quasi, sensitive [][]int
	n                []uint32
	at               []int // scratch: the class of each in the table at hand
}

// heldAtOnce is how many combinations wait.
const heldAtOnce = 8192

func newHeld(quasi, sensitive int) held {
	return held{make([][]int, quasi), make([][]int, sensitive), make([]uint32, 0, heldAtOnce), make([]int, heldAtOnce)}
}

// count puts what is held into the tables.
func (t *Tally) count() {
	at := t.held.at[:len(t.held.n)]
	for _, s := range t.sets {
		clear(at)
		for i, column := range s.columns {
			for r, v := range t.held.quasi[column] {
				at[r] = at[r]*s.sizes[i] + v
			}
		}
		for r, n := range t.held.n {
			s.counts[at[r]] += n
		}
		for i, doubt := range s.doubt {
			if doubt == nil {
				continue
			}
			size, values := t.sensitive[i].Size, t.held.sensitive[i]
			for r, n := range t.held.n {
				doubt[at[r]*size+values[r]] += n
			}
		}
	}
	for _, columns := range [][][]int{t.held.quasi, t.held.sensitive} {
		for i := range columns {
			columns[i] = columns[i][:0]
		}
	}
	t.held.n = t.held.n[:0]
}

// together counts what one who sees whole rows would match by.
func (t *Tally) together(quasi []int, n int) {
	if t.exact == nil {
		return
	}
	key := uint64(0)
	for i, v := range quasi {
		key = key*uint64(t.quasi[i].Size) + uint64(v) //nolint:gosec // numbers of codes
	}
	t.exact[key] += uint32(n) //nolint:gosec // as in Add
	if len(t.exact) > maxExact {
		t.exact = nil
	}
}

// Rows describes the stored rows of one contract. Shares are percentages of its
// children in steps of 5; sizes of classes are in the bands of [Band].
type Rows struct {
	Contract gateway.ContractID `json:"contract"`
	Title    gateway.Text       `json:"title"`
	Told     bool               `json:"told"` // false: fewer than 200 children
	Columns  []string           `json:"columns,omitempty"`
	Sets     []RowSet           `json:"sets,omitempty"` // riskiest first
	Together *RowSet            `json:"together,omitempty"`
	Left     int                `json:"sets_left_out,omitempty"` // code lists too long to count
}

// A RowSet tells how the children look to somebody who knows these columns.
type RowSet struct {
	Columns  []string `json:"columns"`
	Smallest Band     `json:"smallest_class"`
	Single   int      `json:"alone_percent"`
	Below3   int      `json:"below_3_percent"`
	Below10  int      `json:"below_10_percent"`
	// Guessed is the share of children that one who guesses within the class is
	// expected to get right.
	Guessed int     `json:"guessed_percent"`
	Doubt   *Doubt  `json:"least_doubt,omitempty"`
	Advice  *Advice `json:"advice,omitempty"`
}

// Doubt is l-diversity of the sensitive column that is worst off: knowing the class
// gives the value away when all of it share one.
type Doubt struct {
	Column string `json:"column"`
	// Same is the share of children in classes with a single value (distinct l of
	// 1), of classes of 3 children and more: of smaller ones the set's other figures
	// tell.
	Same int `json:"same_percent"`
	// Clear is the share in such classes with an entropy l below 2: one value
	// prevails.
	Clear int  `json:"clear_percent"`
	Least Band `json:"least_values"` // distinct values in the class with fewest
}

// A Band is a range of numbers with fixed, public bounds (disclosure.md 2.11 line
// 19).
type Band string

// The bands.
const (
	Below3  Band = "below 3"
	Below10 Band = "3 to 9"
	From10  Band = "10 and more"
)

func band(n int) Band {
	switch {
	case n < 3:
		return Below3
	case n < 10:
		return Below10
	}
	return From10
}

// Rows judges what was counted. The tally is used up.
func (t *Tally) Rows(title gateway.Text) Rows {
	t.count()
	r := Rows{Contract: t.contract, Title: title, Left: t.left}
	if t.children < MinChildren {
		return r
	}
	r.Told = true
	for _, c := range t.quasi {
		r.Columns = append(r.Columns, c.Name)
	}
	for _, s := range t.sets {
		r.Sets = append(r.Sets, t.rowSet(s))
	}
	slices.SortStableFunc(r.Sets, func(a, b RowSet) int {
		return cmp.Or(cmp.Compare(b.Below10, a.Below10), cmp.Compare(b.Single, a.Single), cmp.Compare(len(a.Columns), len(b.Columns)))
	})
	if t.exact != nil {
		var c census
		for _, n := range t.exact {
			c.add(int(n), int(n))
		}
		together := c.rowSet(r.Columns)
		r.Together = &together
	}
	return r
}

func (t *Tally) rowSet(s *tabled) RowSet {
	var names []string
	for _, i := range s.columns {
		names = append(names, t.quasi[i].Name)
	}
	c := t.census(s.counts, s.sizes)
	r := c.rowSet(names)
	r.Doubt = t.doubt(s)
	if c.below10 > 0 {
		r.Advice = t.advice(s)
	}
	return r
}

func (t *Tally) census(counts []uint32, sizes []int) census {
	classes := slices.Clone(counts)
	matching(classes, sizes)
	return judge(counts, classes)
}

func (c *census) rowSet(names []string) RowSet {
	n := float64(c.children)
	return RowSet{
		Columns: names, Smallest: band(c.smallest), Single: step(float64(c.single), n),
		Below3: step(float64(c.below3), n), Below10: step(float64(c.below10), n), Guessed: step(c.reidentif, n),
	}
}

// doubt finds the sensitive column whose values the classes give away most. Here an
// empty cell is a value of its own, as in sdcMicro's ldiversity, but one that tells
// nothing when a class shares it.
func (t *Tally) doubt(s *tabled) *Doubt {
	var worst *Doubt
	for i, table := range s.doubt {
		if table == nil {
			continue
		}
		d := t.doubtOf(s, i, table)
		if worst == nil || d.Same > worst.Same || d.Same == worst.Same && d.Clear > worst.Clear {
			worst = d
		}
	}
	return worst
}

func (t *Tally) doubtOf(s *tabled, column int, table []uint32) *Doubt {
	c := t.sensitive[column]
	same, prevails, least := 0, 0, 0
	for at, n := range s.counts {
		if n < 3 {
			continue
		}
		values := table[at*c.Size : (at+1)*c.Size]
		distinct, entropy := diversity(values)
		tells := values[0] < slices.Max(values)
		if distinct < 2 && tells {
			same += int(n)
		}
		if entropy < 2 && tells {
			prevails += int(n)
		}
		if least == 0 || distinct < least {
			least = distinct
		}
	}
	n := float64(t.children)
	return &Doubt{c.Name, step(float64(same), n), step(float64(prevails), n), band(least)}
}
