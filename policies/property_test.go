package policies_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines"
)

// Sizes of the property test: 25 sets of 8 rules are 200 rules, each held against
// OPA on 1,000 records.
const (
	ruleSets       = 25
	rulesPerSet    = 8
	recordsPerRule = 1000
)

// Of 200 random row rules, what they compile to refuses exactly the records that
// OPA's own evaluation of the Rego refuses, by the data path's executor and by a
// reference one. The rules use every form that row rules may have; records have
// absent fields. A form compiled wrongly on a thousandth of its records is missed
// in one rule with a probability of (1-0.001)^1000 = 0.37, and in the 40 and more
// rules that have the form with less than 10^-17.
func TestCompiledRulesAreRego(t *testing.T) {
	c := school(t)
	fired, asked := 0, 0
	for seed := range uint64(ruleSets) {
		g := &generator{Rand: rand.New(rand.NewPCG(20260830, seed))}
		source := g.rules(rulesPerSet)
		rules, err := rulesOf(t, source)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, source)
		}
		opa := oracle(t, source)
		executor, err := pipelines.CompileRow(c, rules)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, source)
		}
		for range recordsPerRule {
			record, batch := g.record(c)
			want := opa(record, batch)
			asked += rulesPerSet
			fired += len(want)
			if got := reference(rules, record, batch); !slices.Equal(got, want) {
				t.Fatalf("seed %d: OPA refuses as %v, the reference as %v\n%v %v\n%s", seed, want, got, record, batch, source)
			}
			got, err := executor.Refuse(record, batch)
			slices.Sort(got)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("seed %d: OPA refuses as %v, the data path as %v, %v\n%v %v\n%s", seed, want, got, err, record, batch, source)
			}
		}
	}
	// The comparison says something only when rules both fire and do not.
	if share := float64(fired) / float64(asked); share < 0.1 || share > 0.9 {
		t.Errorf("%.2f of the rules fired", share)
	}
}

// Whatever is written as a row rule is refused, or compiles to what it says.
func FuzzRowRule(f *testing.F) {
	for _, body := range []string{
		`input.record.kind == "A"`, `not input.record.kind == input.record.other`, `"A" in input.record.many`,
		`input.record.days in {1, 2, 3}`, `startswith(input.record.happened, "2024-0")`, `some x in ["A", "B"]; not x == input.record.kind`,
		`every x in [1, 2] { input.record.days != x }`, `input.record.happened < input.batch.period_to`,
		`x := input.record.days; y := input.record.age; x < y`, `input.record.kind == ["A"][input.record.days]`,
		`not input.record.kind == input.record.kind`, `data.rows.common.consent_withheld`, `input.record[k]`, `count(input.record.many) > 1`,
		`{1, 2}[input.record.days]`, `input.record.days == 1.0`, `input.record.days == 10e-1`, `not not_a`, `true`, `false`, `1 == input.record.days`,
		`[input.record.days, 2] == [1, input.record.age]`, `{"a": input.record.kind} == {"a": "A"}`, `input.record == {}`, `walk(input.record, [p, v])`,
		`a := [1 | input.record.kind == "A"]; a == [1]`, `input.record.days = x; x = input.record.age`, `input.record.days > -0`,
	} {
		f.Add(body, uint64(1))
	}
	f.Fuzz(func(t *testing.T, body string, seed uint64) {
		if strings.Contains(body, "numbers.range") || len(body) > 400 {
			t.Skip() // slow to evaluate, and of no other interest
		}
		source := "refuse contains \"X_1\" if {\n\t" + body + "\n}"
		rules, err := rulesOf(t, source)
		if err != nil {
			return
		}
		c := school(t)
		executor, err := pipelines.CompileRow(c, rules)
		if err != nil {
			t.Fatalf("the data path refuses what policies accept: %v\n%s", err, source)
		}
		opa, err := prepare(t.Context(), shippedText(t, rows(source)))
		if err != nil {
			t.Fatal(err)
		}
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
		for range 50 {
			record, batch := g.record(c)
			want, err := opa(record, batch)
			if err != nil {
				continue // two values of a rule, say: the compiled rule refuses the row
			}
			got, err := executor.Refuse(record, batch)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("OPA refuses as %v, the data path as %v, %v\n%v %v\n%s", want, got, err, record, batch, source)
			}
		}
	})
}

