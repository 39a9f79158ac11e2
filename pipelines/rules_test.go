package pipelines

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

func fieldIs(name string) gateway.Operand { return gateway.Operand{Name: name} }

func word(name string) gateway.Operand {
	return gateway.Operand{Kind: gateway.BatchOperand, Name: name}
}

func text(s string) gateway.Operand { return gateway.Operand{Kind: gateway.TextOperand, Text: s} }

func number(n float64) gateway.Operand {
	return gateway.Operand{Kind: gateway.NumberOperand, Number: n}
}

func leaf(op gateway.Op, left gateway.Operand, right ...gateway.Operand) gateway.Expr {
	return gateway.Expr{Op: op, Left: left, Right: right}
}

// evaluate is Rego's meaning of an expression, over the record itself: slow,
// naive, and written without the compiled one.
func evaluate(e gateway.Expr, rec map[string]any, batch map[string]string) bool {
	value := func(o gateway.Operand) any {
		if o.Kind == gateway.FieldOperand {
			return rec[o.Name]
		}
		if w, ok := batch[o.Name]; ok && o.Kind == gateway.BatchOperand {
			return w
		}
		return map[gateway.OperandKind]any{gateway.TextOperand: o.Text, gateway.NumberOperand: o.Number}[o.Kind]
	}
	left := value(e.Left)
	switch e.Op {
	case gateway.And:
		return !slices.ContainsFunc(e.Args, func(a gateway.Expr) bool { return !evaluate(a, rec, batch) })
	case gateway.Or:
		return slices.ContainsFunc(e.Args, func(a gateway.Expr) bool { return evaluate(a, rec, batch) })
	case gateway.Not:
		return !evaluate(e.Args[0], rec, batch)
	case gateway.Present:
		return left != nil
	default:
		return left != nil && slices.ContainsFunc(e.Right, func(o gateway.Operand) bool {
			right := value(o)
			return right != nil && holds(e.Op, left, right)
		})
	}
}

func holds(op gateway.Op, left, right any) bool {
	less, equal := false, false
	switch l := left.(type) {
	case string:
		r, isText := right.(string)
		less, equal = isText && l < r, isText && l == r
	case float64:
		r, isNumber := right.(float64)
		less, equal = !isNumber || l < r, isNumber && l == r // Rego sorts numbers before text
	}
	switch op {
	case gateway.Has:
		return slices.Contains(left.([]string), right.(string))
	case gateway.StartsWith:
		return strings.HasPrefix(left.(string), right.(string))
	case gateway.EndsWith:
		return strings.HasSuffix(left.(string), right.(string))
	case gateway.Contains:
		return strings.Contains(left.(string), right.(string))
	case gateway.Equal, gateway.In:
		return equal
	case gateway.Unequal:
		return !equal
	case gateway.Less:
		return less
	case gateway.AtMost:
		return less || equal
	case gateway.Greater:
		return !less && !equal
	default: // AtLeast
		return !less
	}
}

var (
	codes   = map[string][]string{"setting": {"HOME", "SCHOOL", "STREET", "ONLINE"}, "basis": {"LAW", "STAT", "CONSENT", "VITAL"}, "law": {"UK-110", "KOAP-127-2"}}
	sets    = map[string][]string{"violence": {"01", "02", "06"}, "referred_to": {"police", "health", "social"}}
	dates   = []string{"incident_date", "report_date", "referral_date"}
	numbers = []string{"days_absent", "age", "days_since_birth"}
)

