# METADATA
# title: Rows of the police
# description: |
#   Rows that the police may not store through the gateway. Each rule refuses the row under a code
#   that the agency reads in its receipt.
package rows.police

import data.rows.common

# METADATA
# description: |
#   Consent was the basis for sending the row, and it was withheld.
refuse contains "CONSENT_WITHHELD" if common.consent_withheld

# METADATA
# description: |
#   The row says that there is no protective order, and dates one. One of the two
#   is wrong, and the indicator of protective orders rests on both.
refuse contains "PROTECTIVE_ORDER_CONTRADICTED" if {
	input.record.protective_order == "NONE"
	input.record.protective_order_date
}