// oracle returns OPA's own evaluation of row rules.
func oracle(t *testing.T, source string) func(map[string]any, map[string]string) []gateway.ProblemCode {
	t.Helper()
	ask, err := prepare(t.Context(), shippedText(t, rows(source)))
	if err != nil {
		t.Fatal(err)
	}
	return func(record map[string]any, batch map[string]string) []gateway.ProblemCode {
		codes, err := ask(record, batch)
		if err != nil {
			t.Fatal(err)
		}
		return codes
	}
}

func shippedText(t *testing.T, changes map[string]string) map[string]string {
	t.Helper()
	text := map[string]string{}
	for name, f := range shipped(t, changes) {
		if strings.HasPrefix(name, "rows/") && !strings.HasSuffix(name, "_test.rego") {
			text[name] = string(f.Data)
		}
	}
	return text
}

func prepare(ctx context.Context, files map[string]string) (func(map[string]any, map[string]string) ([]gateway.ProblemCode, error), error) {
	opts := []func(*rego.Rego){rego.Query("data.rows.school.refuse"), rego.StrictBuiltinErrors(true)}
	for name, text := range files {
		opts = append(opts, rego.Module(name, text))
	}
	q, err := rego.New(opts...).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	return func(record map[string]any, batch map[string]string) ([]gateway.ProblemCode, error) {
		results, err := q.Eval(ctx, rego.EvalInput(map[string]any{"record": record, "batch": batch}))
		if err != nil {
			return nil, err
		}
		var codes []gateway.ProblemCode
		for _, code := range results[0].Expressions[0].Value.([]any) {
			codes = append(codes, gateway.ProblemCode(code.(string)))
		}
		slices.Sort(codes)
		return codes, nil
	}, nil
}

// reference evaluates conditions as gateway.Expr documents them.
func reference(rules []gateway.RowRule, record map[string]any, batch map[string]string) []gateway.ProblemCode {
	var codes []gateway.ProblemCode
	for _, r := range rules {
		if holds(r.When, record, batch) {
			codes = append(codes, r.Code)
		}
	}
	return codes
}

func holds(e gateway.Expr, record map[string]any, batch map[string]string) bool {
	one := func(a gateway.Expr) bool { return holds(a, record, batch) }
	switch e.Op {
	case gateway.And:
		return !slices.ContainsFunc(e.Args, func(a gateway.Expr) bool { return !one(a) })
	case gateway.Or:
		return slices.ContainsFunc(e.Args, one)
	case gateway.Not:
		return !one(e.Args[0])
	default:
	}
	left := value(e.Left, record, batch)
	if left == nil {
		return false
	}
	if e.Op == gateway.Present {
		return true
	}
	return slices.ContainsFunc(e.Right, func(o gateway.Operand) bool {
		right := value(o, record, batch)
		return right != nil && compares(e.Op, left, right)
	})
}

func value(o gateway.Operand, record map[string]any, batch map[string]string) any {
	switch o.Kind {
	case gateway.FieldOperand:
		return record[o.Name]
	case gateway.BatchOperand:
		if w, ok := batch[o.Name]; ok {
			return w
		}
		return nil
	case gateway.NumberOperand:
		return o.Number
	case gateway.TextOperand:
	}
	return o.Text
}

