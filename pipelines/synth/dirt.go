package synth

import (
	"strconv"

	"github.com/pana-exchange/pana/gateway"
)

// A Dirt is a record that was spoilt, and the one problem that a check of its
// file must find there.
type Dirt struct {
	File   gateway.ContractID  `json:"file"`
	Line   int                 `json:"line"` // of the file, the header is line 1
	Column gateway.FieldName   `json:"column"`
	Code   gateway.ProblemCode `json:"code"`
}

// A spot is what a record's dirt is; the line is known when it is written.
type spot struct {
	column gateway.FieldName
	code   gateway.ProblemCode
}

// spoil hands on a record after one thing about it was made wrong, or, of a
// doubled record, the record and its double.
func spoil(d *dice, r *record, c *Country, do func(*record) error) error {
	kinds := []func(*dice, *record, *Country) *spot{
		wrongCheckDigit, wrongOrder, unknownCode, futureDate, missingBasis, nil,
	}
	kind := kinds[d.IntN(len(kinds))]
	if kind == nil {
		if err := do(r); err != nil {
			return err
		}
		r.dirt = &spot{"record_id", "DUPLICATE_RECORD"}
		return do(r)
	}
	if r.dirt = kind(d, r, c); r.dirt == nil {
		r.dirt = missingBasis(d, r, c) // always possible
	}
	return do(r)
}

func wrongCheckDigit(d *dice, r *record, _ *Country) *spot {
	iin := r.cell("child_iin")
	if iin == "" {
		return nil
	}
	last := (int(iin[11]-'0') + d.between(1, 9)) % 10
	r.set("child_iin", iin[:11]+strconv.Itoa(last))
	return &spot{"child_iin", "IIN_CHECK_DIGIT"}
}

// wrongOrder dates a referral before the event that it follows.
func wrongOrder(_ *dice, r *record, c *Country) *spot {
	event, _ := gateway.ParseDay([]byte(r.cell(r.form.event)))
	birth, _ := gateway.ParseDay([]byte(r.cell("child_birth_date")))
	for _, rule := range r.form.contract.Order {
		if rule.Earlier == r.form.event && rule.Later == "referral_date" && r.cell("incident_date") == "" && birth != gateway.NoDay && event-2 >= birth {
			r.set("referral_date", c.spell(event-2))
			return &spot{"referral_date", "DATE_ORDER"}
		}
	}
	return nil
}

// unknownCode is of a field on which no other depends.
func unknownCode(_ *dice, r *record, _ *Country) *spot {
	r.set("residence_type", "ZZ")
	return &spot{"residence_type", "CODE_UNKNOWN"}
}

// futureDate is of the last date in any order of dates, a century on.
func futureDate(_ *dice, r *record, c *Country) *spot {
	year, _, _ := c.last.Date()
	day, _ := gateway.CivilDay(year+100, 1, 31)
	r.set("referral_date", c.spell(day))
	return &spot{"referral_date", "DATE_FUTURE"}
}

func missingBasis(_ *dice, r *record, _ *Country) *spot {
	r.set("legal_basis", "")
	r.set("consent_reporting", "")
	return &spot{"legal_basis", "REQUIRED"}
}
