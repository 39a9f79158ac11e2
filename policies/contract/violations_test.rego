package contract_test

import data.contract

_good := [
	{"name": "record_id", "type": "identifier", "role": "direct", "class": "record_id", "stored": true},
	{"name": "child_iin", "type": "iin", "role": "direct", "class": "child_id", "stored": true},
	{"name": "family_name", "type": "text", "role": "direct", "class": "name", "stored": false},
	{"name": "report_date", "type": "date", "role": "quasi", "class": "event_date", "event": true, "stored": true},
	{"name": "setting", "type": "code", "role": "sensitive", "class": "sensitive", "stored": true, "list": {"id": "setting", "status": "project"}},
	{"name": "legal_basis", "type": "code", "role": "admin", "class": "admin", "stored": true, "list": {"id": "basis", "status": "project"}},
	{"name": "consent_reporting", "type": "code", "role": "admin", "class": "admin", "stored": true, "list": {"id": "yes_no", "status": "official"}},
	{"name": "narrative", "type": "text", "role": "direct", "class": "narrative", "refused": true, "stored": false},
]

_violations(fields) := reasons if {
	reasons := contract.violations with input as {"contract": {"id": "police", "fields": fields}}
}

_without(name) := [f | some f in _good; f.name != name]

_with(field) := array.concat(_without(field.name), [field])

test_a_good_contract_has_none if _violations(_good) == set()

test_unknown_class if {
	_violations(_with({"name": "taste", "type": "code", "role": "quasi", "class": "taste"})) == {"taste: no policy knows the class \"taste\""}
}

test_class_and_type if {
	_violations(_with({"name": "born", "type": "date", "role": "quasi", "class": "birth_date"})) == {"born: a field of class birth_date cannot be of type date"}
}

test_direct_identifier_in_clear if {
	_violations(_with({"name": "phone", "type": "code", "role": "direct", "class": "admin"})) == {"phone: a direct identifier cannot be of class admin"}
}

test_no_child if {
	_violations(_without("child_iin")) == {"exactly one field is the child's identification number"}
}

test_a_second_person if {
	_violations(_with({"name": "perpetrator_iin", "type": "iin", "role": "direct", "class": "child_id", "stored": true})) == {"exactly one field is the child's identification number"}
}

test_no_record_number if {
	_violations(_without("record_id")) == {"exactly one field is the agency's record number"}
}

test_no_event_date if {
	_violations(_without("report_date")) == {"exactly one field is the event's date, of class event_date"}
}

test_two_event_dates if {
	_violations(_with({"name": "other_date", "type": "date", "role": "quasi", "class": "event_date", "event": true})) == {"exactly one field is the event's date, of class event_date"}
}

test_an_event_date_of_another_class if {
	_violations(_with({"name": "report_date", "type": "date", "role": "quasi", "class": "date", "event": true})) == {"exactly one field is the event's date, of class event_date"}
}

test_narrative_that_is_read if {
	_violations(_with({"name": "narrative", "type": "text", "role": "direct", "class": "narrative", "refused": false})) == {"narrative: the column of a narrative must be refused"}
}

test_text_that_is_stored if {
	_violations(_with({"name": "family_name", "type": "text", "role": "direct", "class": "name", "stored": true})) == {"family_name: text is never stored"}
}

test_list_without_status if {
	_violations(_with({"name": "setting", "type": "code", "role": "sensitive", "class": "sensitive", "list": {"id": "setting", "status": "draft"}})) == {"setting: the code list setting has the unknown status \"draft\""}
}

test_basis_and_consent if {
	_violations(_without("legal_basis")) == {"a contract needs the field legal_basis"}
	_violations(_without("consent_reporting")) == {"a contract needs the field consent_reporting"}
}
