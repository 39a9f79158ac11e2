package pipelines

import "github.com/pana-exchange/pana/gateway"

// An iinFacts is what a valid IIN says about its holder.
type iinFacts struct {
	birth slot
	male  bool
}

// parseIIN checks a Kazakh individual identification number and returns what it
// says, or the code of the first rule that it breaks. The rules are those of
// Government Resolution 565 of 11.06.2003: YYMMDD, century and sex, serial,
// check digit. Only ASCII digits are digits here: other scripts' would be
// another pseudonym for the same child.
func parseIIN(cell []byte, today gateway.Day) (iinFacts, gateway.ProblemCode) {
	for _, c := range cell {
		if c < '0' || c > '9' {
			return iinFacts{}, codeIINNotDigits
		}
	}
	if len(cell) != 12 {
		return iinFacts{}, codeIINLength
	}
	// A BIN has the same length and check digit; its fifth digit is 4, 5 or 6
	// where an IIN has the first digit of a day.
	if cell[4] >= '4' && cell[4] <= '6' {
		return iinFacts{}, codeIINIsBIN
	}
	switch check, ok := iinCheck(cell); {
	case !ok:
		return iinFacts{}, codeIINNeverIssued
	case check != cell[11]-'0':
		return iinFacts{}, codeIINCheckDigit
	}
	century := cell[6] - '0'
	switch {
	case century == 0:
		return iinFacts{}, codeIINCenturyZero
	case century > 6:
		return iinFacts{}, codeIINCentury
	}
	year := 1800 + 100*int((century-1)/2) + pair(cell[0:2])
	month, dayOfMonth := pair(cell[2:4]), pair(cell[4:6])
	day, ok := gateway.CivilDay(year, month, dayOfMonth)
	switch {
	case !ok:
		return iinFacts{}, codeIINDate
	case day > today:
		return iinFacts{}, codeIINFuture
	}
	ymd := int32(year*10000 + month*100 + dayOfMonth) //nolint:gosec // at most 20991231
	birth := slot{v: int64(day), ymd: ymd, given: true, ok: true}
	return iinFacts{birth: birth, male: century%2 == 1}, ""
}

// iinCheck returns the check digit of the first eleven digits, and false where
// both passes give 10. The weights of the second pass are those of the first
// plus 2 (mod 11), so its sum is the first plus twice the sum of the digits.
func iinCheck(cell []byte) (byte, bool) {
	weighted, digits := 0, 0
	for i, c := range cell[:11] {
		d := int(c - '0')
		weighted += d * (i + 1)
		digits += d
	}
	if s := weighted % 11; s < 10 {
		return byte(s), true
	}
	if s := (weighted + 2*digits) % 11; s < 10 {
		return byte(s), true
	}
	return 0, false
}

func pair(two []byte) int { return int(two[0]-'0')*10 + int(two[1]-'0') }

// CheckIIN returns the code of the first rule that an identification number breaks, or "".
// It is for a number that stands alone; in files every cell is checked anyway.
func CheckIIN(cell []byte, today gateway.Day) gateway.ProblemCode {
	_, code := parseIIN(cell, today)
	return code
}
