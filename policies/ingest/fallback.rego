# METADATA
# title: Children without a number
# description: |
#   Whether records without an identification number are linked by a key made of
#   family name, given name, birth date and sex. It is off: a contract has to be
#   named in the parameters.
package ingest.fallback

default key := {}

# METADATA
# description: |
#   The child's identification number becomes a keyed pseudonym. Where a record has
#   none, family name, given name, birth date and sex do, in a domain of their own,
#   so that contacts without a number can be counted as children; nothing of them
#   is stored.
key := {
	"fallback": data.parameters.ingest.fallback_key.domain,
	"because": rego.metadata.rule().description,
} if {
	input.contract.id in data.parameters.ingest.fallback_key.contracts
}
