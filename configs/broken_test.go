package configs

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pana-exchange/pana/gateway"
)

// small returns the folder testdata/small as files that a test may change.
func small(tb testing.TB) fstest.MapFS {
	tb.Helper()
	files := fstest.MapFS{}
	folder := os.DirFS("testdata/small")
	err := fs.WalkDir(folder, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(folder, path)
		files[path] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// loadAll loads the contracts and the definition of a folder.
func loadAll(fsys fs.FS) error {
	contracts, err := LoadContracts(fsys)
	if err != nil {
		return err
	}
	_, tiny := LoadDefinition(fsys, "tiny", contracts)
	_, wide := LoadDefinition(fsys, "wide", contracts)
	return errors.Join(tiny, wide)
}

func TestSmallFolderIsAccepted(t *testing.T) {
	if err := loadAll(small(t)); err != nil {
		t.Fatal(err)
	}
}

// Every fault that an author can make is refused with its place and the reason.
func TestBrokenFilesAreRefused(t *testing.T) {
	const common, shelter, clinic = "contracts/common.yaml", "contracts/shelter.yaml", "contracts/clinic.yaml"
	const index, places, bands = "codelists/codelists.yaml", "codelists/places.csv", "codelists/bands.csv"
	const tiny, wide = "cubes/tiny.yaml", "cubes/wide.yaml"
	for _, c := range []struct{ file, old, new, want string }{
		// YAML itself
		{shelter, "version: 1", "version: 1\nowner: x", `contracts/shelter.yaml:3: unknown key "owner"`},
		{shelter, "    event: true\n", "    event: true\n    evnt: true\n", `contracts/shelter.yaml:16: unknown key "evnt"`},
		{shelter, "version: 1", "version: 1\nversion: 2", `contracts/shelter.yaml:3: key "version" is given twice, first on line 2`},
		{shelter, "version: 1", "version: one", "contracts/shelter.yaml:2: cannot unmarshal"},
		{shelter, "version: 1", "version: [", "contracts/shelter.yaml:"},
		{shelter, "id: shelter", "---\nid: shelter\n---\n", "contracts/shelter.yaml:1: holds more than one document"},
		{shelter, "{field: place, in:", "{field: place, inn:", `contracts/shelter.yaml:38: unknown key "inn"`},

		// contracts
		{common, "[shelter, clinic]", "[shelter]", "contracts/clinic.yaml:1: is not named in contracts/common.yaml"},
		{common, "[shelter, clinic]", "[shelter, clinic, shelter]", "contracts/common.yaml:1: contract shelter is named twice"},
		{common, "[shelter, clinic]", "[shelter, clinic, x-y]", `contracts/common.yaml:1: contract id "x-y"`},
		{common, "[shelter, clinic]", "[shelter, clinic, court]", "contracts/court.yaml:1: cannot be read"},
		{common, "contracts: [shelter, clinic]", "contracts: []", "contracts/common.yaml:1: no contract is named"},
		{common, "- name: born", "- name: child_iin", "contracts/common.yaml:9: field child_iin is given twice"},
		{common, "    class: child_id\n", "    class: child_id\n    common: [born]\n", "contracts/common.yaml:3: a common field cannot be made of others"},
		{shelter, "id: shelter", "id: shelters", `contracts/shelter.yaml:1: id "shelters" is not the name of the file`},
		{shelter, "version: 1", "version: 0", "contracts/shelter.yaml:2: version must be 1 or more"},
		{clinic, `title: {en: "Clinic"}`, `title: {ru: "x"}`, "contracts/clinic.yaml:3: the contract has no English title"},
		{shelter, "2030-12-31", "2030-02-31", `contracts/shelter.yaml:4: "2030-02-31" is not a date`},
		{shelter, "[child_iin, born]", "[child_iin, bron]", `contracts/shelter.yaml:8: contracts/common.yaml has no field "bron"`},
		{shelter, "[child_iin, born]", "[child_iin, born]\n    required: true", "contracts/shelter.yaml:8: common stands alone"},
		{shelter, "[admitted, left]", "[admitted]", "contracts/shelter.yaml:6: an order needs two dates or more"},
		{shelter, "[admitted, left]", "[admitted, nights]", `contracts/shelter.yaml:6: "nights" is not a date of the contract`},
		{shelter, "[admitted, left]", "[admitted, left]\n  - [left, admitted]", `contracts/shelter.yaml:7: "admitted" is both before and after "left"`},
		{shelter, "[admitted, left]", "[admitted, admitted]", `contracts/shelter.yaml:6: "admitted" is both before and after "admitted"`},

		// fields
		{shelter, "- name: left", "- name: Left", `contracts/shelter.yaml:17: name "Left" does not match`},
		{shelter, "- name: left", "- name: age", `contracts/shelter.yaml:17: name "age" does not match`},
		{shelter, "- name: nights", "- name: place", "contracts/shelter.yaml:40: contract shelter has the field place twice"},
		{shelter, `{en: "Left"}`, `{kk: "x"}`, "contracts/shelter.yaml:18: field left has no English title"},
		{shelter, "type: integer", "type: number", `contracts/shelter.yaml:42: type "number" is none of age, birth_date`},
		{shelter, "role: measure", "role: metric", `contracts/shelter.yaml:43: role "metric" is none of admin, direct`},
		{shelter, "class: count", "class: counts", `contracts/shelter.yaml:44: class "counts" is none of child_id`},
		{shelter, "list: places", "list: place", `contracts/shelter.yaml:28: field place: there is no code list "place"`},
		{shelter, "    class: count\n", "    class: count\n    list: places\n", "contracts/shelter.yaml:45: list is for codes, birth dates and ages"},
		{shelter, "    class: count\n", "    class: count\n    multi: true\n", "contracts/shelter.yaml:45: multi is for codes"},
		{shelter, "    class: count\n", "    class: count\n    forms: [\"99\"]\n", "contracts/shelter.yaml:45: forms are for codes"},
		{shelter, "    class: date\n", "    class: date\n    min: 1\n", "contracts/shelter.yaml:17: min and max are for integers and ages"},
		{shelter, "    max: 90\n", "", "contracts/shelter.yaml:40: field nights needs min and max"},
		{shelter, "max: 90", "max: -1", "contracts/shelter.yaml:40: field nights needs min and max"},
		{shelter, "min: 0", "min: -3", "contracts/shelter.yaml:40: field nights needs min and max"},
		{shelter, `["999-A"]`, `["9"]`, `contracts/shelter.yaml:29: form "9" cut to the length of the codes of places matches none`},
		{shelter, `["999-A"]`, `["A99"]`, `contracts/shelter.yaml:29: form "A99" cut to the length`},
		{shelter, `["999-A"]`, `["99|9"]`, `contracts/shelter.yaml:29: form "99|9" cut to the length`},
		{shelter, "list: reasons", "list: reasons\n    forms: [\"AAAA\"]", `contracts/shelter.yaml:37: form "AAAA" cut to the length of the codes of reasons`},
		{shelter, "    max_bytes: 20\n", "", "contracts/shelter.yaml:48: field room needs max_bytes from 1 to 1024"},
		{shelter, "max_bytes: 20", "max_bytes: 2000", "contracts/shelter.yaml:53: field room needs max_bytes from 1 to 1024"},
		{shelter, "    class: count\n", "    class: count\n    max_bytes: 3\n", "contracts/shelter.yaml:45: max_bytes is for text and identifiers"},
		{shelter, "    max_bytes: 20\n", "    max_bytes: 20\n    column: room\n", "contracts/shelter.yaml:54: text is never stored"},
		{shelter, "role: direct\n    class: organisation", "role: quasi\n    class: organisation", "contracts/shelter.yaml:51: the role direct is for text"},
		{shelter, "role: measure", "role: direct", "contracts/shelter.yaml:43: the role direct is for text"},
		{shelter, "refused: true", "refused: true\n    required: true", "contracts/shelter.yaml:59: only text that is not required can be refused"},
		{shelter, "    class: count\n", "    class: count\n    refused: true\n", "contracts/shelter.yaml:45: only text that is not required can be refused"},
		{shelter, "    event: true\n", "", "contracts/shelter.yaml:8: contract shelter has 0 dates of the event; it needs one"},
		{shelter, "    class: date\n", "    class: date\n    required: true\n    event: true\n", "contract shelter has 2 dates of the event"},
		{shelter, "    required: true\n", "", "contracts/shelter.yaml:14: the date of the event must be a required date"},
		{shelter, "column: left", "column: day", "contracts/shelter.yaml:22: the column of the event's date is day"},
		{shelter, "column: left", "column: pid", "contracts/shelter.yaml:22: the column of an iin is pid"},
		{shelter, "column: left", "column: age", "contracts/shelter.yaml:22: the column of birth dates and ages is age"},
		{shelter, "column: left", "column: rnd", `contracts/shelter.yaml:22: column "rnd" is one that every table has`},
		{shelter, "column: left", "column: load_id", `contracts/shelter.yaml:22: column "load_id" is one that every table has`},
		{shelter, "column: left", "column: Left", `contracts/shelter.yaml:22: column "Left" does not match`},
		{shelter, "column: left", "column: nights", "contracts/shelter.yaml:47: contract shelter stores left and nights in one column"},
		{common, "column: pid", "column: child", "contracts/common.yaml:8: the column of an iin is pid"},
		{bands, "Y9T17", "Y10T17", "contracts/common.yaml:14: code list bands is not of age bands"},

		// conditions
		{shelter, "{field: place,", "{field: plaice,", `contracts/shelter.yaml:38: contract shelter has no other field "plaice"`},
		{shelter, "{field: place,", "{field: reason,", `contracts/shelter.yaml:38: contract shelter has no other field "reason"`},
		{shelter, "{field: place,", "{field: story,", `contracts/shelter.yaml:38: contract shelter has no other field "story"`},
		{shelter, "{field: place,", "{field: nights,", "contracts/shelter.yaml:38: field nights holds no codes"},
		{shelter, `in: ["11"]`, `in: ["13"]`, `contracts/shelter.yaml:38: code list places has no code "13"`},
		{shelter, `in: ["11"]`, `in: ["11"], empty: true`, "contracts/shelter.yaml:38: a condition is one of"},
		{shelter, `in: ["11"]`, `in: []`, "contracts/shelter.yaml:38: a condition is one of"},
		{shelter, "    multi: true\n", "    multi: true\n    required: true\n", "contracts/shelter.yaml:39: field reason is required anyway"},

		// code lists
		{index, "id: places", "id: Places", `codelists/codelists.yaml:2: id "Places" does not match`},
		{index, "id: reasons", "id: places", "codelists/codelists.yaml:6: code list places is named twice"},
		{index, "status: official", "status: draft", `codelists/codelists.yaml:4: status "draft" is none of official`},
		{index, "    source: \"a test\"\n  - id: reasons", "  - id: reasons", "codelists/codelists.yaml:2: code list places has no English title or no source"},
		{index, "id: bands", "id: band", "codelists/band.csv:1: cannot be read"},
		{index, "id: bands", "id: band", "codelists/bands.csv:1: is not in codelists/codelists.yaml"},
		{places, "code,kk", "code,kz", "codelists/places.csv:1: the header must be code,kk,ru,en"},
		{places, "North,,,,", "North,,,", "codelists/places.csv:2: wrong number of fields"},
		{places, "12,,,South", "12,,,So\"uth", "codelists/places.csv:3: bare"},
		{places, "12,,,South", "11,,,South", "code list places: code \"11\" is empty or doubled"},
		{places, "12,,,South", "1|2,,,South", `codelists/places.csv:3: code "1|2" does not match`},
		{places, "12,,,South", "=1,,,South", `codelists/places.csv:3: code "=1" does not match`},
		{places, "South,,2020", ",,2020", `codelists/places.csv:3: code "12" has no English label`},
		{places, "2020-01-01", "01.01.2020", `codelists/places.csv:3: "01.01.2020" is not a date`},
		{places, "South,,2020-01-01,", "South,,2020-01-01,2019-01-01", `codelists/places.csv:3: code "12" is valid to a day before the first`},
		{places, "North,,", "North,99,", `codelists/places.csv:2: parent "99" of code "11"`},
		{places, "North,,", "North,11,", `codelists/places.csv:2: parent "11" of code "11"`},
		{places, "2019-12-31,12", "2019-12-31,13", `codelists/places.csv:4: successor "13" of code "10"`},
		{places, "2019-12-31,12", ",12", `codelists/places.csv:4: successor "12" of code "10"`},
		{places, "11,,,North,,,,\n12,,,South,,2020-01-01,,\n10,,,Old South,,,2019-12-31,12\n", "", "codelists/places.csv:1: holds no code"},

		// release definitions
		{tiny, "lineage: tiny", "lineage: small", `cubes/tiny.yaml:1: lineage "small" is not the name of the file`},
		{tiny, "v: 60", "v: 49.9", "cubes/tiny.yaml:3: v must be 50 or more"},
		{tiny, "v: 60", "v: .nan", "cubes/tiny.yaml:3: v must be 50 or more"},
		{tiny, "v: 60", "v: .inf", "cubes/tiny.yaml:3: v must be 50 or more"},
		{tiny, "from: 2024Q1", "from: 2024-1", "cubes/tiny.yaml:2: a quarter is written like 2025Q3"},
		{tiny, "from: 2024Q1", "from: 2025Q1", "cubes/tiny.yaml:2: a release window runs"},
		{tiny, "- name: quarter", "- name: place", `cubes/tiny.yaml:23: dimension name "place" does not match`},
		{tiny, `{en: "Reached"}`, "{}", "cubes/tiny.yaml:13: dimension reached has no English title"},
		{tiny, "kind: multi", "kind: partition", "cubes/tiny.yaml:25: a dimension of source event_quarter is multi"},
		{tiny, "kind: event_quarter", "kind: event_month", `cubes/tiny.yaml:27: source "event_month" is none of child_const`},
		{tiny, "kind: event_quarter", "kind: event_quarter, column: day", "cubes/tiny.yaml:27: a column is for the sources"},
		{tiny, "kind: event_quarter", "kind: event_quarter, days: 3", "cubes/tiny.yaml:27: start, targets and days are for"},
		{tiny, "levels: [quarter]", "levels: []", "cubes/tiny.yaml:26: dimension quarter needs one or two levels"},
		{tiny, "levels: [quarter]", "levels: [quarter, quarter]", `cubes/tiny.yaml:26: level "quarter" does not match`},
		{tiny, "levels: [quarter]", "levels: [year, quarter]", "cubes/tiny.yaml:26: a dimension of source event_quarter has one level"},
		{tiny, "levels: [half, place]", "levels: [place]", "cubes/tiny.yaml:5: two levels need groups, and one has none"},
		{tiny, `["11", "12"]`, `["11"]`, `cubes/tiny.yaml:10: leaf "12" is in no group`},
		{tiny, `["11", "12"]`, `["11", "12", "10"]`, `cubes/tiny.yaml:10: "10" is not a leaf, or is in two groups`},
		{tiny, "code: HALF", `code: "11"`, `cubes/tiny.yaml:5: code "11" of dimension place`},
		{tiny, `title: {en: "Half"}, `, "", `cubes/tiny.yaml:5: code "HALF" of dimension place has no English title`},
		{tiny, "column: place", "column: nights", "cubes/tiny.yaml:11: column nights of contract shelter has no codes"},
		{tiny, "column: place", "column: reason", "cubes/tiny.yaml:11: column reason of contract shelter holds several codes"},
		{tiny, "column: place", "column: room", "cubes/tiny.yaml:11: contract shelter does not store room"},
		{clinic, "list: places", "list: reasons", "cubes/tiny.yaml:11: column place of contract clinic has no codes, or others"},
		{tiny, "    omitted: \"yes\"\n", "", "cubes/tiny.yaml:12: an outcome needs the code that is omitted"},
		{tiny, `omitted: "yes"`, "omitted: maybe", `cubes/tiny.yaml:22: "maybe" is not a leaf of dimension reached`},
		{tiny, `{code: "no",`, "{code: never,", "cubes/tiny.yaml:18: the nodes of reached are"},
		{tiny, `{code: "no",`, `{code: "no", members: [a],`, "cubes/tiny.yaml:19: members are of groups"},
		{tiny, "start: shelter", "start: court", `cubes/tiny.yaml:16: there is no contract "court"`},
		{tiny, "clinic: [day]", "court: [day]", `cubes/tiny.yaml:16: there is no contract "court"`},
		{tiny, "clinic: [day]", "clinic: []", `cubes/tiny.yaml:16: there is no contract "clinic", or no date`},
		{tiny, "clinic: [day]", "clinic: [place]", `cubes/tiny.yaml:16: contract clinic stores no date "place"`},
		{tiny, "days: 30", "days: 0", "cubes/tiny.yaml:16: days must be from 1 to 366"},
		{tiny, "    levels: [quarter]\n", "    levels: [quarter]\n    codes: [a]\n", "cubes/tiny.yaml:27: codes are for sources with a column of one code list"},
		{tiny, "kind: child_most, column: place}", "kind: child_most, column: place}\n    codes: [\"11\", \"13\"]", `cubes/tiny.yaml:12: code list places has no code "13"`},
		{tiny, "id: amounts", "id: ways", `cubes/tiny.yaml:35: cube id "ways" does not match`},
		{tiny, `{en: "Ways"}`, "{}", "cubes/tiny.yaml:30: cube ways has no English title"},
		{tiny, "grain: events", "grain: rows", `cubes/tiny.yaml:37: grain "rows" is neither children nor events`},
		{tiny, "cap: 2\n    apart", "cap: 5\n    apart", "cubes/tiny.yaml:39: cap must be from 1 to 4"},
		{tiny, "dimensions: [place, reached]", "dimensions: [place, reachd, reached]", `cubes/tiny.yaml:32: dimension "reachd" is not defined`},
		{tiny, "dimensions: [place, reached]", "dimensions: []", "cube ways has no dimensions"},
		{tiny, "dimensions: [place, reached]", "dimensions: [place]", "cubes/tiny.yaml:12: no cube uses dimension reached"},
		{tiny, "[[place, quarter]]", "[[place]]", "cubes/tiny.yaml:40: dimensions that are kept apart"},
		{tiny, "[[place, quarter]]", "[[place, reached]]", `cubes/tiny.yaml:40: dimension "reached" is not one of the cube's`},
		{tiny, "measures: [children]", "measures: []", "cube ways has no measures"},
		{tiny, "measures: [children]", "measures: [persons]", `cubes/tiny.yaml:34: measure "persons" is neither children nor records`},
		{tiny, "measures: [children]", "measures: [children, children]", `cubes/tiny.yaml:34: measure "children" is neither`},
		{tiny, "v: 60", "v: 60\nnoise: 3", `cubes/tiny.yaml:4: unknown key "noise"`},
		{tiny, "v: 60", "v: 60\nimpossible: [{reached: \"no\"}]", "cubes/tiny.yaml:4: a structural zero names nodes of two dimensions"},
		{tiny, "v: 60", "v: 60\nimpossible: [{reached: \"no\", place: moon}]", `cubes/tiny.yaml:4: place has no node "moon"`},
		{tiny, "v: 60", "v: 60\nimplied: [{if: {reached: \"no\"}, then: {}}]", "cubes/tiny.yaml:4: an implication is from one node to one node"},
		{tiny, "v: 60", "v: 60\nimplied: [{if: {reached: \"no\"}, then: {reached: \"yes\"}}]", "cubes/tiny.yaml:4: an implication is between two dimensions"},
		{tiny, "v: 60", "v: 60\nimplied: [{if: {planet: moon}, then: {reached: \"yes\"}}]", `cubes/tiny.yaml:4: planet has no node "moon"`},

		// sources about sectors, and years
		{wide, "kind: event_sector_code, column: place", "kind: event_sector_code", "cubes/wide.yaml:14: a column is for the sources"},
		{wide, "kind: event_sector_code, column: place", "kind: event_sector_code, column: moon", `cubes/wide.yaml:14: no contract stores a column "moon"`},
		{wide, "kind: event_sector_code, column: place", "kind: event_sector_code, column: reason", "cubes/wide.yaml:14: column reason of contract shelter does not hold one code"},
		{wide, "kind: event_sector_code, column: place", "kind: event_sector_code, column: nights", "cubes/wide.yaml:14: column nights of contract shelter does not hold one code"},
		{wide, "levels: [kind]", "levels: [kinds, kind]", "cubes/wide.yaml:13: a dimension of source event_sector_code has one level"},
		{wide, "levels: [kind]\n", "levels: [kind]\n    codes: [shelter.11]\n", "cubes/wide.yaml:14: codes are for sources with a column of one code list"},
		{wide, "levels: [year]", "levels: [decade, year]", "cubes/wide.yaml:18: a dimension of source event_year has one level"},
		{wide, "kind: event_year", "kind: event_year, column: day", "cubes/wide.yaml:19: a column is for the sources"},
		{wide, "from: 2023Q2", "from: 2024Q1", "cubes/wide.yaml:2: dimension year: the window needs a whole year, and more"},
		{wide, "from: 2023Q2", "from: 2024Q2", "cubes/wide.yaml:2: dimension year: the window needs a whole year, and more"},
		{wide, "levels: [count]", "levels: [some, count]", "cubes/wide.yaml:23: a dimension of source sector_count has one level"},
		{wide, `{code: "2",`, `{code: "2+",`, `cubes/wide.yaml:27: number 2 of the sectors has the code "2"`},
		{wide, `      - {code: "2", title: {en: "Two"}}`, "", "cubes/wide.yaml:26: numbers of sectors need 2 nodes or more, and at most one for each of 2"},
		{wide, `"Two"}}`, `"Two"}}` + "\n      - {code: \"3\", title: {en: \"Three\"}}", "cubes/wide.yaml:26: numbers of sectors need 2 nodes"},
		{wide, `{code: "2", title`, `{code: "2", members: [a], title`, "cubes/wide.yaml:27: members are of groups"},
		{wide, "kind: sector_count", "kind: first_sector", "cubes/wide.yaml:20: nodes are for the sources reached, sector_count and outcome"},
		{wide, "    kind: multi\n    levels: [pair]", "    kind: partition\n    levels: [pair]", "cubes/wide.yaml:30: a dimension of source sector_pair is multi"},
		{wide, "levels: [pair]", "levels: [pairs, pair]", "cubes/wide.yaml:31: a dimension of source sector_pair has one level"},
		{wide, "caps: {pair: 2}", "caps: {pairs: 2}", "cubes/wide.yaml:39: a cap of a dimension is from 1"},
		{wide, "caps: {pair: 2}", "caps: {pair: 0}", "cubes/wide.yaml:39: a cap of a dimension is from 1"},
		{wide, "caps: {pair: 2}", "caps: {pair: 3}", "cubes/wide.yaml:39: a cap of a dimension is from 1"},
		{wide, "caps: {pair: 2}", "caps: {pair: two}", "cubes/wide.yaml:39: cannot unmarshal"},
	} {
		files := small(t)
		text := string(files[c.file].Data)
		if strings.Count(text, c.old) == 0 {
			t.Errorf("%s has no %q to break", c.file, c.old)
			continue
		}
		files[c.file] = &fstest.MapFile{Data: []byte(strings.Replace(text, c.old, c.new, 1))}
		err := loadAll(files)
		if err == nil || !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %q for %q:\n got %v\nwant %s", c.file, c.new, c.old, err, c.want)
		}
	}
}

// All that is wrong is reported at once.
func TestAllProblemsAtOnce(t *testing.T) {
	files := small(t)
	files["contracts/clinic.yaml"] = &fstest.MapFile{Data: []byte(strings.NewReplacer(
		"version: 2", "version: 0", "class: area", "class: areas",
	).Replace(string(files["contracts/clinic.yaml"].Data)))}
	err := loadAll(files)
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("got %v, want two lines", err)
	}
}

func TestUnknownDefinition(t *testing.T) {
	for _, name := range []string{"none", "../cubes/demo", "", "Demo"} {
		if _, err := Definition(name); !errors.Is(err, gateway.NotFound) {
			t.Errorf("Definition(%q): %v, want NotFound", name, err)
		}
	}
}
