# METADATA
# title: Identifiers
# description: |
#   What happens to fields that name or point to a child, a record or an
#   organisation. They are replaced by keyed pseudonyms where records must be
#   matched later, and thrown away everywhere else.
package ingest.identifiers

# METADATA
# description: |
#   The child's identification number becomes a keyed pseudonym, so that the
#   sectors' records of one child can be counted together; the number itself is
#   never stored.
treatment["child_id"] := object.union({
	"do": "pseudonymise",
	"domain": "child",
	"because": rego.metadata.rule().description,
}, data.ingest.fallback.key)

# METADATA
# description: |
#   The agency's own record number becomes a pseudonym of a domain of its own:
#   it lets the agency correct its record, and joins nothing across agencies.
treatment["record_id"] := {
	"do": "pseudonymise",
	"domain": "record",
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   The random number on a referral slip becomes a pseudonym that sender and
#   receiver share, so that a hand-over can be matched without any child id.
treatment["referral_key"] := {
	"do": "pseudonymise",
	"domain": "referral",
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   Names are dropped: no count needs them.
treatment["name"] := {
	"do": "drop",
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   The organisation is dropped: a village school or clinic identifies the child.
treatment["organisation"] := {
	"do": "drop",
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   Free text is dropped; the contract refuses its column at the door, because no
#   rule can make it safe.
treatment["narrative"] := {
	"do": "drop",
	"because": rego.metadata.rule().description,
}
