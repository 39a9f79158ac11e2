# METADATA
# title: Rows of leavers
# description: |
#   Rows that schools may not store through the gateway of a test.
package rows.leavers

import data.rows.common

# METADATA
# description: |
#   Consent was the basis for sending the row, and it was withheld.
refuse contains "CONSENT_WITHHELD" if common.consent_withheld
