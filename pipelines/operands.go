package pipelines

import (
	"bytes"
	"cmp"
	"errors"

	"github.com/pana-exchange/pana/gateway"
)

// An operand is one side of a comparison, compiled.
type operand struct {
	kind   operandKind
	field  int      // slot of a field, or word of the batch
	codes  [][]byte // of operandCode: the text of each number
	list   *gateway.CodeList
	text   []byte // of a literal
	number float64
	day    gateway.Day // of a literal or batch word that is a date, else NoDay
}

type operandKind uint8

const (
	operandNone    operandKind = iota // nothing that row rules see
	operandCode                       // a field: text of one code
	operandSet                        // a field: several codes
	operandDate                       // a field: an ISO date
	operandNumber                     // a field: a number
	operandBatch                      // a word of the batch
	operandText                       // a literal text
	operandLiteral                    // a literal number
)

// visible returns the slot of a field and what row rules see of it: codes, dates
// and counts; never identifiers, text or the birth date, of which they see the
// derived age and days.
func (s *schema) visible(name gateway.FieldName) (int, operandKind) {
	switch name {
	case gateway.DerivedAge:
		return len(s.columns), operandNumber
	case gateway.DerivedDays:
		return len(s.columns) + 1, operandNumber
	}
	i := s.index(name)
	if i < 0 {
		return 0, operandNone
	}
	switch f := s.columns[i].field; f.Type {
	case gateway.TypeCode:
		if f.Multi {
			return i, operandSet
		}
		return i, operandCode
	case gateway.TypeDate:
		return i, operandDate
	case gateway.TypeInteger:
		return i, operandNumber
	case gateway.TypeText, gateway.TypeIdentifier, gateway.TypeIIN, gateway.TypeBirthDate, gateway.TypeAge:
	}
	return i, operandNone
}

func (s *schema) operand(o *gateway.Operand) (*operand, error) {
	switch o.Kind {
	case gateway.FieldOperand:
		i, kind := s.visible(gateway.FieldName(o.Name))
		if kind == operandNone {
			return nil, errors.New("it is about a field that row rules do not see")
		}
		c := &operand{kind: kind, field: i, day: gateway.NoDay}
		if kind == operandCode || kind == operandSet {
			c.list = s.columns[i].field.List
			c.codes = [][]byte{nil}
			for _, code := range c.list.Codes {
				c.codes = append(c.codes, []byte(code.Code))
			}
		}
		return c, nil
	case gateway.BatchOperand:
		for i, name := range batchNames {
			if name == o.Name {
				return &operand{kind: operandBatch, field: i, day: gateway.NoDay}, nil
			}
		}
		return nil, errors.New("it is about a word that batches do not have")
	case gateway.TextOperand:
		day, _ := gateway.ParseDay([]byte(o.Text))
		return &operand{kind: operandText, text: []byte(o.Text), day: day}, nil
	case gateway.NumberOperand:
		return &operand{kind: operandLiteral, number: o.Number, day: gateway.NoDay}, nil
	}
	return nil, errors.New("it has an unknown operand")
}

func (o *operand) numeric() bool { return o.kind == operandNumber || o.kind == operandLiteral }

func (o *operand) present(f *facts) bool {
	switch o.kind {
	case operandCode, operandSet, operandDate, operandNumber:
		return f.slots[o.field].ok
	case operandBatch:
		return f.batch[o.field].text != nil
	case operandNone, operandText, operandLiteral:
	}
	return true
}

// A dateText is room for the text of a date.
type dateText [10]byte

// textOf returns the text of an operand that has one and is present.
func (o *operand) textOf(f *facts, room *dateText) []byte {
	switch o.kind {
	case operandCode:
		return o.codes[f.slots[o.field].v]
	case operandDate:
		year, month, day := gateway.Day(f.slots[o.field].v).Date() //nolint:gosec // a day
		room.set(0, year/100)
		room.set(2, year%100)
		room[4], room[7] = '-', '-'
		room.set(5, month)
		room.set(8, day)
		return room[:]
	case operandBatch:
		return f.batch[o.field].text
	case operandText:
		return o.text
	case operandNone, operandSet, operandNumber, operandLiteral:
	}
	return nil
}

func (t *dateText) set(at, n int) {
	t[at], t[at+1] = "0123456789"[n/10], "0123456789"[n%10]
}

func (o *operand) numberOf(f *facts) float64 {
	if o.kind == operandLiteral {
		return o.number
	}
	return float64(f.slots[o.field].v)
}

