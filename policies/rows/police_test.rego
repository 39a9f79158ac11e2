package rows.police_test

import data.rows.police

_refused(record) := codes if {
	codes := police.refuse with input as {"record": record}
}

test_an_order_that_is_not_there_has_no_date if {
	_refused({"protective_order": "NONE", "protective_order_date": "2025-02-03"}) == {"PROTECTIVE_ORDER_CONTRADICTED"}
}

test_an_order_has_a_date if _refused({"protective_order": "ISSUED", "protective_order_date": "2025-02-03"}) == set()

test_no_order_no_date if _refused({"protective_order": "NONE"}) == set()

test_a_row_may_break_two_rules if {
	_refused({
		"legal_basis": "CONSENT",
		"consent_reporting": "N",
		"protective_order": "NONE",
		"protective_order_date": "2025-02-03",
	}) == {"CONSENT_WITHHELD", "PROTECTIVE_ORDER_CONTRADICTED"}
}
