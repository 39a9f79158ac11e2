package gateway

// A CodeList is a closed list of codes. A code's number is its place in the
// list, from 1; 0 stands for an empty cell. Rows hold numbers, so a list only
// ever grows at its end.
type CodeList struct {
	ID     CodeListID
	Title  Text
	Status string // "official", "provisional" or "project"
	Source string // where the codes come from
	Codes  []Code

	byCode map[string]uint16
	length int // of every code when all are equally long, else 0
}

// A Code is one entry of a code list.
type Code struct {
	Code      string
	Title     Text
	Parent    string // a code of a coarser level of the same tree, or ""
	From      Day    // first day on which it is valid, or NoDay
	To        Day    // last day on which it is valid, or NoDay
	Successor string // the one code that replaces it after To, or ""
}

// NewCodeList indexes the codes. It reports Invalid for an empty or doubled code
// and for more than 65,535 codes.
func NewCodeList(list CodeList) (*CodeList, error) {
	if len(list.Codes) > 65535 {
		return nil, Errorf(Invalid, "code list %s: more than 65,535 codes", list.ID)
	}
	list.byCode = make(map[string]uint16, len(list.Codes))
	for i, c := range list.Codes {
		if _, doubled := list.byCode[c.Code]; doubled || c.Code == "" {
			return nil, Errorf(Invalid, "code list %s: code %q is empty or doubled", list.ID, c.Code)
		}
		list.byCode[c.Code] = uint16(i + 1)
		switch {
		case i == 0:
			list.length = len(c.Code)
		case list.length != len(c.Code):
			list.length = 0
		}
	}
	return &list, nil
}

// Number returns the number of a code. It does not allocate.
func (l *CodeList) Number(code []byte) (uint16, bool) {
	n, ok := l.byCode[string(code)]
	return n, ok
}

// Code returns the code with a number, and "" for 0 or a number out of range.
func (l *CodeList) Code(number uint16) string {
	if number == 0 || int(number) > len(l.Codes) {
		return ""
	}
	return l.Codes[number-1].Code
}

// Length returns the length in bytes of every code when all are equally long,
// else 0. Values of a field with [Field.Forms] are cut to it before look-up.
func (l *CodeList) Length() int { return l.length }

// ValidOn reports whether the code with a number is valid on a day.
func (l *CodeList) ValidOn(number uint16, day Day) bool {
	c := l.Codes[number-1]
	return (c.From == NoDay || day >= c.From) && (c.To == NoDay || day <= c.To)
}
