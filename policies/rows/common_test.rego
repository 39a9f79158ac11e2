package rows.common_test

import data.rows

_withheld := {"record": {"legal_basis": "CONSENT", "consent_reporting": "N"}}

_given := {"record": {"legal_basis": "CONSENT", "consent_reporting": "Y"}}

_law := {"record": {"legal_basis": "LAW", "consent_reporting": "N"}}

_sectors := {"police", "health", "education", "social", "justice", "helpline"}

_refused(document) := codes if {
	codes := {sector: rows[sector].refuse | some sector in _sectors} with input as document
}

_all(codes) := {sector: codes | some sector in _sectors}

test_withheld_consent_is_refused_by_every_sector if {
	_refused(_withheld) == _all({"CONSENT_WITHHELD"})
}

test_given_consent_is_accepted if _refused(_given) == _all(set())

test_the_law_needs_no_consent if _refused(_law) == _all(set())

test_an_empty_row_is_accepted if _refused({"record": {}}) == _all(set())
