# METADATA
# title: Rows of the child helpline
# description: |
#   Rows that the helpline may not store through the gateway. Each rule refuses the row under a code
#   that the agency reads in its receipt.
package rows.helpline

import data.rows.common

# METADATA
# description: |
#   Consent was the basis for sending the row, and it was withheld.
refuse contains "CONSENT_WITHHELD" if common.consent_withheld

# METADATA
# description: |
#   Silent, blank and prank calls, hung-up calls and wrong numbers are not about a
#   child: storing them would count contacts that never were.
refuse contains "CONTACT_WITHOUT_DATA" if {
	input.record.call_type in data.parameters.rows.helpline_without_data
}
