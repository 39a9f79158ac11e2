# METADATA
# title: What an operator may do
# description: |
#   The operator runs the gateway and manages who has a key. The operator sees no
#   release and no batch.
package access.operator

# METADATA
# description: |
#   The operator adds and revokes agencies, people, keys, roles and purposes.
allow contains rego.metadata.rule().description if {
	input.role == "operator"
	input.action == "access.manage"
}

# METADATA
# description: |
#   The operator makes, rotates and destroys the keys of pseudonyms. The gateway
#   demands that two people of two roles have signed it.
allow contains rego.metadata.rule().description if {
	input.role == "operator"
	input.action in {"keys.manage", "keys.read"}
}

# METADATA
# description: |
#   The operator reads the contracts and policies in force.
allow contains rego.metadata.rule().description if {
	input.role == "operator"
	input.action in {"contract.read", "policy.read"}
}
