# METADATA
# title: Who may do what
# description: |
#   Decides whether a caller may do something: by role, action, purpose and the
#   state of the release. What no rule allows is denied. Which batches and keys are
#   the caller's own is checked by the gateway, and no rule here ever sees a count.
package access

import data.access.agency
import data.access.officer
import data.access.operator
import data.access.researcher
import data.access.steward

# METADATA
# description: |
#   The decision, and the rule that made it.
# entrypoint: true
default decision := {"allow": false, "rule": "access", "because": "No rule allows it."}

decision := {"allow": true, "rule": rule, "because": because} if {
	grants := [[r, b] | some r, bs in _allow; some b in bs]
	[rule, because] := sort(grants)[0]
}

decision := {"allow": false, "rule": "access.researcher", "because": why} if {
	count({b | some b in _allow[_]}) == 0
	why := _why_not
}

_allow := {
	"access.agency": agency.allow,
	"access.officer": officer.allow,
	"access.operator": operator.allow,
	"access.researcher": researcher.allow,
	"access.steward": steward.allow,
}

_why_not := "The key's grant does not list this purpose." if {
	_asks
	input.release.state in data.parameters.access.readable_by_researchers
}

_why_not := "The release is not open for questions." if {
	_asks
	not input.release.state in data.parameters.access.readable_by_researchers
}

_asks if {
	input.role == "researcher"
	input.action == "release.ask"
}
