package configs

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pana-exchange/pana/gateway"
)

// Every fault that an author of paths, outcomes, indicators and includes can make is
// refused with its place and the reason: the shipped files, broken one at a time.
func TestBrokenPathsAndIndicatorsAreRefused(t *testing.T) {
	const demo, shared = "cubes/demo.yaml", "cubes/shared/indicators.yaml"
	const door, closed = "        - id: health_door\n", "        - id: closed\n          start:\n            - {sector: social, dates: [closure_date]}\n"
	for _, c := range []struct{ file, old, new, want string }{
		// includes
		{demo, "include: shared/indicators.yaml", "include: shared/none.yaml", "cubes/shared/none.yaml:1: cannot be read"},
		{demo, "include: shared/indicators.yaml", "include: demo.yaml", "an included file holds dimensions, cubes and indicators, and nothing else"},
		{shared, "\ndimensions:\n", "\nlineage: demo\ndimensions:\n", "an included file holds dimensions"},
		{shared, "\ndimensions:\n", "\nv: 60\ndimensions:\n", "an included file holds dimensions"},
		{shared, "\ndimensions:\n", "\ninclude: indicators.yaml\ndimensions:\n", "an included file holds dimensions"},
		{shared, "\ndimensions:\n", "\nwindow: {from: 2023Q1}\ndimensions:\n", "an included file holds dimensions"},
		{shared, "\ndimensions:\n", "\nimpossible: [{sex: F, region: \"10\"}]\ndimensions:\n", "an included file holds dimensions"},
		{shared, "\ndimensions:\n", "\nfolder: x\ndimensions:\n", `unknown key "folder"`},
		{shared, "  - name: outcome\n", "  - name: region\n", `dimension name "region" does not match`},
		{shared, "  - id: outcomes\n", "  - id: pathways\n", `cube id "pathways" does not match`},

		// paths
		{shared, door, "        - id: Health\n", `path id "Health" does not match`},
		{shared, door, "        - id: education_door\n", `path id "education_door" does not match`},
		{shared, "          days: 30\n", "          days: -1\n", "days must be from 0 to 2000"},
		{shared, "          days: 30\n", "          days: 2001\n", "days must be from 0 to 2000"},
		{shared, "told: [health, social]", "told: [health]", "path health_door looks at records of social, so it cannot be told before they are reported"},
		{shared, "told: [health, social]", "told: [social]", "path health_door looks at records of health"},
		{shared, "told: [health, social]", "told: [health, social, church]", `there is no contract "church", or it is given twice`},
		{shared, "told: [health, social]", "told: [health, social, health]", `there is no contract "health", or it is given twice`},
		{shared, "          days: 14\n          told: [police, health, education, justice, helpline, social]", "          days: 14\n          told: [police, health]", "path slip_social looks at records of"},
		{shared, closed, "        - id: closed\n          start: []\n", "a start or a step needs a happening"},
		{
			shared, "            - {sector: health}\n          days: 30\n          told: [health, social]", "            - {sector: education}\n          days: 30\n          told: [social, education]",
			"paths health_door and education_door are of one cohort, told at one time",
		},

		// steps
		{shared, "{id: reached, any", "{id: Reached, any", `step id "Reached" does not match`},
		{shared, "{id: received, after", "{id: sent, after", `step id "sent" does not match`},
		{shared, "{id: received, after: sent,", "{id: received, after: assessed,", `path support has no earlier step "assessed"`},
		{shared, "{id: half, from: 8, to: 182,", "{id: half, from: 8, to: 7,", "a step is from some days to as many or more"},
		{shared, "{id: half, from: 8, to: 182,", "{id: half, from: 8, to: 366,", "not beyond the days of its path"},
		{shared, "{id: half, from: 8, to: 182,", "{id: half, from: -2001, to: 182,", "a step is from some days to as many or more"},
		{shared, "{id: half, from: 8, to: 182,", "{id: half, from: 8, near: 3, to: 182,", "near is of steps that look for a referral slip"},
		{shared, "near: 3, slip: true", "near: 15, slip: true", "near is of steps that look for a referral slip, at most the days of the path"},
		{shared, "near: 3, slip: true", "near: -1, slip: true", "near is of steps that look for a referral slip"},
		{shared, "{id: received, after: sent,", "{id: received, slip: true, after: sent,", "they follow the start"},
		{shared, "slip: true, any: [{sector: social}]", "slip: true, any: [{sector: social, where: {event_type: [REFERRAL_RECEIVED]}}]", "any record of a sector that bears the number has received the slip"},
		{shared, "{id: arrived, from: -3, near: 3, slip: true, any: [{sector: social}]}", "{id: arrived, from: -3, near: 3, slip: true, any: []}", "a start or a step needs a happening"},

		// happenings
		{shared, "- {sector: police, where: {setting: [HOME]}}", "- {sector: church}", `there is no contract "church"`},
		{shared, "where: {setting: [HOME]}", "where: {mood: [HOME]}", `contract police stores no codes in a column "mood"`},
		{shared, "where: {setting: [HOME]}", "where: {referral_date: [HOME]}", `contract police stores no codes in a column "referral_date"`},
		{shared, "where: {setting: [HOME]}", "where: {setting: [MOON]}", `has no code "MOON"`},
		{shared, "- {sector: social, dates: [closure_date]}", "- {sector: social, dates: [closing]}", `contract social stores no date "closing"`},
		{shared, "- {sector: social, dates: [closure_date]}", "- {sector: social, dates: [risk_level]}", `contract social stores no date "risk_level"`},
		{shared, "- {sector: police, where: {setting: [HOME]}}", "- {sector: police, own: true}", "without dates a happening is on the record's own day"},

		// outcomes
		{shared, "outcome: {path: home, with: order}", "outcome: {path: house, with: order}", `there is no path "house"`},
		{shared, "outcome: {path: home, with: order}", "outcome: {path: home, with: orders}", "path home has no such step"},
		{shared, "outcome: {path: hospital, without: police}", "outcome: {path: hospital, without: polis}", "path hospital has no such step"},
		{shared, "outcome: {path: home, with: order}", "outcome: {path: home}", "an outcome is one of started, cannot_tell, with and without"},
		{shared, "outcome: {path: home, with: order}", "outcome: {path: home, with: order, without: order}", "an outcome is one of"},
		{shared, "outcome: {path: home, with: order}", "outcome: {path: home, with: order, cannot_tell: true}", "an outcome is one of"},
		{shared, "outcome: {path: home, with: order}", "outcome: {path: home, started: true}", "two nodes say the same of one path"},
		{shared, "with: service, days: [2, 7]}", "with: service, days: [0, 1]}", "two nodes say the same of one path"},
		{shared, "with: service, days: [2, 7]}", "with: service, days: [7, 2]}", "days are the first and the last of a step that was found"},
		{shared, "with: service, days: [2, 7]}", "with: service, days: [2]}", "days are the first and the last of a step that was found"},
		{shared, "without: police}", "without: police, days: [0, 1]}", "days are the first and the last of a step that was found"},
		{shared, "outcome: {path: call, with: elsewhere}", "outcome: {path: call, started: true}", "who started the path are the children of its sector"},

		// indicators
		{shared, "  - id: i8\n", "  - id: I8\n", `indicator id "I8" does not match`},
		{shared, "  - id: i8\n", "  - id: i7\n", `indicator id "i7" does not match`},
		{shared, `title: {kk: "Қызметке дейінгі уақыт", ru`, `title: {ru`, "the title of indicator i7 is in Kazakh, Russian and English"},
		{shared, `{kk: "6 ай", ru`, `{ru`, "a part has a title in Kazakh, Russian and English"},
		{shared, "linked: [social, police, health, education, helpline]", "linked: [social, church]", `there is no contract "church"`},
		{shared, "    shape: bands\n", "    shape: round\n", `shape "round" is none of share`},
		{shared, "    shape: bands\n", "    shape: operation\n", "an indicator of operation has no cells"},
		{shared, "filter: {outcome: again_half}", "filter: {}", "a part names a cell"},
		{shared, "filter: {outcome: again_half}", "filter: {outcome: again_never}", "cube outcomes has no dimension outcome, or it has no published node \"again_never\""},
		{shared, "filter: {outcome: again_half}", "filter: {planet: moon}", "cube outcomes has no dimension planet"},
		{shared, "filter: {outcome: service_0_1}, days: [0, 1]", "filter: {outcome: service_0_1}, days: [1, 0]", "a band is from a day to a day"},
		{shared, "filter: {outcome: service_0_1}, days: [0, 1]", "filter: {outcome: service_0_1}, days: [1]", "a band is from a day to a day"},
		{shared, "cannot_tell: {outcome: closed_cannot_tell}", "cannot_tell: {outcome: closed_unknown}", "no published node \"closed_unknown\""},
		// What is left of a cohort is in no published node: those who were reached.
		{shared, `filter: {reached: "no"}`, `filter: {reached: "yes"}`, "no published node \"yes\""},
		{shared, "    by: [region]\n", "    by: [planet]\n", "has no dimension planet"},
		{shared, "    cube: overlap\n", "    cube: overlaps\n", `there is no cube "overlaps"`},
		{shared, "    dimensions: [outcome, region]\n    cap: 2", "    dimensions: [outcome, region]\n    cap: 1", "cube outcomes does not admit the cells of"},
	} {
		files := shippedCubes(t)
		text := string(files[c.file].Data)
		if !strings.Contains(text, c.old) {
			t.Errorf("%s has no %q to break", c.file, c.old)
			continue
		}
		files[c.file] = &fstest.MapFile{Data: []byte(strings.Replace(text, c.old, c.new, 1))}
		_, err := LoadDefinition(files, "demo", contracts(t))
		if err == nil || !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %q for %q:\n got %v\nwant %s", c.file, c.new, c.old, err, c.want)
		}
	}
}

