package pipelines

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A store is what is kept of one field: one column of the row's image.
type store struct {
	kind   storeKind
	field  int
	offset int
	wide   bool     // codes and bands: two bytes instead of one
	remap  []uint16 // codes: the number of the coarser code by number; nil keeps them
	cuts   []int64  // counts: lower bounds of the bands; nil keeps them
	domain string   // keys
}

type storeKind uint8

const (
	storeCode   storeKind = iota
	storeCodes            // several codes: bits
	storeCount            // a number, or the lower bound of its band
	storeDay              // a day, shifted by the child's secret
	storeBand             // the age band at the event
	storeKey              // a keyed pseudonym of a domain
	storeRecord           // the record's own, agency-only pseudonym, which pass 2 writes
)

// A program is a plan compiled for one contract: what the row's image holds.
type program struct {
	layout    []gateway.Column
	offsets   []int  // of each column in the image; -1 for the check sum
	template  []byte // the image of a row of which nothing is kept
	stores    []store
	days      []int  // offsets of the days that are shifted
	record    int    // offset of the record's pseudonym; -1: it is not kept
	pid       bool   // the IIN becomes the pid
	domain    string // of the pid
	fallback  string // of the key of names; "": there is none
	quarter   bool   // of the event
	bandBirth bool   // the age band may come from a birth date
	bandAge   bool   // the age band may come from an age
}

// Offsets in the image of the columns that every contract stores.
const (
	offsetPID     = 0
	offsetRandom  = 16
	offsetQuarter = 24
)

