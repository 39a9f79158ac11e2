package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// The catalogue of the definition that is built in reads in three languages, has every
// cube, dimension and indicator in it, and nothing of the other languages' headings.
func TestCatalogueInThreeLanguages(t *testing.T) {
	d, err := configs.Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	budget, err := disclosure.Plan(d)
	if err != nil {
		t.Fatal(err)
	}
	contracts, err := configs.Contracts()
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange.Exchange{Options: exchange.Options{Contracts: contracts}}
	c := exchange.Catalogue{Pinned: exchange.Pinned{Definition: d, Budget: budget, Quality: &gateway.Quality{
		Agencies: []gateway.AgencyQuality{{Agency: "akimat-1", Contract: "social", Regions: []string{"61"}, Reported: gateway.ReportedHalf, Timely: gateway.Within30}},
		Sectors:  []gateway.SectorQuality{{Contract: "police", Linkage: gateway.Linkage{Identified: 85, Unlinkable: 15}.Bands()}},
		Places:   []gateway.PlaceQuality{{Contract: "social", Region: "61", Reported: gateway.ReportedHalf}},
	}}}
	for lang, word := range map[string]string{"kk": "Түркістан", "ru": "Туркестанская", "en": "Turkistan"} {
		c.Guide = x.Guide(c, lang)
		var b bytes.Buffer
		if err := writeCatalogue(&b, c); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if len(headings[lang]) != len(headings["en"]) {
			t.Errorf("%s: %d headings, %d in English", lang, len(headings[lang]), len(headings["en"]))
		}
		for _, cube := range d.Cubes {
			for _, want := range append([]string{cube.ID, word, "akimat-1", "80–90 %"}, cube.Dimensions...) {
				if !strings.Contains(text, want) {
					t.Errorf("%s: the catalogue does not hold %q", lang, want)
				}
			}
		}
		for i := range d.Indicators {
			if !strings.Contains(text, d.Indicators[i].ID+": "+d.Indicators[i].Title.In(lang)) {
				t.Errorf("%s: indicator %s is missing", lang, d.Indicators[i].ID)
			}
		}
		if strings.Contains(text, "%!") {
			t.Errorf("%s: a sentence is broken", lang)
		}
	}
}
