# METADATA
# title: Counts
# description: |
#   Numbers such as days of absence become bands. Each band is stored as its lower
#   bound; the bands are in data.json, by contract and field, with one default.
package ingest.counts

# METADATA
# description: |
#   Counts become bands: an exact number can be looked up in the agency's file.
treatment(contract, field) := {
	"do": "generalise",
	"cuts": _cuts(contract, field),
	"because": rego.metadata.rule().description,
} if {
	field.class == "count"
}

_cuts(contract, field) := object.get(bands, [contract.id, field.name], bands["default"]) if {
	bands := data.parameters.ingest.bands
}
