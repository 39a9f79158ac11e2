package rows.justice_test

import data.rows.justice

_refused(record) := codes if {
	codes := justice.refuse with input as {"record": record} with data.parameters.rows.responsible_from as 14
}

test_a_child_of_13_is_not_in_conflict if {
	_refused({"child_role": "IN_CONFLICT", "age": 13}) == {"IN_CONFLICT_TOO_YOUNG"}
}

test_a_child_of_14_may_be if _refused({"child_role": "IN_CONFLICT", "age": 14}) == set()

test_a_victim_may_be_any_age if _refused({"child_role": "VICTIM", "age": 3}) == set()

test_without_age_nothing_is_known if _refused({"child_role": "IN_CONFLICT"}) == set()
