# METADATA
# title: What a data protection officer may do
# description: |
#   The officer reads everything that is decided and why, approves a release from its
#   risk report, and can close it. The officer neither sends nor asks.
package access.officer

# METADATA
# description: |
#   The officer approves a release that is built, and may say so again.
allow contains rego.metadata.rule().description if {
	input.role == "officer"
	input.action == "release.approve"
	input.release.state in data.parameters.access.approvable
}

# METADATA
# description: |
#   The officer closes a release that is not closed yet.
allow contains rego.metadata.rule().description if {
	input.role == "officer"
	input.action == "release.withdraw"
	input.release.state in data.parameters.access.closable
}

# METADATA
# description: |
#   The officer asks why one cell of a release is what it is, and confirms what
#   another officer asks. Nobody learns it alone: the gateway demands two persons.
allow contains rego.metadata.rule().description if {
	input.role == "officer"
	input.action in {"release.cell.ask", "release.cell.confirm"}
	input.release.state in data.parameters.access.viewable
}

# METADATA
# description: |
#   The officer reads contracts, policies, releases, batches, the audit log and the
#   states and check values of keys.
allow contains rego.metadata.rule().description if {
	input.role == "officer"
	input.action in {"contract.read", "policy.read", "release.read", "release.risk", "batch.read", "audit.read", "keys.read"}
}
