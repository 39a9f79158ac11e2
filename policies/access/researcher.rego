# METADATA
# title: What a researcher may do
# description: |
#   A researcher asks approved releases, for a purpose that was granted.
package access.researcher

# METADATA
# description: |
#   A researcher asks an approved release, for a purpose that the key's grant
#   lists.
allow contains rego.metadata.rule().description if {
	input.role == "researcher"
	input.action == "release.ask"
	input.release.state in data.parameters.access.readable_by_researchers
	input.purpose in input.purposes
}

# METADATA
# description: |
#   A researcher sees the list of releases, and the catalogue of an approved one.
allow contains rego.metadata.rule().description if {
	input.role == "researcher"
	input.action == "release.read"
	_readable
}

# METADATA
# description: |
#   A researcher reads what the sectors have agreed to send.
allow contains rego.metadata.rule().description if {
	input.role == "researcher"
	input.action == "contract.read"
}

_readable if not input.release

_readable if input.release.state in data.parameters.access.readable_by_researchers
