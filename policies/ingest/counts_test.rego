package ingest.counts_test

import data.ingest.counts

_bands := {"default": [0, 5], "school": {"days": [0, 1, 2]}}

_treatment(contract, name, class) := object.remove(counts.treatment({"id": contract}, {"name": name, "class": class}), ["because"])

test_a_field_has_its_own_bands if {
	got := _treatment("school", "days", "count") with data.parameters.ingest.bands as _bands
	got == {"do": "generalise", "cuts": [0, 1, 2]}
}

test_other_fields_have_the_default_bands if {
	want := {"do": "generalise", "cuts": [0, 5]}
	got := [
		_treatment("school", "weeks", "count"),
		_treatment("court", "days", "count"),
	] with data.parameters.ingest.bands as _bands
	got == [want, want]
}

test_nothing_else_is_a_count if {
	not _treatment("school", "days", "measure")
}

test_the_treatment_says_why if {
	count(counts.treatment({"id": "school"}, {"name": "days", "class": "count"}).because) > 20
}
