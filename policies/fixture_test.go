package policies_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/policies"
)

// shipped returns the policy files beside this test, and changes to them: a name
// with its new text, "" to leave it out.
func shipped(t *testing.T, changes map[string]string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || (!strings.HasSuffix(name, ".rego") && name != "data.json") {
			return err
		}
		text, err := os.ReadFile(name)
		files[name] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range changes {
		if text == "" {
			delete(files, name)
			continue
		}
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

// planning returns those of the shipped policies that a plan needs, with changes.
func planning(t *testing.T, changes map[string]string) fstest.MapFS {
	t.Helper()
	files := shipped(t, changes)
	for name := range files {
		topic, _, _ := strings.Cut(name, "/")
		if strings.HasSuffix(name, "_test.rego") || (topic != "rows" && topic != "ingest" && topic != "data.json") {
			delete(files, name)
		}
	}
	return files
}

// planner compiles them.
func planner(t *testing.T, changes map[string]string) *policies.Set {
	t.Helper()
	s, err := policies.Compile(t.Context(), planning(t, changes))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// compiled compiles the shipped policies with changes.
func compiled(t *testing.T, changes map[string]string) *policies.Set {
	t.Helper()
	s, err := policies.Compile(t.Context(), shipped(t, changes))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// edited returns a shipped file with one piece of text replaced.
func edited(t *testing.T, name, old, text string) map[string]string {
	t.Helper()
	source, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), old) != 1 {
		t.Fatalf("%s does not hold %q exactly once", name, old)
	}
	return map[string]string{name: strings.Replace(string(source), old, text, 1)}
}

// rows is a file of row rules for the contract of [school].
func rows(rules string) map[string]string {
	return map[string]string{"rows/school.rego": "package rows.school\n\n" + rules + "\n"}
}

func codes(t *testing.T, id string, names ...string) *gateway.CodeList {
	t.Helper()
	l := gateway.CodeList{ID: gateway.CodeListID(id), Status: "project"}
	for _, n := range names {
		l.Codes = append(l.Codes, gateway.Code{Code: n, From: gateway.NoDay, To: gateway.NoDay})
	}
	indexed, err := gateway.NewCodeList(l)
	if err != nil {
		t.Fatal(err)
	}
	return indexed
}

// school is a small contract with a field of every type.
func school(t *testing.T) *gateway.Contract {
	t.Helper()
	bands := codes(t, "age_band", "Y0T4", "Y5T9", "Y10T14", "Y15T17")
	letters := codes(t, "letters", "A", "B", "AB", "BA", "C")
	return &gateway.Contract{ID: "school", Version: 1, Until: gateway.NoDay, Fields: []gateway.Field{
		{Name: "record_id", Type: gateway.TypeIdentifier, Role: gateway.RoleDirect, Class: "record_id", MaxBytes: 64, Column: "record_key", Required: true},
		{Name: "child_iin", Type: gateway.TypeIIN, Role: gateway.RoleDirect, Class: "child_id", Column: "pid"},
		{Name: "family_name", Type: gateway.TypeText, Role: gateway.RoleDirect, Class: "name", MaxBytes: 64},
		{Name: "born", Type: gateway.TypeBirthDate, Role: gateway.RoleQuasi, Class: "birth_date", List: bands, Column: "age"},
		{Name: "years", Type: gateway.TypeAge, Role: gateway.RoleQuasi, Class: "age", List: bands, Max: 17, Column: "age"},
		{Name: "happened", Type: gateway.TypeDate, Role: gateway.RoleQuasi, Class: "event_date", Event: true, Required: true, Column: "day"},
		{Name: "reported", Type: gateway.TypeDate, Role: gateway.RoleQuasi, Class: "date", Column: "reported"},
		{Name: "sex", Type: gateway.TypeCode, Role: gateway.RoleQuasi, Class: "sex", List: codes(t, "sex", "F", "M"), Column: "sex"},
		{Name: "place", Type: gateway.TypeCode, Role: gateway.RoleQuasi, Class: "area", List: codes(t, "kato_region", "10", "11"), Column: "region"},
		{Name: "illness", Type: gateway.TypeCode, Role: gateway.RoleSensitive, Class: "diagnosis", List: codes(t, "icd10", "T74", "X85"), Column: "illness"},
		{Name: "kind", Type: gateway.TypeCode, Role: gateway.RoleSensitive, Class: "sensitive", List: letters, Column: "kind"},
		{Name: "other", Type: gateway.TypeCode, Role: gateway.RoleAdmin, Class: "admin", List: codes(t, "others", "A", "B", "X"), Column: "other"},
		{Name: "many", Type: gateway.TypeCode, Role: gateway.RoleMeasure, Class: "measure", List: letters, Multi: true, Column: "many"},
		{Name: "days", Type: gateway.TypeInteger, Role: gateway.RoleMeasure, Class: "count", Max: 30, Column: "days"},
		{Name: "weeks", Type: gateway.TypeInteger, Role: gateway.RoleMeasure, Class: "measure", Max: 52, Column: "weeks"},
		{Name: "legal_basis", Type: gateway.TypeCode, Role: gateway.RoleAdmin, Class: "admin", List: codes(t, "basis", "LAW", "CONSENT"), Column: "legal_basis"},
		{Name: "consent_reporting", Type: gateway.TypeCode, Role: gateway.RoleAdmin, Class: "admin", List: codes(t, "yes_no", "Y", "N"), Column: "consent_reporting"},
		{Name: "narrative", Type: gateway.TypeText, Role: gateway.RoleDirect, Class: "narrative", Refused: true},
	}}
}

// without returns a copy of the contract without a field.
func without(c *gateway.Contract, name gateway.FieldName) *gateway.Contract {
	smaller := *c
	smaller.Fields = nil
	for _, f := range c.Fields {
		if f.Name != name {
			smaller.Fields = append(smaller.Fields, f)
		}
	}
	return &smaller
}

// merged joins changes.
func merged(changes ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, c := range changes {
		maps.Copy(all, c)
	}
	return all
}

// refusal demands an Invalid error that names all the parts.
func refusal(t *testing.T, err error, parts ...string) {
	t.Helper()
	if !errors.Is(err, gateway.Invalid) {
		t.Fatalf("not refused as invalid: %v", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the refusal does not say %q: %v", part, err)
		}
	}
}

// acceptAll is a row rule file that never refuses: every contract needs one.
var acceptAll = rows("refuse contains \"NEVER\" if input.record.days > 30")