func drawExpr(t *rapid.T, depth int) gateway.Expr {
	logic := []gateway.Op{gateway.And, gateway.Or, gateway.Not}
	if depth > 0 && rapid.IntRange(0, 2).Draw(t, "logic") > 0 {
		e := gateway.Expr{Op: rapid.SampledFrom(logic).Draw(t, "op")}
		n := 1
		if e.Op != gateway.Not {
			n = rapid.IntRange(0, 3).Draw(t, "args")
		}
		for range n {
			e.Args = append(e.Args, drawExpr(t, depth-1))
		}
		return e
	}
	compare := rapid.SampledFrom([]gateway.Op{gateway.Equal, gateway.Unequal, gateway.Less, gateway.AtMost, gateway.Greater, gateway.AtLeast})
	affix := rapid.SampledFrom([]gateway.Op{gateway.StartsWith, gateway.EndsWith, gateway.Contains})
	code := func(label string) gateway.Operand {
		return fieldIs(rapid.SampledFrom(slices.Sorted(maps.Keys(codes))).Draw(t, label))
	}
	date := func(label string) gateway.Operand {
		return fieldIs(rapid.SampledFrom(dates).Draw(t, label))
	}
	count := func(label string) gateway.Operand {
		return fieldIs(rapid.SampledFrom(numbers).Draw(t, label))
	}
	literal := rapid.SampledFrom([]string{"HOME", "STREET", "LAW", "CONSENT", "UK-110", "O", "", "A", "2025-03-01", "2025-0", "2026", "9"})
	period := rapid.SampledFrom([]string{"period_from", "period_to", "kind"})
	switch rapid.IntRange(0, 11).Draw(t, "leaf") {
	case 0:
		return leaf(gateway.Present, rapid.SampledFrom([]gateway.Operand{code("c"), date("d"), count("n"), fieldIs("violence"), word("kind")}).Draw(t, "present"))
	case 1:
		return leaf(compare.Draw(t, "op"), code("c"), text(literal.Draw(t, "text")))
	case 2:
		return leaf(compare.Draw(t, "op"), code("c"), code("c2"))
	case 3:
		return leaf(compare.Draw(t, "op"), date("d"), text(literal.Draw(t, "text")))
	case 4:
		return leaf(compare.Draw(t, "op"), date("d"), date("d2"))
	case 5:
		return leaf(compare.Draw(t, "op"), date("d"), word(period.Draw(t, "word")))
	case 6:
		return leaf(compare.Draw(t, "op"), count("n"), number(float64(rapid.IntRange(-1, 20).Draw(t, "number"))))
	case 7:
		return leaf(compare.Draw(t, "op"), count("n"), count("n2"))
	case 8:
		return leaf(gateway.In, code("c"), text(literal.Draw(t, "text")), text(literal.Draw(t, "text2")), number(3))
	case 9:
		set := rapid.SampledFrom(slices.Sorted(maps.Keys(sets))).Draw(t, "set")
		return leaf(gateway.Has, fieldIs(set), rapid.SampledFrom([]gateway.Operand{text("01"), text("health"), text("?"), code("c"), date("d")}).Draw(t, "has"))
	case 10:
		return leaf(affix.Draw(t, "op"), rapid.SampledFrom([]gateway.Operand{code("c"), date("d"), word("period_to")}).Draw(t, "text"), text(literal.Draw(t, "part")))
	}
	return leaf(compare.Draw(t, "op"), count("n"), rapid.SampledFrom([]gateway.Operand{text("x"), code("c"), date("d")}).Draw(t, "unlike"))
}

