# METADATA
# title: Rows of justice
# description: |
#   Rows that courts may not store through the gateway. Each rule refuses the row under a code
#   that the agency reads in its receipt.
package rows.justice

import data.rows.common

# METADATA
# description: |
#   Consent was the basis for sending the row, and it was withheld.
refuse contains "CONSENT_WITHHELD" if common.consent_withheld

# METADATA
# description: |
#   A child under 14 cannot be in conflict with the law (Criminal Code of the
#   Republic of Kazakhstan, article 15): the role is wrong, and a victim or a
#   witness must not be counted as accused.
refuse contains "IN_CONFLICT_TOO_YOUNG" if {
	input.record.child_role == "IN_CONFLICT"
	input.record.age < data.parameters.rows.responsible_from
}