// compileLeaf compiles one comparison. Where an operand is absent it is false.
func compileLeaf(op gateway.Op, left, right *operand) (predicate, error) {
	if op == gateway.Has {
		return compileHas(left, right)
	}
	if left.kind == operandSet || right.kind == operandSet {
		return nil, errors.New("several codes are compared as if they were one")
	}
	if op == gateway.StartsWith || op == gateway.EndsWith || op == gateway.Contains {
		return compileAffix(op, left, right)
	}
	if op == gateway.In {
		op = gateway.Equal
	}
	if left.kind == operandDate && right.day != gateway.NoDay {
		day, field := int64(right.day), left.field
		return func(f *facts) bool { return f.slots[field].ok && satisfies(op, cmp.Compare(f.slots[field].v, day)) }, nil
	}
	if left.kind == right.kind && (left.kind == operandDate || left.kind == operandNumber) {
		return func(f *facts) bool {
			a, b := &f.slots[left.field], &f.slots[right.field]
			return a.ok && b.ok && satisfies(op, cmp.Compare(a.v, b.v))
		}, nil
	}
	return func(f *facts) bool {
		return left.present(f) && right.present(f) && satisfies(op, compare(f, left, right))
	}, nil
}

// compare orders two present operands as Rego does: numbers before text.
func compare(f *facts, left, right *operand) int {
	switch a, b := left.numeric(), right.numeric(); {
	case a && b:
		return cmp.Compare(left.numberOf(f), right.numberOf(f))
	case a:
		return -1
	case b:
		return 1
	}
	var x, y dateText
	return bytes.Compare(left.textOf(f, &x), right.textOf(f, &y))
}

func satisfies(op gateway.Op, order int) bool {
	switch op {
	case gateway.Equal:
		return order == 0
	case gateway.Unequal:
		return order != 0
	case gateway.Less:
		return order < 0
	case gateway.AtMost:
		return order <= 0
	case gateway.Greater:
		return order > 0
	case gateway.AtLeast:
		return order >= 0
	default:
		panic("pipelines: internal error: an operation that does not compare")
	}
}

// compileHas compiles "left holds right", left being a field of several codes.
func compileHas(left, right *operand) (predicate, error) {
	if left.kind != operandSet || right.kind == operandSet {
		return nil, errors.New("it asks one code whether it holds another")
	}
	if right.kind == operandText {
		bit := bitOf(left.list, right.text)
		return func(f *facts) bool { return f.slots[left.field].ok && uint64(f.slots[left.field].v)&bit != 0 }, nil //nolint:gosec // bits
	}
	if right.numeric() {
		return func(*facts) bool { return false }, nil
	}
	return func(f *facts) bool {
		var room dateText
		return left.present(f) && right.present(f) &&
			uint64(f.slots[left.field].v)&bitOf(left.list, right.textOf(f, &room)) != 0 //nolint:gosec // bits
	}, nil
}

func bitOf(list *gateway.CodeList, code []byte) uint64 {
	if n, ok := list.Number(code); ok {
		return 1 << (n - 1)
	}
	return 0
}

func compileAffix(op gateway.Op, left, right *operand) (predicate, error) {
	if left.numeric() || right.numeric() {
		return nil, errors.New("it looks for text in a number")
	}
	test := bytes.Contains
	switch op {
	case gateway.StartsWith:
		test = bytes.HasPrefix
	case gateway.EndsWith:
		test = bytes.HasSuffix
	default:
	}
	return func(f *facts) bool {
		var x, y dateText
		return left.present(f) && right.present(f) && test(left.textOf(f, &x), right.textOf(f, &y))
	}, nil
}

// tabulate replaces comparisons of one coded field with literals by a table of
// the numbers for which they hold: the same predicates, asked once for each code.
func tabulate(left *operand, either []predicate, rights []*operand) (predicate, bool) {
	if left.kind != operandCode {
		return nil, false
	}
	for _, r := range rights {
		if r.kind != operandText && r.kind != operandLiteral {
			return nil, false
		}
	}
	slots := make([]slot, left.field+1)
	f := facts{slots: slots}
	holds := make([]bool, len(left.codes))
	for n := 1; n < len(holds); n++ {
		slots[left.field] = slot{v: int64(n), given: true, ok: true}
		holds[n] = anyOf(either)(&f)
	}
	field := left.field
	return func(f *facts) bool { return f.slots[field].ok && holds[f.slots[field].v] }, true
}
