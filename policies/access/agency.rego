# METADATA
# title: What an agency may do
# description: |
#   An agency sends its own records and can take them back. It asks no questions: who
#   can add records must not also see what they change.
package access.agency

# METADATA
# description: |
#   An agency uploads, looks up and withdraws its own batches.
allow contains rego.metadata.rule().description if {
	input.role == "agency"
	input.action in {"batch.upload", "batch.read", "batch.withdraw"}
}

# METADATA
# description: |
#   An agency reads the contracts under which it sends.
allow contains rego.metadata.rule().description if {
	input.role == "agency"
	input.action == "contract.read"
}

# METADATA
# description: |
#   An agency asks for the erasure of a child's records, when the law demands it. It is
#   told nothing, and two people of two roles have to sign.
allow contains rego.metadata.rule().description if {
	input.role == "agency"
	input.action == "erasure.request"
}
