package gateway_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

func TestErrorsHaveTwoAudiences(t *testing.T) {
	err := fmt.Errorf("loading: %w", &gateway.Error{Kind: gateway.Conflict, Detail: "another attempt is under way", Err: errors.New("cause")})
	if !errors.Is(err, gateway.Conflict) || errors.Is(err, gateway.Invalid) {
		t.Error("errors.Is does not tell the kind")
	}
	if strings.Contains(err.Error(), "cause") {
		t.Error("the operator's cause stands beside the detail")
	}
	if gateway.Kind(99).Error() != gateway.Internal.Error() {
		t.Error("an unknown kind is not internal")
	}
}

func TestProblemsKeepCountsBeyondTheLimit(t *testing.T) {
	var p gateway.Problems
	for line := range 10 {
		p.Add(gateway.RowError{Line: line, Field: "child_iin", Code: "IIN_CHECK_DIGIT"}, 3)
	}
	if len(p.First) != 3 || p.Omitted != 7 || p.Counts[gateway.ColumnProblem{Field: "child_iin", Code: "IIN_CHECK_DIGIT"}] != 10 {
		t.Errorf("problems are %+v", p)
	}
}

func TestCodeList(t *testing.T) {
	list, err := gateway.NewCodeList(gateway.CodeList{ID: "sex", Codes: []gateway.Code{{Code: "F"}, {Code: "M"}, {Code: "_U"}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range list.Codes {
		n, ok := list.Number([]byte(c.Code))
		if !ok || int(n) != i+1 || list.Code(n) != c.Code {
			t.Errorf("code %s has number %d", c.Code, n)
		}
	}
	if list.Code(0) != "" || list.Code(4) != "" || list.Length() != 0 {
		t.Error("numbers out of range have codes, or codes of unequal length have one")
	}
	_, err = gateway.NewCodeList(gateway.CodeList{ID: "sex", Codes: []gateway.Code{{Code: "F"}, {Code: "F"}}})
	if !errors.Is(err, gateway.Invalid) {
		t.Errorf("a doubled code gives %v", err)
	}
}

func TestLayoutDependsOnTheContractAlone(t *testing.T) {
	bands, _ := gateway.NewCodeList(gateway.CodeList{ID: "age_band", Codes: []gateway.Code{{Code: "Y0T4"}}})
	c := gateway.Contract{Fields: []gateway.Field{
		{Name: "child_iin", Type: gateway.TypeIIN, Column: "pid"},
		{Name: "name", Type: gateway.TypeText},
		{Name: "birth", Type: gateway.TypeBirthDate, List: bands, Column: "age"},
		{Name: "years", Type: gateway.TypeAge, List: bands, Column: "age"},
		{Name: "needs", Type: gateway.TypeCode, List: bands, Multi: true, Column: "needs"},
		{Name: "report_date", Type: gateway.TypeDate, Event: true, Column: "day"},
	}}
	want := "[{pid 4} {rnd 2} {chk 2} {quarter 1} {age 0} {needs 2} {day 3}]"
	if got := fmt.Sprint(c.Layout()); got != want {
		t.Errorf("layout is %s, want %s", got, want)
	}
}

func TestHorizonStopsAtTheFirstGap(t *testing.T) {
	from, _ := gateway.ParseQuarter("2024Q1")
	c := gateway.Coverage{Full: map[gateway.ContractID]map[string][]gateway.Quarter{
		"social": {"61": {from, from + 1, from + 3}, "62": {from + 1}},
	}}
	if got := c.Horizon("social", "61", from); got != from+1 {
		t.Errorf("horizon is %s", got)
	}
	if c.Horizon("social", "62", from) != 0 || c.Horizon("police", "61", from) != 0 {
		t.Error("a sector that did not report has a horizon")
	}
}
