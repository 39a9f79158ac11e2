package policies_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/policies"
)

// rulesOf compiles row rules of the school contract.
func rulesOf(t *testing.T, source string, changes ...map[string]string) ([]gateway.RowRule, error) {
	t.Helper()
	s, err := policies.Compile(t.Context(), planning(t, merged(append(changes, rows(source))...)))
	if err != nil {
		return nil, err
	}
	plan, err := s.Plan(t.Context(), school(t))
	return plan.Refuse, err
}

func not(e gateway.Expr) gateway.Expr { return gateway.Expr{Op: gateway.Not, Args: []gateway.Expr{e}} }

func all(args ...gateway.Expr) gateway.Expr { return gateway.Expr{Op: gateway.And, Args: args} }

func either(args ...gateway.Expr) gateway.Expr { return gateway.Expr{Op: gateway.Or, Args: args} }

func present(name string) gateway.Expr {
	return gateway.Expr{Op: gateway.Present, Left: field(name)}
}

func op(o gateway.Op, left gateway.Operand, right ...gateway.Operand) gateway.Expr {
	return gateway.Expr{Op: o, Left: left, Right: right}
}

func numeral(n float64) gateway.Operand {
	return gateway.Operand{Kind: gateway.NumberOperand, Number: n}
}

func word(name string) gateway.Operand {
	return gateway.Operand{Kind: gateway.BatchOperand, Name: name}
}

