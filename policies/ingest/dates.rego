# METADATA
# title: Dates and ages
# description: |
#   No date is stored as it is. Days are shifted by a secret number that is the
#   same for all records of one child, so that the time between two events stays
#   exact while the dates do not; birth dates and ages become age bands.
package ingest.dates

# METADATA
# description: |
#   The birth date becomes the age band at the day of the event; the date itself
#   is not stored.
treatment["birth_date"] := {
	"do": "generalise",
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   The age in years becomes the age band at the day of the event.
treatment["age"] := {
	"do": "generalise",
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   The event's date becomes its quarter, and a day shifted by the child's secret.
treatment["event_date"] := {
	"do": "generalise",
	"day": true,
	"because": rego.metadata.rule().description,
}

# METADATA
# description: |
#   Other dates become days shifted by the child's secret: delays can be measured,
#   dates cannot be read.
treatment["date"] := {
	"do": "generalise",
	"day": true,
	"because": rego.metadata.rule().description,
}
