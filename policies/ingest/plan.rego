# METADATA
# title: What is stored
# description: |
#   Decides for each field of a contract what is done to it before anything is
#   stored: dropped, kept, replaced by a pseudonym, or made coarser. The decision
#   follows the field's class, and a field of an unknown class is dropped.
package ingest

import data.ingest.codes
import data.ingest.counts
import data.ingest.dates
import data.ingest.identifiers

# METADATA
# description: |
#   One decision for each field of the contract, by its name.
# entrypoint: true
plan[field.name] := treatment if {
	some field in input.contract.fields
	treatment := _decision(field)
}

_decision(field) := _treatment(field) if field.stored

_decision(field) := _dropped("The contract stores no column for it.") if {
	not field.stored
	_treatment(field).do != "drop"
}

_decision(field) := _treatment(field) if {
	not field.stored
	_treatment(field).do == "drop"
}

_decision(field) := _dropped("No rule decides about its class.") if not _treatment(field)

_treatment(field) := identifiers.treatment[field.class]

_treatment(field) := dates.treatment[field.class]

_treatment(field) := codes.treatment[field.class]

_treatment(field) := counts.treatment(input.contract, field)

_dropped(why) := {"do": "drop", "because": why}
