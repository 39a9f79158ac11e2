package ingest.identifiers_test

import data.ingest.identifiers

test_every_identifier_is_pseudonymised_or_dropped if {
	got := {class: object.remove(t, ["because"]) | some class, t in identifiers.treatment}
	got == {
		"child_id": {"do": "pseudonymise", "domain": "child"},
		"record_id": {"do": "pseudonymise", "domain": "record"},
		"referral_key": {"do": "pseudonymise", "domain": "referral"},
		"name": {"do": "drop"},
		"organisation": {"do": "drop"},
		"narrative": {"do": "drop"},
	}
}

test_every_treatment_says_why if {
	every _, t in identifiers.treatment {
		count(t.because) > 20
	}
}