func compares(op gateway.Op, left, right any) bool {
	if n, ok := left.(int); ok {
		left = float64(n)
	}
	if n, ok := right.(int); ok {
		right = float64(n)
	}
	order := 0
	switch l := left.(type) {
	case []string:
		return op == gateway.Has && slices.Contains(l, right.(string))
	case float64:
		r := right.(float64)
		switch {
		case l < r:
			order = -1
		case l > r:
			order = 1
		}
	case string:
		r := right.(string)
		switch op {
		case gateway.StartsWith:
			return strings.HasPrefix(l, r)
		case gateway.EndsWith:
			return strings.HasSuffix(l, r)
		case gateway.Contains:
			return strings.Contains(l, r)
		default:
		}
		order = strings.Compare(l, r)
	}
	switch op {
	case gateway.Equal, gateway.In:
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
	}
	panic(fmt.Sprintf("operation %d of %T", op, left))
}

// A generator writes random row rules over the school contract, and records.
type generator struct {
	*rand.Rand
	helpers []string // their text
	names   int      // of variables
}

func (g *generator) pick(of ...string) string { return of[g.IntN(len(of))] }

// rules writes a file of n rules with their helpers. Some share a code.
func (g *generator) rules(n int) string {
	var b strings.Builder
	for i := range n {
		code := i
		if i > 0 && g.IntN(4) == 0 {
			code = g.IntN(i)
		}
		fmt.Fprintf(&b, "refuse contains \"CODE_%d\" if {\n%s}\n\n", code, g.body(3, 2))
	}
	return b.String() + strings.Join(g.helpers, "\n")
}

// body writes one to most conditions; helpers nest to a depth.
func (g *generator) body(most, depth int) string {
	var b strings.Builder
	for range 1 + g.IntN(most) {
		b.WriteString("\t" + g.condition(depth) + "\n")
	}
	return b.String()
}

// condition writes one condition, negated at times.
func (g *generator) condition(depth int) string {
	if g.IntN(6) == 0 {
		return g.statement()
	}
	text := g.atom()
	if depth > 0 && g.IntN(3) == 0 {
		text = g.helper(depth - 1)
	}
	if g.IntN(3) == 0 {
		return "not " + text
	}
	return text
}

// helper writes a rule of one to three bodies and returns its name.
func (g *generator) helper(depth int) string {
	name := fmt.Sprintf("helper_%d", len(g.helpers))
	g.helpers = append(g.helpers, "")
	mine := len(g.helpers) - 1
	var b strings.Builder
	for range 1 + g.IntN(3) {
		fmt.Fprintf(&b, "%s if {\n%s}\n\n", name, g.body(2, depth))
	}
	g.helpers[mine] = b.String()
	return name
}

// statement writes a condition that cannot be negated by a leading not.
func (g *generator) statement() string {
	switch g.IntN(5) {
	case 0:
		g.names++
		return fmt.Sprintf("some v%d in [%q, %q]\n\t%sv%[1]d == input.record.kind", g.names, g.letter(), g.letter(), g.pick("", "not "))
	case 1:
		return fmt.Sprintf("every x in [%q, %q] { %sinput.record.kind == x }", g.letter(), g.letter(), g.pick("", "not "))
	case 2:
		name := fmt.Sprintf("helper_%d", len(g.helpers))
		g.helpers = append(g.helpers, fmt.Sprintf("%s(n) if n %s %d\n", name, g.order(), g.IntN(30)))
		return g.pick("", "not ") + name + "(input.record." + g.pick("days", "weeks", "age", "days_since_birth") + ")"
	case 3:
		name := fmt.Sprintf("helper_%d", len(g.helpers))
		g.helpers = append(g.helpers, fmt.Sprintf("%s := %q if input.record.kind == %q\n\n%[1]s := %[2]q if input.record.other == %[4]q\n",
			name, g.letter(), g.letter(), g.pick("A", "B", "X")))
		return g.pick("", "not ") + name + " " + g.order() + " " + fmt.Sprintf("%q", g.letter())
	}
	g.names++
	return fmt.Sprintf("v%d := input.record.%s\n\t%sv%[1]d %[4]s %[5]d", g.names, g.pick("days", "age"), g.pick("", "not "), g.order(), g.IntN(20))
}

