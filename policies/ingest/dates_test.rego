package ingest.dates_test

import data.ingest.dates

test_no_date_is_kept if {
	got := {class: object.remove(t, ["because"]) | some class, t in dates.treatment}
	got == {
		"birth_date": {"do": "generalise"},
		"age": {"do": "generalise"},
		"event_date": {"do": "generalise", "day": true},
		"date": {"do": "generalise", "day": true},
	}
}

test_every_treatment_says_why if {
	every _, t in dates.treatment {
		count(t.because) > 20
	}
}
