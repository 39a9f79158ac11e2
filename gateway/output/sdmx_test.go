package output_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pana-exchange/pana/gateway/output"
)

// readSDMXCSV is a reader of SDMX-CSV by the field guides of 2.0 and 1.0: it returns
// one map a row, by the id of the component. In 1.0 the first column is DATAFLOW or
// missing; with labels=name a column that is no id follows each coded one; with
// labels=both an id ends at ": ".
func readSDMXCSV(text []byte) ([]map[string]string, error) {
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	header := lines[0]
	if strings.HasPrefix(header[0], "STRUCTURE") && (header[1] != "STRUCTURE_ID" || header[2] != "ACTION") {
		return nil, errors.New("2.0: the first three columns are STRUCTURE, STRUCTURE_ID, ACTION")
	}
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range header {
			id, _, _ := strings.Cut(name, ": ")
			if strings.ToUpper(id) != id {
				continue // a localised name
			}
			if _, doubled := row[id]; doubled {
				return nil, errors.New("a column is doubled: " + id)
			}
			row[id], _, _ = strings.Cut(line[i], ": ")
		}
		if row["ACTION"] != "" && !slices.Contains([]string{"I", "A", "R", "D"}, row["ACTION"]) {
			return nil, errors.New("2.0 has the actions I, A, R and D")
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// told is what is kept of an observation for comparing.
func told(row map[string]string) string {
	return strings.Join([]string{
		row["REF_AREA"], row["TIME_PERIOD"], row["SEX"], row["AGE"], row["PAIR"], row["INDICATOR"],
		row["OBS_VALUE"], row["OBS_STATUS"], row["CONF_STATUS"],
	}, " ")
}

// statusesOf are the demonstration table's five, as domain.md 2.3 has them, but for
// CONF_STATUS of a hidden cell: C, because A or D would tell which rule hid it.
var statusesOf = []string{
	"KZ-71 2025-Q2 F _T education$2Bhealth VOLUME_CHILDREN 145 A F",
	"KZ-71 2025-Q3 F _T education$2Bhealth VOLUME_CHILDREN 0 A F",
	"KZ-62 2025-Q3 F _T education$2Bhealth VOLUME_CHILDREN  Q C",
	"KZ-33 2025-Q3 F _T education$2Bhealth VOLUME_CHILDREN  L F",
	"_U 2025-Q2 F _T education$2Bhealth VOLUME_CHILDREN  M F",
}

func TestSDMXCSV(t *testing.T) {
	var got []string
	for _, row := range must(readSDMXCSV(written(t, output.SDMXCSV, demo(t))))(t) {
		if row["STRUCTURE"] != "dataflow" || row["STRUCTURE_ID"] != "KZ_CPG:DF_DEMO_VOLUME(1.0.0)" || row["UNIT_MEASURE"] != "PS" {
			t.Errorf("not of the dataflow: %v", row)
		}
		if (row["NOISE_SD"] == "7.0711") != (row["OBS_STATUS"] == "A") {
			t.Errorf("noise %q of status %s", row["NOISE_SD"], row["OBS_STATUS"])
		}
		got = append(got, told(row))
	}
	if diff := cmp.Diff(statusesOf, got); diff != "" {
		t.Error(diff)
	}
}

// TestWindow writes what a question does not name as the total over the window.
func TestWindow(t *testing.T) {
	for quarters, want := range map[int]string{4: "2025", 1: "2025-Q1", 3: "2025-01-01/P9M", 12: "2025-01-01/P36M"} {
		d := demo(t)
		d.Table.Dimensions = []string{"region", "age_first"}
		for i := range d.Table.Cells {
			d.Table.Cells[i].Nodes[1] = "Y10T14"
		}
		d.Definition.To = d.Definition.From
		for range quarters - 1 {
			d.Definition.To++
		}
		row := must(readSDMXCSV(written(t, output.SDMXCSV, d)))(t)[0]
		if row["TIME_PERIOD"] != want || row["AGE"] != "Y10T14" {
			t.Errorf("%d quarters are %s", quarters, row["TIME_PERIOD"])
		}
	}
}

// TestOneReaderTakesUNICEF reads what UNICEF's service answers with the reader that
// reads ours, and finds our ids for what both have.
func TestOneReaderTakesUNICEF(t *testing.T) {
	ours := must(readSDMXCSV(written(t, output.SDMXCSV, demo(t))))(t)[0]
	rows := 0
	for _, path := range must(filepath.Glob("testdata/unicef/*.csv"))(t) {
		for _, row := range must(readSDMXCSV(must(os.ReadFile(path))(t)))(t) {
			rows++
			for _, id := range []string{"REF_AREA", "INDICATOR", "TIME_PERIOD", "OBS_VALUE", "OBS_STATUS"} {
				_, theirs := row[id]
				if _, has := ours[id]; !has || !theirs && id != "OBS_STATUS" {
					t.Errorf("%s: ours or theirs lacks %s", path, id)
				}
			}
			if _, err := strconv.ParseFloat(row["OBS_VALUE"], 64); err != nil {
				t.Errorf("%s: a value that is no number", path)
			}
		}
	}
	if rows < 5 {
		t.Errorf("%d rows", rows)
	}
}

type sdmxComponent struct {
	ID     string
	Name   string
	Names  map[string]string
	Values []struct {
		ID    string
		Names map[string]string
	}
	KeyPosition int
}

type sdmxMessage struct {
	Data struct {
		Structures []struct {
			Dimensions, Attributes, Measures struct{ DataSet, Observation []sdmxComponent }
		}
		DataSets []struct {
			Attributes   []any
			Observations map[string][]any
		}
	}
}

// readSDMXJSON is a reader of flat messages by the field guide of SDMX-JSON 2.
func readSDMXJSON(text []byte) ([]map[string]string, error) {
	var m sdmxMessage
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&m); err != nil {
		return nil, err
	}
	s, set := m.Data.Structures[0], m.Data.DataSets[0]
	measures := max(1, len(s.Measures.Observation))
	var rows []map[string]string
	for key, values := range set.Observations {
		row := map[string]string{}
		for _, dim := range s.Dimensions.DataSet {
			row[dim.ID] = dim.Values[0].ID
		}
		for i, place := range strings.Split(key, ":") {
			n, err := strconv.Atoi(place)
			if err != nil {
				return nil, err
			}
			dim := s.Dimensions.Observation[i]
			row[dim.ID] = dim.Values[n].ID
		}
		for i, v := range values {
			switch {
			case i < measures:
				row["OBS_VALUE"] = plain(v)
			case i-measures < len(s.Attributes.Observation): // behind them: annotations
				attribute(row, s.Attributes.Observation[i-measures], v)
			}
		}
		for i, v := range set.Attributes {
			attribute(row, s.Attributes.DataSet[i], v)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// attribute takes an index into the values of a component that has some.
func attribute(row map[string]string, c sdmxComponent, v any) {
	row[c.ID] = plain(v)
	if n, ok := v.(json.Number); ok && len(c.Values) > 0 {
		i, _ := strconv.Atoi(n.String())
		row[c.ID] = c.Values[i].ID
	}
}

func plain(v any) string {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case string:
		return v
	}
	return ""
}

func TestSDMXJSON(t *testing.T) {
	body := written(t, output.SDMXJSON, demo(t))
	var got []string
	for _, row := range must(readSDMXJSON(body))(t) {
		got = append(got, told(row))
		if row["RELEASE"] != "demo-1" || row["UNIT_MEASURE"] != "PS" {
			t.Errorf("without its citation: %v", row)
		}
	}
	want := slices.Clone(statusesOf)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// The reader is one of SDMX and not of ours: it takes the standard's own sample.
	if rows := must(readSDMXJSON(must(os.ReadFile("testdata/sdmx/exr-flat.json"))(t)))(t); len(rows) != 4 {
		t.Errorf("%d observations in the sample", len(rows))
	}
	var m sdmxMessage
	must(0, json.Unmarshal(body, &m))(t)
	for _, c := range slices.Concat(m.Data.Structures[0].Dimensions.Observation, m.Data.Structures[0].Attributes.DataSet, m.Data.Structures[0].Attributes.Observation) {
		if c.ID != "TIME_PERIOD" && (c.Names["kk"] == "" || c.Names["ru"] == "" || c.Names["en"] == "") {
			t.Errorf("%s lacks a name: %v", c.ID, c.Names)
		}
	}
}

// TestSDMXJSONSchema holds messages to the official schema, which is able to refuse.
func TestSDMXJSONSchema(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema := must(compiler.Compile("testdata/sdmx/sdmx-json-data-schema.json"))(t)
	valid := func(body []byte) error {
		return schema.Validate(must(jsonschema.UnmarshalJSON(bytes.NewReader(body)))(t))
	}
	for _, d := range []*output.Document{demo(t), estimates(t)} {
		if err := valid(written(t, output.SDMXJSON, d)); err != nil {
			t.Error(err)
		}
	}
	for fault, instead := range map[string]string{
		`"observations"`: `"remarks"`, `"keyPosition":0`: `"keyPosition":-1`, `"id":"REF_AREA"`: `"id":"REF AREA"`, `"sender"`: `"from"`,
	} {
		if valid(bytes.Replace(written(t, output.SDMXJSON, demo(t)), []byte(fault), []byte(instead), 1)) == nil {
			t.Errorf("the schema takes %s for %s", instead, fault)
		}
	}
}