func (g *generator) letter() string { return g.pick("A", "B", "AB", "BA", "C") }

func (g *generator) order() string { return g.pick("==", "!=", "<", "<=", ">", ">=") }

func (g *generator) date() string {
	return fmt.Sprintf("2024-%02d-%02d", 1+g.IntN(3), 1+g.IntN(28))
}

// atom writes one comparison.
func (g *generator) atom() string {
	switch g.IntN(13) {
	case 0:
		return fmt.Sprintf("input.record.kind %s %q", g.order(), g.letter())
	case 1:
		return fmt.Sprintf("%q %s input.record.%s", g.pick("A", "B"), g.order(), g.pick("kind", "other"))
	case 2:
		return fmt.Sprintf("input.record.kind %s input.record.other", g.order())
	case 3:
		return fmt.Sprintf("input.record.happened %s input.record.reported", g.order())
	case 4:
		return fmt.Sprintf("input.record.%s %s input.batch.%s", g.pick("happened", "reported"), g.order(), g.pick("period_from", "period_to"))
	case 5:
		return fmt.Sprintf("input.record.%s %s %q", g.pick("happened", "reported"), g.order(), g.date())
	case 6:
		return fmt.Sprintf("input.record.kind in %s", g.pick(`{"A", "C"}`, `["B", "AB"]`, `{"BA"}`))
	case 7:
		return fmt.Sprintf("%q in input.record.many", g.letter())
	case 8:
		return fmt.Sprintf("%s(input.record.kind, %q)", g.pick("startswith", "endswith", "contains"), g.letter())
	case 9:
		return fmt.Sprintf("startswith(input.record.%s, %q)", g.pick("happened", "reported"), g.date()[:5+g.IntN(6)])
	case 10:
		return "input.record." + g.pick("kind", "other", "many", "days", "reported", "age", "sex")
	case 11:
		return fmt.Sprintf("input.record.%s %s %d", g.pick("days", "weeks", "age", "days_since_birth"), g.order(), g.IntN(30))
	}
	return g.pick(
		fmt.Sprintf("input.record.days %s input.record.%s", g.order(), g.pick("weeks", "age", "days_since_birth")),
		"input.record.days in [1, 2, 3, 5, 8]", `input.batch.kind == "original"`, "input.batch.period_to",
	)
}

// record makes a record whose fields are absent at times, and a batch.
func (g *generator) record(c *gateway.Contract) (map[string]any, map[string]string) {
	record := map[string]any{}
	put := func(name string, value any) {
		if g.IntN(10) < 7 {
			record[name] = value
		}
	}
	for i := range c.Fields {
		f := &c.Fields[i]
		switch {
		case f.Type == gateway.TypeDate:
			put(string(f.Name), g.date())
		case f.Type == gateway.TypeInteger:
			put(string(f.Name), f.Min+g.IntN(f.Max-f.Min+1))
		case f.Type == gateway.TypeCode && f.Multi:
			put(string(f.Name), g.several(f.List))
		case f.Type == gateway.TypeCode:
			put(string(f.Name), f.List.Codes[g.IntN(len(f.List.Codes))].Code)
		}
	}
	put("age", g.IntN(18))
	put("days_since_birth", g.IntN(40))
	batch := map[string]string{}
	for _, w := range [][2]string{{"period_from", g.date()}, {"period_to", g.date()}, {"kind", "original"}} {
		if g.IntN(10) > 0 {
			batch[w[0]] = w[1]
		}
	}
	return record, batch
}

// several returns one to three codes of a list, each once.
func (g *generator) several(l *gateway.CodeList) []string {
	var codes []string
	for _, i := range g.Perm(len(l.Codes))[:1+g.IntN(3)] {
		codes = append(codes, l.Codes[i].Code)
	}
	return codes
}
