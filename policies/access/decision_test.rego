package access_test

import data.access

_roles := ["agency", "researcher", "officer", "steward", "operator", "stranger", ""]

_actions := [
	"batch.upload", "batch.read", "batch.withdraw", "contract.read",
	"release.build", "release.read", "release.risk", "release.approve", "release.withdraw", "release.ask",
	"release.cell.ask", "release.cell.confirm",
	"audit.read", "policy.read", "access.manage", "keys.read", "keys.manage", "erasure.request", "unheard.of",
]

_request(role, action, state) := {
	"role": role,
	"action": action,
	"purpose": "reach",
	"purposes": ["reach", "overlap"],
	"release": {"state": state},
}

_decide(request) := decision if {
	decision := access.decision with input as request
}

_allowed(state) := {role: actions |
	some role in _roles
	actions := {action | some action in _actions; _decide(_request(role, action, state)).allow}
}

_always := {
	"agency": {"batch.upload", "batch.read", "batch.withdraw", "contract.read", "erasure.request"},
	"researcher": {"contract.read"},
	"officer": {"contract.read", "policy.read", "release.read", "release.risk", "batch.read", "audit.read", "keys.read"},
	"steward": {"contract.read", "policy.read", "release.read", "release.risk", "batch.read", "release.build"},
	"operator": {"contract.read", "policy.read", "access.manage", "keys.read", "keys.manage"},
	"stranger": set(),
	"": set(),
}

_also(extra) := {role: actions |
	some role, base in _always
	actions := base | object.get(extra, role, set())
}

_close := {"officer": {"release.withdraw"}, "steward": {"release.withdraw"}}

test_building if _allowed("building") == _also(_close)

_cells := {"release.cell.ask", "release.cell.confirm"}

test_built if {
	_allowed("built") == _also({"officer": {"release.withdraw", "release.approve"} | _cells, "steward": {"release.withdraw"}})
}

test_approved if {
	_allowed("approved") == _also({
		"officer": {"release.withdraw", "release.approve"} | _cells,
		"steward": {"release.withdraw"},
		"researcher": {"release.ask", "release.read"},
	})
}

test_superseded if {
	_allowed("superseded") == _also({"officer": {"release.withdraw"} | _cells, "steward": {"release.withdraw"}})
}

test_failed if _allowed("failed") == _also(_close)

test_withdrawn_can_only_be_withdrawn_again if _allowed("withdrawn") == _also(_close)

test_without_a_release if {
	request := object.remove(_request("researcher", "release.read", ""), ["release"])
	_decide(request) == {
		"allow": true,
		"rule": "access.researcher",
		"because": "A researcher sees the list of releases, and the catalogue of an approved one.\n",
	}
}

test_a_purpose_that_was_not_granted if {
	request := object.union(_request("researcher", "release.ask", "approved"), {"purpose": "curiosity"})
	_decide(request) == {
		"allow": false,
		"rule": "access.researcher",
		"because": "The key's grant does not list this purpose.",
	}
}

test_a_release_that_is_not_open if {
	_decide(_request("researcher", "release.ask", "superseded")) == {
		"allow": false,
		"rule": "access.researcher",
		"because": "The release is not open for questions.",
	}
}

test_no_grant_no_question if {
	not _decide(object.union(_request("researcher", "release.ask", "approved"), {"purposes": []})).allow
}

test_an_empty_request_is_denied if {
	_decide({}) == {"allow": false, "rule": "access", "because": "No rule allows it."}
}

test_every_role_that_is_allowed_is_told_why if {
	every role in ["agency", "officer", "steward", "operator", "researcher"] {
		decision := _decide(_request(role, "contract.read", "approved"))
		decision.rule == concat(".", ["access", role])
		count(decision.because) > 20
	}
}
