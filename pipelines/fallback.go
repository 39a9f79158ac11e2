package pipelines

import (
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// A fallback is where a contract has what a key of names is made of. It is used only where
// the plan says so and a record has no IIN: a record with one never has its names read.
type fallback struct {
	make          func() *pseudonym.Fallback // nil: there is none
	key           *pseudonym.Fallback        // of one worker
	family, given int                        // fields
	absent        int                        // why there is no IIN; -1: the contract does not ask
	unasked       []int64                    // its codes for children who are not to be linked by name
}

// prepareFallback compiles the fallback key of a plan. There is none in a blind file, in
// which no names are, and none beside a key server: the gateway, which must not be able
// to try identifiers there, could try names (trust.md 5.4).
func (st *stream) prepareFallback(o *Options) error {
	domain := st.program.fallback
	if domain == "" || st.blind || st.blindTo != nil || o.Keys.KeyServer() != "" {
		return nil
	}
	if domain == o.Keys.Domain() {
		return gateway.Errorf(gateway.Invalid, "the plan makes keys of names in the domain of identification numbers, which is below the floor")
	}
	s := st.schema
	one := func(part gateway.NamePart) int {
		return slices.IndexFunc(s.contract.Fields, func(f gateway.Field) bool { return f.Part == part && f.Type == gateway.TypeText && !f.Refused })
	}
	f := fallback{family: one(gateway.FamilyName), given: one(gateway.GivenName), absent: -1}
	if f.family < 0 || f.given < 0 || s.birth < 0 || s.sex < 0 {
		return gateway.Errorf(gateway.Invalid, "the plan makes keys of names, and contract %s lacks a family name, a given name, a birth date or a sex", s.contract.ID)
	}
	for i := range s.contract.Fields {
		c := &s.contract.Fields[i]
		if c.Column != gateway.ColumnAbsent || c.Type != gateway.TypeCode || c.Multi {
			continue
		}
		f.absent = i
		for _, code := range []string{gateway.AbsentAnonymous, gateway.AbsentRefused} {
			if n, known := c.List.Number([]byte(code)); known {
				f.unasked = append(f.unasked, int64(n))
			}
		}
	}
	f.make = func() *pseudonym.Fallback { return o.Keys.Fallback(domain) }
	st.fallback = f
	return nil
}

// byName returns the inner pseudonym of the current row's child by name, where the row has
// no IIN and all that it takes.
func (st *stream) byName() (inner [16]byte, linked bool) {
	f, s := &st.fallback, st.schema
	switch {
	case f.key == nil || st.slots[s.iin].given || !st.slots[f.family].given || !st.slots[f.given].given:
		return inner, false
	case !st.birth.ok || !st.slots[s.sex].ok:
		return inner, false
	case f.absent >= 0 && st.slots[f.absent].ok && slices.Contains(f.unasked, st.slots[f.absent].v):
		return inner, false
	}
	p := pseudonym.Person{Family: st.cell(f.family), Given: st.cell(f.given), Birth: st.birth.ymd}
	switch st.slots[s.sex].v {
	case s.female:
		p.Sex = 'F'
	case s.male:
		p.Sex = 'M'
	}
	if placeholder(p.Family) || placeholder(p.Given) {
		return inner, false
	}
	return f.key.Inner(&p)
}

// An unnumbered row points to a child by name.
type unnumbered struct {
	row   int // of the lot
	inner [16]byte
}

// keepNames takes back what is kept of rows that are dropped, and counts the others as
// they will be.
func (l *lot) keepNames(drops []int) {
	kept := l.names[:0]
	for _, n := range l.names {
		before, dropped := slices.BinarySearch(drops, n.row)
		if !dropped {
			kept = append(kept, unnumbered{n.row - before, n.inner})
		}
	}
	l.names = kept
}

// linkByName makes the pids of the rows that point to a child by name: it is the outer
// layer of both kinds of pids that is rotated.
func (st *stream) linkByName() {
	l, width := st.lot, len(st.program.template)
	n := len(l.names)
	if n == 0 {
		return
	}
	pids, shifts := make([][16]byte, n), make([]uint16, n)
	for i := range l.names {
		pids[i] = l.names[i].inner
	}
	st.hasher.Outer(pids, shifts)
	for i := range l.names {
		st.link(l.images[l.names[i].row*width:][:width], &pids[i], shifts[i])
	}
}
