package pipelines

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

const today = "2025-06-30"

func day(tb testing.TB, text string) gateway.Day {
	tb.Helper()
	d, ok := gateway.ParseDay([]byte(text))
	if !ok {
		tb.Fatalf("not a day: %s", text)
	}
	return d
}

func codeList(tb testing.TB, id string, codes ...string) *gateway.CodeList {
	tb.Helper()
	list := gateway.CodeList{ID: gateway.CodeListID(id)}
	for _, c := range codes {
		list.Codes = append(list.Codes, gateway.Code{Code: c, From: gateway.NoDay, To: gateway.NoDay})
	}
	l, err := gateway.NewCodeList(list)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// policeContract is a contract of the shape of domain.md 3, with every type,
// every kind of condition and 27 columns that a file may have.
func policeContract(tb testing.TB) *gateway.Contract {
	tb.Helper()
	sex := codeList(tb, "sex", "F", "M", "_U")
	bands := codeList(tb, "age_band", "Y0T4", "Y5T9", "Y10T14", "Y15T17")
	regions := codeList(tb, "kato_region", "10", "11", "15", "19", "61", "63", "71", "75")
	regions.Codes[0].From = day(tb, "2022-06-08")
	sectors := codeList(tb, "sector", "police", "health", "education", "social", "justice", "helpline")
	icd := make([]string, 0, 2600)
	for letter := 'A'; letter <= 'Z'; letter++ {
		for n := range 100 {
			icd = append(icd, fmt.Sprintf("%c%02d", letter, n))
		}
	}
	yes := codeList(tb, "yes_no", "Y", "N", "U")
	text := func(name string) gateway.Field {
		return gateway.Field{Name: gateway.FieldName(name), Type: gateway.TypeText, Role: gateway.RoleDirect, MaxBytes: 100}
	}
	code := func(name, column string, list *gateway.CodeList, more ...func(*gateway.Field)) gateway.Field {
		f := gateway.Field{Name: gateway.FieldName(name), Type: gateway.TypeCode, Role: gateway.RoleSensitive, List: list, Column: column}
		for _, m := range more {
			m(&f)
		}
		return f
	}
	required := func(f *gateway.Field) { f.Required = true }
	multi := func(f *gateway.Field) { f.Multi = true }
	date := func(name string) gateway.Field {
		return gateway.Field{Name: gateway.FieldName(name), Type: gateway.TypeDate, Role: gateway.RoleQuasi, Column: name}
	}
	titled := func(f gateway.Field, kk, ru, en string) gateway.Field {
		f.Title = gateway.Text{KK: kk, RU: ru, EN: en}
		return f
	}
	event := titled(date("report_date"), "Хабарланған күні", "Дата сообщения", "Date of the report")
	event.Event, event.Required, event.Column = true, true, gateway.ColumnDay
	return &gateway.Contract{
		ID: "police", Version: 1, Until: gateway.NoDay, Dates: []gateway.DateForm{gateway.DateDotted, gateway.DateShort, gateway.DateSerial},
		Fields: []gateway.Field{
			{Name: "record_id", Type: gateway.TypeIdentifier, Role: gateway.RoleDirect, Required: true, MaxBytes: 64, Column: "record"},
			{Name: "child_iin", Type: gateway.TypeIIN, Role: gateway.RoleDirect, Column: gateway.ColumnPID},
			code("absent_reason", "absent_reason", codeList(tb, "id_absent", "ANON_CONTACT", "NEWBORN", "NON_CITIZEN", "NOT_COLLECTED", "REFUSED", "UNKNOWN"),
				func(f *gateway.Field) { f.When = &gateway.Condition{Field: "child_iin", Empty: true} }),
			titled(text("family_name"), "Тегі", "Фамилия", "Family name"), titled(text("given_name"), "", "", "Twice"), titled(text("patronymic"), "", "", "Twice"),
			{Name: "birth_date", Type: gateway.TypeBirthDate, Role: gateway.RoleDirect, List: bands, Column: gateway.ColumnAge},
			{
				Name: "age_years", Type: gateway.TypeAge, Role: gateway.RoleQuasi, List: bands, Max: 17, Column: gateway.ColumnAge,
				When: &gateway.Condition{Field: "birth_date", Empty: true},
			},
			titled(code("child_sex", gateway.ColumnSex, sex, required), "Баланың жынысы", "Пол ребёнка", "Sex, of the child"),
			code("residence", gateway.ColumnRegion, regions, required, func(f *gateway.Field) { f.Forms = []string{"999999999"} }),
			event,
			date("incident_date"),
			code("event_type", "event_type", codeList(tb, "event_police", "REPORT", "ORDER", "PATROL"), required),
			code("violence", "violence", codeList(tb, "icvac", "01", "02", "03", "04", "05", "06"), multi),
			code("perpetrator", "perpetrator", codeList(tb, "perp", "PARENT", "STEP_PARENT", "SIBLING", "TEACHER", "STRANGER", "OTHER")),
			code("setting", "setting", codeList(tb, "setting", "HOME", "SCHOOL", "INSTITUTION", "STREET", "ONLINE", "WORK", "OTHER", "UNKNOWN")),
			code("referred_to", "referred_to", sectors, multi),
			{
				Name: "referral_date", Type: gateway.TypeDate, Role: gateway.RoleQuasi, Column: "referral_date",
				When: &gateway.Condition{Field: "referred_to", In: []string{"social", "helpline"}},
			},
			{Name: "referral_key", Type: gateway.TypeIdentifier, Role: gateway.RoleDirect, MaxBytes: 32, Column: "referral"},
			code("basis", "basis", codeList(tb, "basis", "LAW", "STAT", "CONSENT", "VITAL"), required),
			code("consent", "consent", yes),
			code("icd", "icd", codeList(tb, "icd10", icd...), func(f *gateway.Field) { f.Forms = []string{"A99.9", "A99.99"} }),
			code("law", "law", codeList(tb, "law", "UK-110", "UK-120", "KOAP-127-2", "KOAP-73")),
			code("injury", "injury", codeList(tb, "injury", "NONE", "MINOR", "MODERATE", "SEVERE", "FATAL")),
			code("perp_sex", "perp_sex", sex),
			{Name: "days_absent", Type: gateway.TypeInteger, Role: gateway.RoleMeasure, Max: 365, Column: "days_absent"},
			code("order_kind", "order_kind", codeList(tb, "order", "NO", "ISSUED", "EXTENDED", "BREACHED"),
				func(f *gateway.Field) { f.When = &gateway.Condition{Field: "event_type", In: []string{"ORDER"}} }),
			{Name: "narrative", Type: gateway.TypeText, Role: gateway.RoleDirect, Refused: true},
		},
		Order: []gateway.OrderRule{{Earlier: "incident_date", Later: "report_date"}, {Earlier: "report_date", Later: "referral_date"}},
	}
}

// planOf is the plan that policies would make of a contract when everything that
// may be stored is.
func planOf(c *gateway.Contract) gateway.Plan {
	p := gateway.Plan{Contract: c.ID, Version: c.Version, Revision: "test"}
	for i := range c.Fields {
		f := &c.Fields[i]
		fp := gateway.FieldPlan{Field: f.Name}
		switch f.Type {
		case gateway.TypeIIN:
			fp.Do, fp.Domain = gateway.Pseudonymise, "child"
		case gateway.TypeIdentifier:
			fp.Do, fp.Domain = gateway.Pseudonymise, "referral"
			if f.Required {
				fp.Domain = "record"
			}
		case gateway.TypeCode, gateway.TypeInteger:
			fp.Do = gateway.Keep
		case gateway.TypeDate:
			fp.Do, fp.Day = gateway.Generalise, true
		case gateway.TypeBirthDate, gateway.TypeAge:
			fp.Do = gateway.Generalise
		case gateway.TypeText:
		}
		p.Fields = append(p.Fields, fp)
	}
	return p
}

// chance is a random source of tests that is the same every time.
type chance struct{ *rand.ChaCha8 }

func newChance(seed byte) chance { return chance{rand.NewChaCha8([32]byte{seed})} }

func (c chance) Read(p []byte) (int, error) { return c.ChaCha8.Read(p) }

func testKeys(tb testing.TB) *pseudonym.Keyring {
	tb.Helper()
	keys, err := pseudonym.Ephemeral(newChance(1))
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func testOptions(tb testing.TB) Options {
	tb.Helper()
	c := policeContract(tb)
	o := Options{
		Contract: c, Plan: planOf(c), Keys: testKeys(tb), Agency: "agency-1", Today: day(tb, today), Rand: newChance(2),
		Batch: gateway.Manifest{
			PeriodFrom: day(tb, "2021-01-01"), PeriodTo: day(tb, today), Kind: gateway.Original, Reject: gateway.RejectRows,
		},
	}
	for i := range o.Plan.Fields {
		if o.Plan.Fields[i].Field == "child_iin" {
			o.Plan.Fields[i].Domain = o.Keys.Domain()
		}
	}
	return o
}

// A record is one row of a test file by field.
type record map[gateway.FieldName]string

// good is a record that breaks no rule.
func good() record {
	return record{
		"record_id": "P-1", "child_iin": "130509690008", "family_name": "Каирова", "birth_date": "2013-05-09", "child_sex": "F",
		"residence": "610000000", "report_date": "2025-03-04", "incident_date": "2025-03-01", "event_type": "REPORT",
		"violence": "02|04", "perpetrator": "PARENT", "setting": "HOME", "referred_to": "social|health", "referral_date": "2025-03-05",
		"referral_key": "R-77", "basis": "LAW", "consent": "N", "icd": "T74.1", "law": "UK-110", "injury": "MINOR", "perp_sex": "M",
		"days_absent": "3",
	}
}

func (r record) with(field gateway.FieldName, value string) record {
	c := maps.Clone(r)
	c[field] = value
	return c
}

// header is every column of the contract that a file may have.
func header(c *gateway.Contract) []gateway.FieldName {
	var names []gateway.FieldName
	for i := range c.Fields {
		if !c.Fields[i].Refused {
			names = append(names, c.Fields[i].Name)
		}
	}
	return names
}

// file writes records as CSV.
func file(columns []gateway.FieldName, records ...record) string {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	line := make([]string, len(columns))
	for i, c := range columns {
		line[i] = string(c)
	}
	_ = w.Write(line)
	for _, r := range records {
		for i, c := range columns {
			line[i] = r[c]
		}
		_ = w.Write(line)
	}
	w.Flush()
	return b.String()
}

// A result is what reading a file came to.
type result struct {
	rows    []row
	reader  *Reader
	problem []string // "line:field:code"
	err     error    // what ended the reading, unless io.EOF
}

// A row is one stored row by column.
type row map[string]any

func read(tb testing.TB, o Options, src io.Reader) result {
	tb.Helper()
	r, err := Open(tb.Context(), src, o)
	if err != nil {
		return result{err: err}
	}
	res := result{reader: r}
	b := gateway.NewBlock(o.Contract.Layout())
	for {
		if err = r.Next(context.Background(), b); err != nil {
			break
		}
		for i := range b.Rows() {
			res.rows = append(res.rows, rowOf(b, i))
		}
	}
	if !errors.Is(err, io.EOF) {
		res.err = err
	}
	for _, p := range r.Problems().First {
		res.problem = append(res.problem, fmt.Sprintf("%d:%s:%s", p.Line, p.Field, p.Code))
	}
	return res
}

func readFile(tb testing.TB, o Options, records ...record) result {
	tb.Helper()
	return read(tb, o, strings.NewReader(file(header(o.Contract), records...)))
}

func rowOf(b *gateway.Block, i int) row {
	r := row{}
	for n, c := range b.Layout {
		switch c.Type {
		case gateway.Uint8:
			r[c.Name] = int(b.Uint8s(n)[i])
		case gateway.Uint16:
			r[c.Name] = int(b.Uint16s(n)[i])
		case gateway.Uint64:
			r[c.Name] = b.Uint64s(n)[i]
		case gateway.Int32:
			r[c.Name] = int(b.Int32s(n)[i])
		case gateway.ID:
			r[c.Name] = b.IDs(n)[i]
		}
	}
	return r
}

// code returns the code whose number a row holds.
func (r row) code(c *gateway.Contract, field gateway.FieldName) string {
	f := c.Field(field)
	return f.List.Code(uint16(r[f.Column].(int)))
}

func wantProblems(t *testing.T, got result, want ...string) {
	t.Helper()
	if !slices.Equal(got.problem, want) {
		t.Errorf("problems %v, want %v", got.problem, want)
	}
}

func wantKind(t *testing.T, err error, kind gateway.Kind) *gateway.Error {
	t.Helper()
	e, ok := errors.AsType[*gateway.Error](err)
	if !ok || e.Kind != kind {
		t.Fatalf("error %v, want one that is %v", err, kind)
	}
	return e
}