// compilePlan distrusts the plan: it must be of the contract, have one action a
// field in its order, and cross none of the floors that no policy may cross.
func compilePlan(s *schema, plan *gateway.Plan) (*program, error) {
	c := s.contract
	if plan.Contract != c.ID || plan.Version != c.Version {
		return nil, errors.New("the plan is of another contract or version")
	}
	if len(plan.Fields) != len(c.Fields) {
		return nil, fmt.Errorf("the plan has %d actions for %d fields", len(plan.Fields), len(c.Fields))
	}
	p := &program{layout: c.Layout(), record: -1}
	if err := p.place(c); err != nil {
		return nil, err
	}
	stored := map[string]gateway.FieldType{}
	for i := range plan.Fields {
		f, fp := &c.Fields[i], &plan.Fields[i]
		if fp.Field != f.Name {
			return nil, fmt.Errorf("the plan has an action for field %s where the contract has %s", fp.Field, f.Name)
		}
		if fp.Do == gateway.Drop {
			continue
		}
		if err := floor(f, fp); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		if f.Column == "" {
			continue
		}
		if other, there := stored[f.Column]; there && (!isAge(other) || !isAge(f.Type)) {
			return nil, fmt.Errorf("field %s: its column is stored already", f.Name)
		}
		stored[f.Column] = f.Type
		if err := p.add(s, i, fp); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	if s.birth < 0 {
		p.bandBirth = p.bandAge // of an IIN
	}
	return p, nil
}

func isAge(t gateway.FieldType) bool {
	return t == gateway.TypeBirthDate || t == gateway.TypeAge
}

// floor is what no policy may cross: a direct identifier is never stored in
// clear, nor any date or birth date; what is not stored at all is text and what
// is refused at the door (trust.md 5.2, domain.md 3).
func floor(f *gateway.Field, fp *gateway.FieldPlan) error {
	allowed := false
	switch f.Type {
	case gateway.TypeText:
	case gateway.TypeIdentifier, gateway.TypeIIN:
		allowed = fp.Do == gateway.Pseudonymise && fp.Domain != ""
	case gateway.TypeDate, gateway.TypeBirthDate, gateway.TypeAge:
		allowed = fp.Do == gateway.Generalise
	case gateway.TypeCode, gateway.TypeInteger:
		allowed = (fp.Do == gateway.Keep || fp.Do == gateway.Generalise) && f.Role != gateway.RoleDirect
	}
	if !allowed || f.Refused {
		return fmt.Errorf("the plan would %s it, which is below the floor", fp.Do)
	}
	return nil
}

// place lays the columns out in the image, in their order, without the check sum.
func (p *program) place(c *gateway.Contract) error {
	for i, column := range p.layout {
		if i >= 4 && slices.Contains([]string{gateway.ColumnRandom, gateway.ColumnMAC, gateway.ColumnQuarter}, column.Name) {
			return fmt.Errorf("column %s is of the gateway's own", column.Name)
		}
		if column.Name == gateway.ColumnMAC {
			p.offsets = append(p.offsets, -1)
			continue
		}
		p.offsets = append(p.offsets, len(p.template))
		p.template = append(p.template, make([]byte, width(column.Type))...)
		if column.Type == gateway.Int32 {
			p.absent(c, column.Name)
		}
	}
	return nil
}

// absent writes what stands for no value in the Int32 column laid out last.
func (p *program) absent(c *gateway.Contract, name string) {
	none := int32(-1)
	for i := range c.Fields {
		if c.Fields[i].Column == name && c.Fields[i].Type == gateway.TypeDate {
			none = int32(gateway.NoDay)
		}
	}
	binary.LittleEndian.PutUint32(p.template[len(p.template)-4:], uint32(none)) //nolint:gosec // bits
}

func width(t gateway.ColumnType) int {
	switch t {
	case gateway.Uint8:
		return 1
	case gateway.Uint16:
		return 2
	case gateway.Int32:
		return 4
	case gateway.Uint64:
		return 8
	case gateway.ID:
		return 16
	}
	panic("pipelines: internal error: a column of no type")
}

// add compiles one action.
func (p *program) add(s *schema, i int, fp *gateway.FieldPlan) error {
	f := &s.contract.Fields[i]
	at := slices.IndexFunc(p.layout, func(c gateway.Column) bool { return c.Name == f.Column })
	st := store{field: i, offset: p.offsets[at], domain: fp.Domain}
	wants := gateway.ID
	switch f.Type {
	case gateway.TypeIIN:
		p.pid, p.domain, p.fallback = true, fp.Domain, fp.Fallback
		return nil
	case gateway.TypeIdentifier:
		st.kind = storeKey
		if i == s.record {
			st.kind, p.record = storeRecord, st.offset
		}
	case gateway.TypeDate:
		wants = gateway.Int32
		st.kind = storeDay
		p.quarter = p.quarter || f.Event
		if !fp.Day {
			return nil
		}
	case gateway.TypeBirthDate, gateway.TypeAge:
		p.bandBirth = p.bandBirth || f.Type == gateway.TypeBirthDate
		p.bandAge = p.bandAge || f.Type == gateway.TypeAge
		st.kind, st.wide, wants = storeBand, len(f.List.Codes) > 255, codeColumn(f.List)
	case gateway.TypeInteger:
		st.kind, wants = storeCount, gateway.Int32
		if err := st.cut(f, fp); err != nil {
			return err
		}
	case gateway.TypeCode:
		st.kind, st.wide, wants = storeCode, len(f.List.Codes) > 255, codeColumn(f.List)
		if f.Multi {
			st.kind, wants = storeCodes, gateway.Uint64
		}
		if err := st.coarsen(f, fp); err != nil {
			return err
		}
	case gateway.TypeText:
		return errors.New("text is never stored")
	}
	if p.layout[at].Type != wants || f.Column == gateway.ColumnPID {
		return errors.New("its column is of another type")
	}
	if st.kind == storeDay {
		p.days = append(p.days, st.offset)
	}
	p.stores = append(p.stores, st)
	return nil
}

func codeColumn(list *gateway.CodeList) gateway.ColumnType {
	if len(list.Codes) > 255 {
		return gateway.Uint16
	}
	return gateway.Uint8
}

// cut compiles the bands of a number.
func (s *store) cut(f *gateway.Field, fp *gateway.FieldPlan) error {
	if fp.Do == gateway.Keep {
		return nil
	}
	if len(fp.Cuts) == 0 || fp.Cuts[0] < 0 || fp.Cuts[0] > f.Min {
		return errors.New("its bands do not start at or below its least value")
	}
	for i, cut := range fp.Cuts {
		if i > 0 && cut <= fp.Cuts[i-1] {
			return errors.New("its bands do not ascend")
		}
		s.cuts = append(s.cuts, int64(cut))
	}
	return nil
}

// coarsen compiles a shorter code for every code of the list. The shorter code
// must be in the list, because rows hold numbers of it.
func (s *store) coarsen(f *gateway.Field, fp *gateway.FieldPlan) error {
	if fp.Do == gateway.Keep || fp.Keep == 0 {
		return nil
	}
	if fp.Keep < 0 {
		return errors.New("it would keep less than nothing of a code")
	}
	remap := make([]uint16, len(f.List.Codes)+1)
	coarser := false
	for i := range f.List.Codes {
		code := f.List.Codes[i].Code
		short := code[:min(len(code), fp.Keep)]
		n, ok := f.List.Number([]byte(short))
		if !ok {
			return fmt.Errorf("its list has no codes of %d characters", fp.Keep)
		}
		remap[i+1] = n
		coarser = coarser || short != code
	}
	if coarser {
		s.remap = remap
	}
	return nil
}
