package pipelines

import (
	"bytes"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/pana-exchange/pana/gateway"
)

// A slot is one decoded cell of the current record: never an identifier and
// never text.
type slot struct {
	v     int64 // number of a code, bits of several codes, day, or count
	ymd   int32 // of dates: year*10000 + month*100 + day, of which the difference by 10000 is whole years
	given bool  // the cell is not empty
	ok    bool  // the value obeys the contract
}

// The earliest dates: of events, because no agency reports older ones, and of
// births (trust.md 6.4, B52).
var (
	oldestEvent = mustDay("2000-01-01")
	oldestBirth = mustDay("1900-01-01")
)

func mustDay(text string) gateway.Day {
	day, ok := gateway.ParseDay([]byte(text))
	if !ok {
		panic("pipelines: internal error: a constant is not a date")
	}
	return day
}

// decode reads one cell that is not empty into its slot. Of identifiers it checks
// the form only.
func (c *column) decode(s *slot, cell []byte, today gateway.Day) gateway.ProblemCode {
	switch c.kind {
	case gateway.TypeCode:
		if c.multi {
			return c.decodeCodes(s, cell)
		}
		n := c.code(cell)
		if n == 0 {
			return codeCodeUnknown
		}
		s.v, s.ok = int64(n), true
		return ""
	case gateway.TypeDate:
		return c.decodeDate(s, cell, oldestEvent, today)
	case gateway.TypeBirthDate:
		return c.decodeDate(s, cell, oldestBirth, today)
	case gateway.TypeInteger, gateway.TypeAge:
		return c.decodeNumber(s, cell)
	case gateway.TypeIdentifier:
		code := c.checkIdentifier(cell)
		s.ok = code == ""
		return code
	case gateway.TypeText, gateway.TypeIIN: // of which no slot holds anything
	}
	panic("pipelines: internal error: a cell of no type")
}

// checkText checks what is never stored. No name has a line break, but a file
// with a quotation mark left open has.
func (c *column) checkText(cell []byte, broken bool) gateway.ProblemCode {
	switch {
	case len(cell) > c.maxBytes:
		return codeTooLong
	case broken && bytes.IndexByte(cell, '\n') >= 0:
		return codeLineBreak
	}
	return ""
}

// code returns the number of one code, 0 if it is none. A longer value that has
// one of the field's forms is cut to the length of the list's codes.
func (c *column) code(cell []byte) uint16 {
	if n := c.codes.number(cell); n != 0 || len(c.forms) == 0 {
		return n
	}
	for _, form := range c.forms {
		if matches(form, cell) {
			return c.codes.number(cell[:c.length])
		}
	}
	return 0
}

// matches reports whether a value has a form: 9 stands for a digit, A for a
// capital letter, everything else for itself.
func matches(form string, cell []byte) bool {
	if len(form) != len(cell) {
		return false
	}
	for i := range len(form) {
		b := cell[i]
		switch form[i] {
		case '9':
			if b < '0' || b > '9' {
				return false
			}
		case 'A':
			if b < 'A' || b > 'Z' {
				return false
			}
		default:
			if b != form[i] {
				return false
			}
		}
	}
	return true
}

// decodeCodes reads several codes separated by "|": bit n-1 for code number n.
func (c *column) decodeCodes(s *slot, cell []byte) gateway.ProblemCode {
	set := uint64(0)
	for rest, more := cell, true; more; {
		one := rest
		i := bytes.IndexByte(rest, '|')
		if more = i >= 0; more {
			one, rest = rest[:i], rest[i+1:]
		}
		n := c.code(one)
		if n == 0 {
			return codeCodeUnknown
		}
		set |= 1 << (n - 1)
	}
	s.v, s.ok = int64(set), true
	return ""
}

// decodeNumber reads digits and nothing else: no sign, point, exponent, thousands
// separator, space or leading zero (trust.md 6.4, B53 and B54).
func (c *column) decodeNumber(s *slot, cell []byte) gateway.ProblemCode {
	n := 0
	for _, b := range cell {
		if b < '0' || b > '9' {
			return codeNumberForm
		}
		n = min(n*10+int(b-'0'), 1<<40)
	}
	switch {
	case cell[0] == '0' && len(cell) > 1:
		return codeNumberForm
	case n < c.min || n > c.max:
		return codeNumberRange
	}
	s.v, s.ok = int64(n), true
	return ""
}

// checkIdentifier refuses what would make one identifier of many, or many of one:
// placeholders, spaces around, characters that only look like others or cannot be
// seen (trust.md 6.4, B42 and B44).
func (c *column) checkIdentifier(cell []byte) gateway.ProblemCode {
	switch {
	case len(cell) > c.maxBytes:
		return codeTooLong
	case placeholder(cell):
		return codePlaceholder
	case cell[0] == ' ' || cell[len(cell)-1] == ' ':
		return codeIdentifierForm
	}
	ascii := true
	for _, b := range cell {
		if b < ' ' || b == 0x7f {
			return codeIdentifierForm
		}
		ascii = ascii && b < utf8.RuneSelf
	}
	if !ascii && !visible(cell) {
		return codeIdentifierForm
	}
	return ""
}

// visible reports whether text that is not ASCII has no compatibility characters
// (full-width digits, no-break spaces, ligatures) and none that cannot be seen.
// The numero sign is one of the former, and is in half of all document numbers.
func visible(cell []byte) bool {
	for rest := cell; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if !unicode.IsGraphic(r) || r != ' ' && unicode.IsSpace(r) {
			return false
		}
		if r >= utf8.RuneSelf && r != '№' &&
			!bytes.Equal(norm.NFKD.Properties(rest).Decomposition(), norm.NFD.Properties(rest).Decomposition()) {
			return false
		}
		rest = rest[n:]
	}
	return true
}

var placeholders = bytes.Fields([]byte(`
	- -- – — n/a na nan none nil null unknown unk undefined missing test xxx
	нет неизвестно неизвестна неизвестен отсутствует б/н жоқ белгісіз көрсетілмеген
`))

// placeholder reports whether a value stands for none: nothing but zeros, spaces
// or punctuation, or a word for it. Else all unknown children become one child
// (trust.md 6.4, B42).
func placeholder(cell []byte) bool {
	if len(cell) > 40 {
		return false
	}
	meaning := false
	for _, b := range cell {
		if b >= '1' && b <= '9' {
			return false // no word for nothing has digits
		}
		meaning = meaning || b|0x20 >= 'a' && b|0x20 <= 'z' || b >= utf8.RuneSelf
	}
	if !meaning {
		return true
	}
	return slices.ContainsFunc(placeholders, func(p []byte) bool {
		return len(p) == len(cell) && bytes.EqualFold(cell, p) // capitals have as many bytes
	})
}
