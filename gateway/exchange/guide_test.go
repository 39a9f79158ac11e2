package exchange_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// A guide says the same in three languages, of everything that can be asked and nothing
// else; all its numbers are public before anybody counts, or bands.
func TestGuide(t *testing.T) {
	g := populated(t)
	r := g.build(t)
	g.approve(t, r)
	c, err := g.Release(t.Context(), g.who["researcher"], r.ID)
	ok(t, err)
	guides := map[string]*exchange.Guide{}
	for _, lang := range []string{"kk", "ru", "en"} {
		guides[lang] = g.Guide(c, lang)
		if guides[lang].Lang != lang {
			t.Errorf("%s: the guide is in %s", lang, guides[lang].Lang)
		}
	}
	if g.Guide(c, "fr").Lang != "en" {
		t.Error("a language that nobody speaks is not English")
	}
	en := guides["en"]
	for lang, guide := range guides {
		if len(guide.Cubes) != len(c.Pinned.Definition.Cubes) || len(guide.Agencies) != 6 || len(guide.Sectors) != 6 || len(guide.Places) != 6*len(regions(t)) {
			t.Errorf("%s: %d cubes, %d agencies, %d sectors, %d places", lang, len(guide.Cubes), len(guide.Agencies), len(guide.Sectors), len(guide.Places))
		}
		text, err := json.Marshal(guide)
		ok(t, err)
		if strings.Contains(string(text), "%!") || strings.Contains(string(text), `"definition":""`) || strings.Contains(string(text), `"title":""`) ||
			strings.Contains(string(text), `"counts":""`) || strings.Contains(string(text), `"reported":""`) || strings.Contains(string(text), `"timely":""`) {
			t.Errorf("%s: a sentence is missing or broken", lang)
		}
		for i, note := range guide.Notes {
			cyrillic := strings.ContainsFunc(note, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) })
			if cyrillic != (lang != "en") {
				t.Errorf("%s: note %d is in another language: %s", lang, i, note)
			}
			if digits(note) != digits(en.Notes[i]) {
				t.Errorf("%s: note %d has the numbers %s, in English %s", lang, i, digits(note), digits(en.Notes[i]))
			}
		}
	}
	for i, cube := range en.Cubes {
		g.askAll(t, r, c.Pinned.Definition.Cubes[i].ID, cube)
	}
}

// askAll asks for what a guide says is admitted, and for what it says is not.
func (g *gate) askAll(t *testing.T, r gateway.Release, id string, cube exchange.GuideCube) {
	t.Helper()
	ask := func(set string, m gateway.Measure) error {
		_, err := g.Ask(t.Context(), g.who["researcher"], r.ID, gateway.Question{
			Cube: id, Measure: m, GroupBy: strings.FieldsFunc(set, func(r rune) bool { return r == '|' }), Purpose: purpose,
		}, asJSON)
		return err
	}
	for _, s := range cube.Admitted {
		ok(t, ask(s.Set, gateway.CountChildren))
	}
	for _, s := range cube.Closed {
		is(t, ask(s, gateway.CountChildren), gateway.Withheld)
	}
	if len(cube.Admitted) == 0 || len(cube.Measures) == 0 {
		t.Errorf("cube %s: %d sets, %d measures", id, len(cube.Admitted), len(cube.Measures))
	}
	var listed []gateway.Measure
	for _, m := range cube.Measures {
		listed = append(listed, m.Measure)
	}
	err := ask("", "nothing.like.it")
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(listed)) {
		t.Errorf("the guide lists %v; a cube that is asked for something else says %v", listed, err)
	}
}

// digits are the numbers of a text, sorted.
func digits(text string) string {
	numbers := strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	slices.Sort(numbers)
	return strings.Join(numbers, " ")
}
