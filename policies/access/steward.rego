# METADATA
# title: What a steward may do
# description: |
#   The steward builds releases and watches how complete the sectors' reports are.
package access.steward

# METADATA
# description: |
#   The steward builds releases.
allow contains rego.metadata.rule().description if {
	input.role == "steward"
	input.action == "release.build"
}

# METADATA
# description: |
#   The steward closes a release that is not closed yet.
allow contains rego.metadata.rule().description if {
	input.role == "steward"
	input.action == "release.withdraw"
	input.release.state in data.parameters.access.closable
}

# METADATA
# description: |
#   The steward reads contracts, policies, releases and the state of batches.
allow contains rego.metadata.rule().description if {
	input.role == "steward"
	input.action in {"contract.read", "policy.read", "release.read", "release.risk", "batch.read"}
}
