package ingest_test

import data.ingest

_field(name, class) := {"name": name, "class": class, "stored": true}

_plan(fields) := {name: object.remove(t, ["because"]) | some name, t in _whole(fields)}

_whole(fields) := plan if {
	plan := ingest.plan with input as {"contract": {"id": "school", "fields": fields}}
}

test_every_class_is_treated if {
	got := _plan([
		_field("iin", "child_id"),
		_field("born", "birth_date"),
		_field("kind", "sensitive"),
		_field("days", "count"),
	])
	got == {
		"iin": {"do": "pseudonymise", "domain": "child"},
		"born": {"do": "generalise"},
		"kind": {"do": "keep"},
		"days": {"do": "generalise", "cuts": data.parameters.ingest.bands["default"]},
	}
}

test_an_unknown_class_is_dropped if {
	got := _whole([_field("colour", "taste")])
	got == {"colour": {"do": "drop", "because": "No rule decides about its class."}}
}

test_a_field_without_class_is_dropped if {
	got := _whole([{"name": "colour", "stored": true}])
	got == {"colour": {"do": "drop", "because": "No rule decides about its class."}}
}

test_a_field_without_column_is_dropped if {
	got := _whole([{"name": "kind", "class": "sensitive", "stored": false}])
	got == {"kind": {"do": "drop", "because": "The contract stores no column for it."}}
}

test_a_dropped_class_keeps_its_own_reason if {
	got := _whole([{"name": "family", "class": "name", "stored": false}])
	got == {"family": {"do": "drop", "because": data.ingest.identifiers.treatment.name.because}}
}

test_no_fields_no_decisions if {
	_whole([]) == {}
}