// drawRecord makes what a row rule sees, and the row of a file that shows it.
func drawRecord(t *rapid.T) (map[string]any, record) {
	rec, row := map[string]any{}, record{}
	there := rapid.Bool()
	for _, name := range slices.Sorted(maps.Keys(codes)) {
		if there.Draw(t, name) {
			v := rapid.SampledFrom(codes[name]).Draw(t, name+" value")
			rec[name], row[gateway.FieldName(name)] = v, v
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		if there.Draw(t, name) {
			v := rapid.SliceOfNDistinct(rapid.SampledFrom(sets[name]), 1, 3, rapid.ID[string]).Draw(t, name+" value")
			rec[name], row[gateway.FieldName(name)] = v, strings.Join(v, "|")
		}
	}
	for _, name := range dates {
		if there.Draw(t, name) {
			v := rapid.SampledFrom([]string{"2025-02-28", "2025-03-01", "2025-03-02"}).Draw(t, name+" value")
			rec[name], row[gateway.FieldName(name)] = v, v
		}
	}
	for _, name := range numbers {
		if there.Draw(t, name) {
			rec[name] = float64(rapid.IntRange(0, 17).Draw(t, name+" value"))
		}
	}
	return rec, row
}

// Whatever is asked, the compiled predicates mean what Rego means.
func TestRulesMeanWhatRegoMeans(t *testing.T) {
	c := policeContract(t)
	rapid.Check(t, func(t *rapid.T) {
		rule := gateway.RowRule{Code: "X", When: drawExpr(t, 3)}
		rr, err := CompileRow(c, []gateway.RowRule{rule, rule})
		if err != nil {
			t.Fatal(err)
		}
		batch := map[string]string{"period_from": "2025-03-01", "kind": "original"}
		if rapid.Bool().Draw(t, "open end") {
			batch["period_to"] = "2025-03-02"
		}
		rec, _ := drawRecord(t)
		got, err := rr.Refuse(rec, batch)
		if err != nil {
			t.Fatal(err)
		}
		if want := evaluate(rule.When, rec, batch); want != (len(got) == 1) {
			t.Errorf("refused with %v, want %v", got, want)
		}
	})
}

// The rows of a file go through the same predicates as Refuse.
func TestRulesOfBlocks(t *testing.T) {
	o := testOptions(t)
	lived := day(t, "2025-03-01") - day(t, "2013-05-09")
	rapid.Check(t, func(t *rapid.T) {
		rule := gateway.RowRule{Code: "X", When: drawExpr(t, 2)}
		o := o
		o.Plan.Refuse = []gateway.RowRule{rule}
		rec, row := drawRecord(t)
		// What the contract demands, and what the reader derives.
		maps.Copy(row, record{
			"record_id": "1", "child_iin": "130509690008", "child_sex": "F", "residence": "61", "event_type": "REPORT", "age_years": "1",
			"incident_date": "2025-03-01", "report_date": "2025-03-01", "referral_date": "2025-03-02",
		})
		if row["basis"] == "" {
			row["basis"], rec["basis"] = "LAW", "LAW"
		}
		rec["incident_date"], rec["report_date"], rec["referral_date"] = "2025-03-01", "2025-03-01", "2025-03-02"
		rec["age"], rec["days_since_birth"] = 11.0, float64(lived)
		delete(rec, "days_absent")
		batch := map[string]string{"period_from": "2021-01-01", "period_to": today, "kind": "original"}
		want := evaluate(rule.When, rec, batch)
		r, err := Open(t.Context(), strings.NewReader(file(header(o.Contract), row)), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Next(t.Context(), gateway.NewBlock(o.Contract.Layout())); r.Rows()+r.Refused() != 1 {
			t.Fatal(err)
		}
		p := r.Problems().First
		refused := len(p) == 1 && p[0] == gateway.RowError{Line: 2, Code: "X"}
		if refused != want || !refused && len(p) > 0 {
			t.Errorf("problems %v, want refused: %v", p, want)
		}
	})
}

// What a rule cannot see or mean is refused when it is compiled, never ignored.
func TestRulesThatWouldNeverFire(t *testing.T) {
	c := policeContract(t)
	for name, e := range map[string]gateway.Expr{
		"misspelt field":                leaf(gateway.Equal, fieldIs("seting"), text("HOME")),
		"misspelt word":                 leaf(gateway.Equal, word("period"), text("2025-01-01")),
		"identifier":                    leaf(gateway.Equal, fieldIs("record_id"), text("1")),
		"IIN":                           leaf(gateway.Present, fieldIs("child_iin")),
		"text":                          leaf(gateway.Contains, fieldIs("given_name"), text("a")),
		"birth date":                    leaf(gateway.Less, fieldIs("birth_date"), text("2020-01-01")),
		"refused column":                leaf(gateway.Present, fieldIs("narrative")),
		"several codes as one":          leaf(gateway.Equal, fieldIs("violence"), text("01")),
		"one code as several":           leaf(gateway.Has, fieldIs("setting"), text("HOME")),
		"text in a number":              leaf(gateway.StartsWith, fieldIs("days_absent"), text("1")),
		"no right side":                 leaf(gateway.Equal, fieldIs("setting")),
		"two right sides":               leaf(gateway.Equal, fieldIs("setting"), text("HOME"), text("WORK")),
		"a negation of two":             {Op: gateway.Not, Args: make([]gateway.Expr, 2)},
		"a negation of nothing":         {Op: gateway.Not},
		"an operation that is none":     {Op: 99},
		"an operand that is none":       leaf(gateway.Equal, fieldIs("setting"), gateway.Operand{Kind: 9}),
		"a fault below a logical node":  {Op: gateway.Or, Args: []gateway.Expr{{}, leaf(gateway.Present, fieldIs("x"))}},
		"an age that is not a derived":  leaf(gateway.Less, fieldIs("age_years"), number(3)),
		"the word of a batch in a set":  leaf(gateway.Has, word("kind"), text("original")),
		"several codes on the right":    leaf(gateway.Equal, fieldIs("setting"), fieldIs("violence")),
		"several codes in several":      leaf(gateway.Has, fieldIs("violence"), fieldIs("violence")),
		"a prefix of several codes":     leaf(gateway.StartsWith, fieldIs("violence"), text("0")),
		"a number as the start of text": leaf(gateway.StartsWith, fieldIs("setting"), number(1)),
	} {
		if _, err := CompileRow(c, []gateway.RowRule{{Code: "X", When: e}}); err == nil {
			t.Errorf("%s: compiled", name)
		}
	}
	if _, err := CompileRow(c, []gateway.RowRule{{When: leaf(gateway.Present, fieldIs("setting"))}}); err == nil {
		t.Error("a rule without a code: compiled")
	}
	rr, err := CompileRow(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, rec := range map[string]map[string]any{
		"unknown field": {"x": "y"}, "unknown code": {"setting": "MOON"}, "number for a code": {"setting": 1},
		"text for a number": {"days_absent": "1"}, "fraction": {"age": 1.5}, "no date": {"report_date": "2025-02-30"},
		"one code for several": {"violence": "01"}, "unknown among several": {"violence": []string{"01", "99"}}, "identifier": {"record_id": "1"},
	} {
		if _, err := rr.Refuse(rec, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
