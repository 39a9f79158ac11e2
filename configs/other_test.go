package configs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
)

// pooled is the tiny definition with a flat place that has these keys instead of its
// groups.
func pooled(t *testing.T, keys string) (*gateway.Definition, error) {
	t.Helper()
	files := small(t)
	text := string(files["cubes/tiny.yaml"].Data)
	text = strings.Replace(text, "levels: [half, place]\n    groups:\n      - {code: HALF, title: {en: \"Half\"}, members: [\"11\", \"12\"]}\n",
		"levels: [place]\n    "+keys+"\n", 1)
	files["cubes/tiny.yaml"].Data = []byte(text)
	// A third code that is valid, to stay apart.
	list := files["codelists/places.csv"]
	list.Data = append(list.Data, "13,,,East,,,,\n14,,,West,,,,\n"...)
	all, err := LoadContracts(files)
	if err != nil {
		t.Fatal(err)
	}
	return LoadDefinition(files, "tiny", all)
}

// The pooled code stands after the others, for exactly the codes that the file names,
// which are nowhere else.
func TestOther(t *testing.T) {
	title := gateway.Text{EN: "Rest"}
	rest := func(members ...gateway.Member) gateway.Node {
		return gateway.Node{Code: "REST", Title: title, Members: members}
	}
	eleven, thirteen, fourteen := gateway.Member{Code: "11", Number: 1}, gateway.Member{Code: "13", Number: 4}, gateway.Member{Code: "14", Number: 5}
	for keys, want := range map[string][]gateway.Node{
		// All codes that are valid but those of the pool.
		`other: {code: REST, title: {en: "Rest"}, members: ["11", "14"]}`: {
			{Code: "12", Title: gateway.Text{EN: "South"}, Number: 2}, {Code: "13", Title: gateway.Text{EN: "East"}, Number: 4}, rest(eleven, fourteen),
		},
		// The codes that are named, and the pool; 12 is in neither.
		"codes: [\"11\"]\n    other: {code: REST, title: {en: \"Rest\"}, members: [\"13\", \"14\"]}": {
			{Code: "11", Title: gateway.Text{EN: "North"}, Number: 1}, rest(thirteen, fourteen),
		},
	} {
		d, err := pooled(t, keys)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, d.Dimension("place").Nodes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", keys, diff)
		}
	}
	// A pool may have the name of a code that is in it.
	if _, err := pooled(t, `other: {code: "14", title: {en: "Rest"}, members: ["13", "14"]}`); err != nil {
		t.Errorf("a pool of the name of a member: %v", err)
	}
}

// What is no pool of listed codes, decided without data, is refused.
func TestBrokenOther(t *testing.T) {
	for keys, want := range map[string]string{
		`other: {code: REST, title: {en: "Rest"}, members: ["11"]}`:                                  "two codes or more",
		`other: {code: REST, title: {en: "Rest"}}`:                                                   "two codes or more",
		`other: {code: REST, title: {en: "Rest"}, members: ["11", "99"]}`:                            `"99" is no code of list`,
		`other: {code: REST, title: {en: "Rest"}, members: ["11", "11"]}`:                            `"11" is no code of list`,
		"codes: [\"11\"]\n    other: {code: REST, title: {en: \"Rest\"}, members: [\"11\", \"12\"]}": `"11" is no code of list`,
		`other: {code: "12", title: {en: "Rest"}, members: ["11", "13"]}`:                            "a meaning of its own",
		`other: {code: REST, title: {en: "Rest"}, members: ["10", "11"]}`:                            `"10" is read as "12"`,
		`other: {code: REST, members: ["11", "13"]}`:                                                 "no English title",
		`other: {code: "R|T", title: {en: "Rest"}, members: ["11", "13"]}`:                           "does not match",
		`other: {code: REST, title: {en: "Rest"}, members: ["11", "13"], least: 20}`:                 "least",
		"other: {code: REST, title: {en: \"Rest\"}, members: [\"11\", \"12\"]}\n    omitted: \"11\"": "is not a leaf",
	} {
		_, err := pooled(t, keys)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", keys, err, want)
		}
	}
	files := small(t)
	wide := string(files["cubes/wide.yaml"].Data)
	files["cubes/wide.yaml"].Data = []byte(strings.Replace(wide, "source: {kind: event_sector_code, column: place}",
		"source: {kind: event_sector_code, column: place}\n    other: {code: REST, title: {en: \"Rest\"}, members: [\"11\", \"12\"]}", 1))
	all, err := LoadContracts(files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = LoadDefinition(files, "wide", all); err == nil || !strings.Contains(err.Error(), "one code list") {
		t.Errorf("a pool of sectors' own codes: %v", err)
	}
}
