package configs

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// The types of Table Schema 2.0 that a contract needs.
var schemaTypes = []string{"string", "integer", "date", "list"}

// A Table Schema is what the standard asks for, and accepts what the contract
// accepts.
func TestTableSchema(t *testing.T) {
	for _, c := range contracts(t) {
		for _, lang := range []string{"kk", "ru", "en"} {
			text, err := TableSchema(c, lang)
			if err != nil {
				t.Fatal(err)
			}
			var s tableSchema
			if err := json.Unmarshal(text, &s); err != nil {
				t.Fatal(err)
			}
			if s.Schema != "https://datapackage.org/profiles/2.0/tableschema.json" || s.FieldsMatch != "superset" || s.Title != c.Title.In(lang) ||
				!slices.Equal(s.MissingValues, []missingValue{{"", "OMITTED"}}) || !slices.Equal(s.PrimaryKey, []gateway.FieldName{"record_id"}) {
				t.Errorf("%s in %s: %+v", c.ID, lang, s)
			}
			if len(s.Fields)+len(s.Refused) != len(c.Fields) || !slices.Equal(s.Refused, []gateway.FieldName{"narrative"}) {
				t.Errorf("%s: %d fields, %v refused", c.ID, len(s.Fields), s.Refused)
			}
			if len(s.Order) != len(c.Order) {
				t.Errorf("%s: order %v", c.ID, s.Order)
			}
			for _, f := range s.Fields {
				checkSchemaField(t, c.Field(f.Name), f, lang)
			}
		}
	}
}

func checkSchemaField(t *testing.T, f *gateway.Field, s schemaField, lang string) {
	t.Helper()
	if f == nil || s.Title != f.Title.In(lang) || s.Class != f.Class || s.Role == "" || !slices.Contains(schemaTypes, s.Type) {
		t.Errorf("%+v of %+v", s, f)
		return
	}
	rules := constraints{}
	if s.Constraints != nil {
		rules = *s.Constraints
	}
	if rules.Required != f.Required || (s.When != nil) != (f.When != nil) || rules.MaxLength != f.MaxBytes {
		t.Errorf("%s: %+v %+v", f.Name, rules, s.When)
	}
	switch {
	case f.Type == gateway.TypeCode && f.Multi:
		if s.Type != "list" || s.ItemType != "string" || s.Delimiter != "|" || len(s.Items) != len(f.List.Codes) {
			t.Errorf("%s: %+v", f.Name, s)
		}
	case f.Type == gateway.TypeCode && len(f.Forms) == 0:
		if len(rules.Enum) != len(f.List.Codes) || len(s.Categories) != len(rules.Enum) || s.Categories[0].Value != rules.Enum[0] ||
			s.Categories[0].Label != f.List.Codes[0].Title.In(lang) {
			t.Errorf("%s: enum %v, categories %v", f.Name, rules.Enum, s.Categories)
		}
	case f.Type == gateway.TypeCode:
		pattern, err := regexp.Compile("^(?:" + rules.Pattern + ")$")
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			return
		}
		for _, code := range f.List.Codes {
			for _, form := range f.Forms {
				tail := strings.NewReplacer("9", "7", "A", "Q").Replace(form[f.List.Length():])
				if !pattern.MatchString(code.Code) || !pattern.MatchString(code.Code+tail) || pattern.MatchString(code.Code+tail+"#") {
					t.Fatalf("%s: pattern %s does not fit code %s with %q", f.Name, rules.Pattern, code.Code, tail)
				}
			}
		}
	case f.Type == gateway.TypeInteger, f.Type == gateway.TypeAge:
		if s.Type != "integer" || *rules.Minimum != f.Min || *rules.Maximum != f.Max {
			t.Errorf("%s: %+v", f.Name, rules)
		}
	case f.Type == gateway.TypeDate, f.Type == gateway.TypeBirthDate:
		if s.Type != "date" {
			t.Errorf("%s is a %s", f.Name, s.Type)
		}
	}
}

func TestPatternOfForms(t *testing.T) {
	region := contracts(t)[0].Field("residence_kato")
	diagnosis := contracts(t)[1].Field("icd10_main")
	for _, c := range []struct {
		field *gateway.Field
		value string
		want  bool
	}{
		{region, "61", true},
		{region, "610000000", true},
		{region, "61000000", false},
		{region, "99", false},
		{region, "990000000", false},
		{diagnosis, "T74", true},
		{diagnosis, "T74.1", true},
		{diagnosis, "T74.12", true},
		{diagnosis, "T741", false},
		{diagnosis, "t74", false},
	} {
		if got := regexp.MustCompile("^(?:" + formsPattern(c.field) + ")$").MatchString(c.value); got != c.want {
			t.Errorf("%s %s: %v, want %v", c.field.Name, c.value, got, c.want)
		}
	}
}

func TestTemplate(t *testing.T) {
	for _, c := range contracts(t) {
		header := string(Template(c))
		columns := strings.Split(strings.TrimSuffix(header, "\n"), ",")
		if !strings.HasSuffix(header, "\n") || len(columns) != len(c.Fields)-1 || slices.Contains(columns, "narrative") {
			t.Errorf("%s: %q", c.ID, header)
		}
		for _, column := range columns {
			if c.Field(gateway.FieldName(column)) == nil {
				t.Errorf("%s has no field %s", c.ID, column)
			}
		}
	}
}