// Each form of condition, and what it becomes.
func TestRowRuleForms(t *testing.T) {
	for body, want := range map[string]gateway.Expr{
		`input.record.kind == "A"`:                         equal("kind", "A"),
		`"A" == input.record.kind`:                         equal("kind", "A"),
		`input.record.kind = "A"`:                          equal("kind", "A"),
		`input.record["kind"] != "A"`:                      op(gateway.Unequal, field("kind"), literal("A")),
		`input.record.kind < "B"`:                          op(gateway.Less, field("kind"), literal("B")),
		`"B" < input.record.kind`:                          op(gateway.Greater, field("kind"), literal("B")),
		`input.record.days <= 3`:                           op(gateway.AtMost, field("days"), numeral(3)),
		`3 <= input.record.days`:                           op(gateway.AtLeast, field("days"), numeral(3)),
		`input.record.age >= 14`:                           op(gateway.AtLeast, field("age"), numeral(14)),
		`input.record.days_since_birth > 27.5`:             op(gateway.Greater, field("days_since_birth"), numeral(27.5)),
		`input.record.kind == input.record.other`:          op(gateway.Equal, field("kind"), field("other")),
		`input.record.happened < input.record.reported`:    op(gateway.Less, field("happened"), field("reported")),
		`input.record.happened < input.batch.period_to`:    op(gateway.Less, field("happened"), word("period_to")),
		`input.batch.period_to > input.record.happened`:    op(gateway.Greater, word("period_to"), field("happened")),
		`input.record.happened >= "2024-02-29"`:            op(gateway.AtLeast, field("happened"), literal("2024-02-29")),
		`input.batch.kind == "original"`:                   op(gateway.Equal, word("kind"), literal("original")),
		`input.record.kind in ["A", "C"]`:                  op(gateway.In, field("kind"), literal("A"), literal("C")),
		`input.record.kind in {"A", "C"}`:                  op(gateway.In, field("kind"), literal("A"), literal("C")),
		`input.record.days in [1, 2]`:                      op(gateway.In, field("days"), numeral(1), numeral(2)),
		`"A" in input.record.many`:                         op(gateway.Has, field("many"), literal("A")),
		`startswith(input.record.kind, "A")`:               op(gateway.StartsWith, field("kind"), literal("A")),
		`endswith(input.record.kind, "A")`:                 op(gateway.EndsWith, field("kind"), literal("A")),
		`contains(input.record.kind, "B")`:                 op(gateway.Contains, field("kind"), literal("B")),
		`startswith(input.record.happened, "2024-")`:       op(gateway.StartsWith, field("happened"), literal("2024-")),
		`input.record.kind`:                                present("kind"),
		`input.record.many`:                                present("many"),
		`input.batch.period_from`:                          op(gateway.Present, word("period_from")),
		`not input.record.kind`:                            not(present("kind")),
		`not input.record.kind == "A"`:                     not(equal("kind", "A")),
		`not input.record.kind in ["A", "C"]`:              all(present("kind"), not(op(gateway.In, field("kind"), literal("A"), literal("C")))),
		`not input.record.days < 3`:                        all(present("days"), not(op(gateway.Less, field("days"), numeral(3)))),
		`not startswith(input.record.kind, "A")`:           all(present("kind"), not(op(gateway.StartsWith, field("kind"), literal("A")))),
		`input.record.kind == "A"; input.record.other`:     all(equal("kind", "A"), present("other")),
		`x := input.record.days; x > 3; x < 9`:             all(op(gateway.Greater, field("days"), numeral(3)), op(gateway.Less, field("days"), numeral(9))),
		`some x in ["A", "C"]; x == input.record.kind`:     either(equal("kind", "A"), equal("kind", "C")),
		`every x in ["A", "B"] { input.record.kind != x }`: all(op(gateway.Unequal, field("kind"), literal("A")), op(gateway.Unequal, field("kind"), literal("B"))),
		`input.record.kind in data.parameters.fruit`:       op(gateway.In, field("kind"), literal("A"), literal("BA")),
		`not input.record.kind == "A"; data.parameters.on`: not(equal("kind", "A")),
		`data.parameters.on`:                               all(),
	} {
		data := map[string]string{"data.json": `{"parameters": {"fruit": ["A", "BA"], "on": true, "off": false}}`}
		got, err := rulesOf(t, "refuse contains \"X_1\" if {\n\t"+body+"\n}", data)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		want := []gateway.RowRule{{Code: "X_1", When: want}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

// Rules, helpers, functions and negated conjunctions are taken apart.
func TestRowRuleHelpers(t *testing.T) {
	few, many := op(gateway.Less, field("days"), numeral(3)), op(gateway.Greater, field("days"), numeral(9))
	for source, want := range map[string]gateway.Expr{
		"refuse contains \"X_1\" if odd\n\nodd if input.record.days < 3\n\nodd if input.record.days > 9":                                           either(few, many),
		"refuse contains \"X_1\" if not odd\n\nodd if {\n\tinput.record.days < 3\n\tinput.record.kind\n}":                                          not(all(few, present("kind"))),
		"refuse contains \"X_1\" if below(input.record.days)\n\nbelow(n) if n < 3":                                                                 few,
		"refuse contains \"X_1\" if size == \"few\"\n\nsize := \"few\" if input.record.days < 3\n\nsize := \"many\" if input.record.days > 9":      few,
		"refuse contains \"X_1\" if input.record.days < 3\n\nrefuse contains \"X_1\" if input.record.days > 9":                                     either(few, many),
		"refuse contains \"X_1\" if {\n\tinput.record.kind == \"A\"\n\tnot odd\n}\n\nodd if input.record.days < 3\n\nodd if input.record.days > 9": all(equal("kind", "A"), not(either(many, few))),
		"refuse contains \"X_1\" if input.record.days < data.parameters.few":                                                                       few,
		"refuse contains \"X_1\" if input.record.kind in letters\n\nletters contains \"A\"\n\nletters contains \"C\" if data.parameters.few == 3":  op(gateway.In, field("kind"), literal("A"), literal("C")),
	} {
		got, err := rulesOf(t, source, map[string]string{"data.json": `{"parameters": {"few": 3}}`})
		if err != nil {
			t.Errorf("%s\n%v", source, err)
			continue
		}
		if diff := cmp.Diff([]gateway.RowRule{{Code: "X_1", When: want}}, got); diff != "" {
			t.Errorf("%s\n(-want +got):\n%s", source, diff)
		}
	}
}

// The first gate: a field that the record does not have is a type error, and so
// is anything of the input that was not declared.
func TestMisspeltFieldsAreRefused(t *testing.T) {
	for body, want := range map[string]string{
		`input.record.knid == "A"`:               "knid",
		`not input.record.knid`:                  "knid",
		`input.record["knid"] == "A"`:            "knid",
		`input.other.kind == "A"`:                "other",
		`not input.other`:                        "other",
		`input.batch.period_form < "2024-01-01"`: "period_form",
		`input.batch.agency == "A"`:              "agency",
		`input.record.child_iin`:                 "child_iin",
		`input.record.family_name`:               "family_name",
		`input.record.born > "2010-01-01"`:       "born",
		`input.record.years > 3`:                 "years",
		`input.record.narrative`:                 "narrative",
		`input.record.kind == 3`:                 "match error",
		`"A" in input.record.days`:               "several codes",
		`startswith(input.record.days, "A")`:     "startswith",
		`startswith(input.record.many, "A")`:     "startswith",
		`input.record.many == "A"`:               "match error",
	} {
		_, err := rulesOf(t, "refuse contains \"X_1\" if {\n\t"+body+"\n}")
		refusal(t, err, "rows/school.rego:4", want)
	}
}

// Helpers and common rules are typed against each contract too.
func TestMisspeltFieldsOfHelpersAreRefused(t *testing.T) {
	_, err := rulesOf(t, "refuse contains \"X_1\" if odd\n\nodd if input.record.kind == \"A\"\n\nodd if not input.record.knid")
	refusal(t, err, "rows/school.rego:7", "knid")
	common := edited(t, "rows/common.rego", "input.record.consent_reporting", "input.record.consent_reproting")
	_, err = rulesOf(t, "import data.rows.common\n\nrefuse contains \"X_1\" if common.consent_withheld", common)
	refusal(t, err, "rows/common.rego", "consent_reproting")
}

// The second gate: a literal that the field can never hold.
func TestMisspeltLiteralsAreRefused(t *testing.T) {
	for _, body := range []string{
		`input.record.kind == "D"`, `input.record.kind != "a"`, `input.record.kind < "D"`, `"D" == input.record.kind`,
		`input.record.kind in ["A", "D"]`, `not input.record.kind in {"A", "D"}`, `"D" in input.record.many`,
		`startswith(input.record.kind, "D")`, `endswith(input.record.kind, "")`, `contains(input.record.kind, "AA")`,
		`input.record.happened == "2024-02-30"`, `input.record.happened < "2024"`, `startswith(input.record.happened, "May")`,
		`input.record.happened in ["2024-01-01", "tomorrow"]`, `input.batch.kind == "first"`, `input.batch.period_to < "x"`,
		`input.record.kind < 3`, `input.record.days < "3"`, `input.record.days > 1e300`, `input.record.kind != null`,
		`input.record.kind in [["A"]]`, `not input.record.kind == "D"`,
	} {
		_, err := rulesOf(t, "refuse contains \"X_1\" if {\n\t"+body+"\n}")
		refusal(t, err, "rows/school.rego:4")
	}
}

// The third gate: codes are literal, every rule leaves a condition or is proven
// constant, and one that never fires for want of an unknown is refused.
func TestCodesAreKnownBeforehand(t *testing.T) {
	for source, want := range map[string]string{
		"refuse contains code if {\n\tcode := \"X_1\"\n\tinput.record.kind\n}": "literal code",
		"refuse contains concat(\"\", [\"X\", input.record.kind]) if true":     "literal code",
		"refuse contains input.record.kind if true":                            "literal code",
		"refuse contains \"x_1\" if input.record.kind":                         "literal code",
		"refuse contains 1 if input.record.kind":                               "literal code",
		"refuse contains \"X#1\" if input.record.kind":                         "literal code",
		"refuse := {\"X_1\"} if input.record.kind":                             "literal code",
		"refuse.X_1 if input.record.kind":                                      "literal code",
		"refuse if input.record.kind":                                          "literal code",
		"refuse(x) := x":                                                       "literal code",
		"default refuse := false":                                              "literal code",
		"other contains \"X_1\" if input.record.kind":                          "no row rules",
	} {
		_, err := rulesOf(t, source)
		refusal(t, err, want)
	}
	_, err := compiled(t, nil).Plan(t.Context(), school(t))
	refusal(t, err, "no row rules", "rows.school")
}

// A rule that data switches off is no rule; one without conditions always fires.
func TestConstantRules(t *testing.T) {
	source := "refuse contains \"OFF\" if {\n\tdata.parameters.on == false\n\tinput.record.kind\n}\n\n" +
		"refuse contains \"ALWAYS\" if data.parameters.on\n\n" +
		"refuse contains \"NEVER\" if {\n\tinput.record.kind\n\tdata.parameters.unheard_of\n}"
	got, err := rulesOf(t, source, map[string]string{"data.json": `{"parameters": {"on": true}}`})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]gateway.RowRule{{Code: "ALWAYS", When: all()}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What has no meaning on columns is refused with its line, never left out.
func TestRowRulesThatCannotBeCompiled(t *testing.T) {
	for source, want := range map[string]string{
		"refuse contains \"X_1\" if {\n\tcount(input.record.many) > 2\n}":                               "rows/school.rego:4: row rule X_1: cannot",
		"refuse contains \"X_1\" if {\n\tinput.record.days + 1 > 2\n}":                                  "rows/school.rego:4: row rule X_1: cannot",
		"refuse contains \"X_1\" if {\n\tlower(input.record.kind) == \"a\"\n}":                          "rows/school.rego:4: row rule X_1: cannot",
		"refuse contains \"X_1\" if {\n\tregex.match(\"A\", input.record.kind)\n}":                      "rows/school.rego:4: row rule X_1: cannot call regex.match",
		"refuse contains \"X_1\" if {\n\tinput.record.many[_] == \"A\"\n}":                              "rows/school.rego:4: row rules cannot use input.record.many so",
		"refuse contains \"X_1\" if {\n\tsome x in input.record.many\n\tx != \"A\"\n}":                  "rows/school.rego:4",
		"refuse contains \"X_1\" if {\n\tevery x in input.record.many { x == \"A\" }\n}":                "rows/school.rego:4: row rule X_1: cannot use every",
		"refuse contains \"X_1\" if {\n\tsome k\n\tinput.record[k] == \"A\"\n}":                         "rows/school.rego:5: row rules cannot use input.record",
		"refuse contains \"X_1\" if {\n\tr := input.record\n\tr.kind == \"A\"\n}":                       "rows/school.rego:4: row rules cannot use input.record",
		"refuse contains \"X_1\" if {\n\tobject.get(input, [\"record\", \"kind\"], \"A\") == \"A\"\n}":  "rows/school.rego:4: row rules cannot use input",
		"refuse contains \"X_1\" if {\n\tinput.record.kind == \"A\" with input.record.kind as \"A\"\n}": "rows/school.rego:4: row rules cannot use with",
		"refuse contains \"X_1\" if odd\n\nodd if input.record.kind else := false if true":              "rows/school.rego:5: row rules cannot use else",
		"refuse contains \"X_1\" if odd\n\ndefault odd := false\n\nodd if input.record.kind":            "rows/school.rego:5: row rules cannot use default",
		"refuse contains \"X_1\" if {\n\t{\"A\", \"B\"} & {input.record.kind}\n}":                       "rows/school.rego:4: row rule X_1: cannot",
		"refuse contains \"X_1\" if {\n\tnot input.record.kind == input.record.kind\n}":                 "row rule X_1: cannot use true as a condition",
		"refuse contains \"X_1\" if {\n\tinput.record.many < input.record.many\n}":                      "rows/school.rego:4: row rule X_1: many holds several",
		"refuse contains \"X_1\" if {\n\tinput.record.many in [[\"A\"]]\n}":                             "rows/school.rego:4: row rule X_1: many holds several",
		"refuse contains \"X_1\" if {\n\tinput.record.kind in input.record.many\n}":                     "rows/school.rego:4: row rule X_1: can look",
		"refuse contains \"X_1\" if {\n\tinput.record.kind < input.record.happened\n}":                  "rows/school.rego:4: row rule X_1: cannot compare",
		"refuse contains \"X_1\" if {\n\tinput.record.kind != input.batch.kind\n}":                      "rows/school.rego:4: row rule X_1: cannot compare",
		"refuse contains \"X_1\" if {\n\tinput.record.kind in {\"a\": \"A\"}\n}":                        "rows/school.rego:4: row rule X_1: can look",
		"refuse contains \"X_1\" if {\n\tstartswith(input.record.kind, input.record.other)\n}":          "rows/school.rego:4: row rule X_1: can look",
		"refuse contains \"X_1\" if {\n\tstartswith(\"AB\", input.record.kind)\n}":                      "rows/school.rego:4: row rule X_1",
		"refuse contains \"X_1\" if {\n\tto_number(\"x\") > 3\n\tinput.record.kind\n}":                  "rows/school.rego:3: row rule X_1",
		"refuse contains \"X_1\" if {\n\tdata.rows.police.refuse[\"CONSENT_WITHHELD\"]\n}":              "rows/police.rego",
	} {
		_, err := rulesOf(t, source)
		if err == nil {
			t.Errorf("%s\nis not refused", source)
			continue
		}
		refusal(t, err, want)
	}
}

// A contract cannot have a field that row rules would mistake for a derived one.
func TestDerivedNamesAreReserved(t *testing.T) {
	c := school(t)
	c.Field("days").Name = "age"
	_, err := compiled(t, rows("refuse contains \"X_1\" if input.record.age > 3")).Plan(t.Context(), c)
	refusal(t, err, "contract school", "age")
}

// A rule that multiplies out is stopped, not built.
func TestRowRulesAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("refuse contains \"X_1\" if {\n")
	for range 14 {
		b.WriteString("\tsome _ in [1]\n\tany_of_three\n")
	}
	b.WriteString("}\n\nany_of_three if input.record.days == 1\n\nany_of_three if input.record.days == 2\n\nany_of_three if input.record.days == 3\n")
	if _, err := rulesOf(t, b.String()); err == nil {
		t.Error("a rule of 3^14 alternatives was compiled")
	}
}
