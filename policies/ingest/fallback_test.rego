package ingest.fallback_test

import data.ingest.fallback
import data.ingest.identifiers

_named := {"domain": "names", "contracts": ["helpline"]}

test_nothing_by_default if {
	fallback.key == {} with input as {"contract": {"id": "helpline"}}
}

test_the_shipped_parameters_name_no_contract if {
	data.parameters.ingest.fallback_key.contracts == []
}

test_a_named_contract_has_a_key if {
	got := identifiers.treatment.child_id with input as {"contract": {"id": "helpline"}}
		with data.parameters.ingest.fallback_key as _named
	got.do == "pseudonymise"
	got.domain == "child"
	got.fallback == "names"
	contains(got.because, "family name")
}

test_another_contract_has_none if {
	got := identifiers.treatment.child_id with input as {"contract": {"id": "police"}}
		with data.parameters.ingest.fallback_key as _named
	object.remove(got, ["because"]) == {"do": "pseudonymise", "domain": "child"}
}
