package ingest.codes_test

import data.ingest.codes

test_long_lists_are_cut_and_short_ones_kept if {
	parameters := {"area_characters": 1, "diagnosis_characters": 2}
	treatment := codes.treatment with data.parameters.ingest as parameters
	got := {class: object.remove(t, ["because"]) | some class, t in treatment}
	got == {
		"area": {"do": "generalise", "keep": 1},
		"diagnosis": {"do": "generalise", "keep": 2},
		"sex": {"do": "keep"},
		"demographic": {"do": "keep"},
		"sensitive": {"do": "keep"},
		"admin": {"do": "keep"},
		"measure": {"do": "keep"},
	}
}

test_every_treatment_says_why if {
	every _, t in codes.treatment {
		count(t.because) > 20
	}
}
