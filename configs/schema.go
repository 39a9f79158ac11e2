package configs

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// tableSchema is a Table Schema of Frictionless Data Package 2.0
// (datapackage.org/standard/table-schema). Properties that start with x- are
// ours; the standard allows them.
type tableSchema struct {
	Schema        string              `json:"$schema"`
	Title         string              `json:"title"`
	Contract      gateway.ContractID  `json:"x-contract"`
	Version       int                 `json:"x-version"`
	Until         string              `json:"x-until,omitempty"`
	Unit          bool                `json:"x-unit,omitempty"` // keys of parts of an agency send it
	FieldsMatch   string              `json:"fieldsMatch"`
	MissingValues []missingValue      `json:"missingValues"`
	PrimaryKey    []gateway.FieldName `json:"primaryKey,omitempty"`
	Fields        []schemaField       `json:"fields"`
	Refused       []gateway.FieldName `json:"x-refused,omitempty"`
	Order         [][2]string         `json:"x-order,omitempty"`
}

type missingValue struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

type schemaField struct {
	Name        gateway.FieldName  `json:"name"`
	Title       string             `json:"title"`
	Type        string             `json:"type"`
	ItemType    string             `json:"itemType,omitempty"`
	Delimiter   string             `json:"delimiter,omitempty"`
	Constraints *constraints       `json:"constraints,omitempty"`
	Categories  []category         `json:"categories,omitempty"`
	Role        string             `json:"x-role"`
	Class       string             `json:"x-class"`
	List        gateway.CodeListID `json:"x-code-list,omitempty"`
	Items       []category         `json:"x-categories,omitempty"` // of a list: the standard has none for it
	When        *whenRule          `json:"x-required-when,omitempty"`
	MaxBytes    int                `json:"x-max-bytes,omitempty"`
}

type category struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

type constraints struct {
	Required  bool     `json:"required,omitempty"`
	Enum      []string `json:"enum,omitempty"`
	Pattern   string   `json:"pattern,omitempty"`
	Minimum   *int     `json:"minimum,omitempty"`
	Maximum   *int     `json:"maximum,omitempty"`
	MaxLength int      `json:"maxLength,omitempty"`
}

type whenRule struct {
	Field   gateway.FieldName `json:"field"`
	Empty   bool              `json:"empty,omitempty"`
	Present bool              `json:"present,omitempty"`
	In      []string          `json:"in,omitempty"`
}

var schemaRoles = map[gateway.FieldRole]string{
	gateway.RoleDirect: "direct-identifier", gateway.RoleQuasi: "quasi-identifier", gateway.RoleSensitive: "sensitive-attribute",
	gateway.RoleMeasure: "measure", gateway.RoleAdmin: "admin",
}

// maxPatternCodes is the most codes that a pattern spells out; longer lists give
// the shape of their codes.
const maxPatternCodes = 100

// TableSchema returns the contract as a Frictionless Table Schema, with titles in
// a language, so that an agency can check a file with its own tools. It says less
// than the contract: order rules, conditions and validity dates are beyond the
// standard and stand in properties of ours.
//
// fieldsMatch is superset: a file may leave out columns that are not required,
// and may have no column that the contract does not have.
func TableSchema(c *gateway.Contract, lang string) ([]byte, error) {
	schema := tableSchema{
		Schema: "https://datapackage.org/profiles/2.0/tableschema.json",
		Title:  c.Title.In(lang), Contract: c.ID, Version: c.Version, Until: c.Until.String(), Unit: c.Unit,
		FieldsMatch: "superset", MissingValues: []missingValue{{"", "OMITTED"}},
	}
	for i := range c.Fields {
		f := &c.Fields[i]
		if f.Refused {
			schema.Refused = append(schema.Refused, f.Name)
			continue
		}
		if f.Class == "record_id" {
			schema.PrimaryKey = append(schema.PrimaryKey, f.Name)
		}
		schema.Fields = append(schema.Fields, schemaFieldOf(f, lang))
	}
	for _, rule := range c.Order {
		schema.Order = append(schema.Order, [2]string{string(rule.Earlier), string(rule.Later)})
	}
	return json.MarshalIndent(schema, "", "  ")
}

func schemaFieldOf(f *gateway.Field, lang string) schemaField {
	s := schemaField{
		Name: f.Name, Title: f.Title.In(lang), Type: "string", Role: schemaRoles[f.Role], Class: f.Class, MaxBytes: f.MaxBytes,
	}
	if f.When != nil {
		s.When = &whenRule{f.When.Field, f.When.Empty, f.When.Present, f.When.In}
	}
	rules := constraints{Required: f.Required, MaxLength: f.MaxBytes}
	switch f.Type {
	case gateway.TypeIIN:
		rules.Pattern = "[0-9]{12}"
	case gateway.TypeDate, gateway.TypeBirthDate:
		s.Type = "date"
	case gateway.TypeAge, gateway.TypeInteger:
		s.Type = "integer"
		rules.Minimum, rules.Maximum = &f.Min, &f.Max
	case gateway.TypeCode:
		codedField(&s, &rules, f, lang)
	case gateway.TypeText, gateway.TypeIdentifier:
	}
	if !rules.empty() {
		s.Constraints = &rules
	}
	return s
}

func (c constraints) empty() bool {
	return !c.Required && len(c.Enum) == 0 && c.Pattern == "" && c.Minimum == nil && c.MaxLength == 0
}

func codedField(s *schemaField, rules *constraints, f *gateway.Field, lang string) {
	s.List = f.List.ID
	if len(f.Forms) > 0 {
		rules.Pattern = formsPattern(f)
		return
	}
	codes := make([]string, 0, len(f.List.Codes))
	labels := make([]category, 0, len(f.List.Codes))
	for _, c := range f.List.Codes {
		codes = append(codes, c.Code)
		labels = append(labels, category{c.Code, c.Title.In(lang)})
	}
	if f.Multi {
		s.Type, s.ItemType, s.Delimiter, s.Items = "list", "string", "|", labels
		return
	}
	s.Categories, rules.Enum = labels, codes
}

// formsPattern returns a pattern for codes of the list and for longer values that
// are cut to them. Patterns match whole values.
func formsPattern(f *gateway.Field) string {
	length := f.List.Length()
	tails := []string{""}
	for _, form := range f.Forms {
		if tail := shapePattern(form[length:]); !slices.Contains(tails, tail) {
			tails = append(tails, tail)
		}
	}
	return "(" + headPattern(f) + ")(" + strings.Join(tails, "|") + ")"
}

func headPattern(f *gateway.Field) string {
	var heads []string
	if len(f.List.Codes) > maxPatternCodes {
		for _, form := range f.Forms {
			if head := shapePattern(form[:f.List.Length()]); !slices.Contains(heads, head) {
				heads = append(heads, head)
			}
		}
		return strings.Join(heads, "|")
	}
	for _, c := range f.List.Codes {
		heads = append(heads, strings.ReplaceAll(c.Code, ".", `\.`))
	}
	return strings.Join(heads, "|")
}

func shapePattern(form string) string {
	return strings.NewReplacer("9", "[0-9]", "A", "[A-Z]", ".", `\.`).Replace(form)
}

// Template returns the header line of an empty file of the contract, without the
// columns that are refused.
func Template(c *gateway.Contract) []byte {
	var columns []string
	for _, f := range c.Fields {
		if !f.Refused {
			columns = append(columns, string(f.Name))
		}
	}
	return []byte(strings.Join(columns, ",") + "\n")
}