// shippedCubes are the embedded definitions as files that a test may change.
func shippedCubes(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range []string{"cubes/demo.yaml", "cubes/shared/indicators.yaml"} {
		text, err := fs.ReadFile(embedded, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	return files
}

// A definition that lies elsewhere may include what is embedded, and one that brings a
// file of that name gets its own.
func TestIncludedFileIsFound(t *testing.T) {
	files := shippedCubes(t)
	delete(files, "cubes/shared/indicators.yaml")
	d, err := LoadDefinition(files, "demo", contracts(t))
	if err != nil || d.Indicator("i1") == nil || d.Indicator("i17") != nil {
		t.Fatalf("without the shared file: %v", err)
	}
	own := strings.Replace(string(shippedCubes(t)["cubes/shared/indicators.yaml"].Data), "  - id: i9\n", "  - id: nine\n", 1)
	files["cubes/shared/indicators.yaml"] = &fstest.MapFile{Data: []byte(own)}
	d, err = LoadDefinition(files, "demo", contracts(t))
	if err != nil || d.Indicator("nine") == nil || d.Indicator("i9") != nil {
		t.Fatalf("with its own: %v", err)
	}
}

// Every indicator of the shipped definitions can be asked for: what it reads is what
// its questions return, and what it asks for is grouped by published dimensions.
func TestShippedIndicatorsAsk(t *testing.T) {
	all, err := Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range all {
		for _, n := range d.Indicators {
			for _, by := range append([]string{""}, n.By...) {
				for _, q := range n.Asks(by) {
					if d.Cube(q.Cube) == nil && n.Shape != gateway.ShapeOperation {
						t.Errorf("%s: indicator %s by %q asks for cube %q", name, n.ID, by, q.Cube)
					}
				}
			}
		}
	}
}
