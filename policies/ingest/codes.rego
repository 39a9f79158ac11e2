# METADATA
# title: Codes
# description: |
#   What happens to fields that hold codes of closed lists. Codes are stored as
#   they are where the list is short; long lists that can single out a place or
#   an illness are cut to their first characters.
package ingest.codes

# METADATA
# description: |
#   Places are cut to the region: a settlement and a birth year point to a child.
treatment["area"] := {
	"do": "generalise",
	"keep": data.parameters.ingest.area_characters,
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   Diagnoses are cut to their category: rare illnesses are as good as a name.
treatment["diagnosis"] := {
	"do": "generalise",
	"keep": data.parameters.ingest.diagnosis_characters,
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   The child's sex is stored as its code: nearly every indicator is split by it.
treatment["sex"] := {
	"do": "keep",
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   Demographic codes are stored as they are: their lists are short, and tables
#   show them only after disclosure control.
treatment["demographic"] := {
	"do": "keep",
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   Sensitive codes, such as the kind of harm, are what the indicators count. They
#   are stored as codes and leave only as protected counts.
treatment["sensitive"] := {
	"do": "keep",
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   Administrative codes say how the record came about, not who the child is.
treatment["admin"] := {
	"do": "keep",
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   Measures of the service, such as its status, are stored as they are.
treatment["measure"] := {
	"do": "keep",
	"because": rego.metadata.rule().description,
}
