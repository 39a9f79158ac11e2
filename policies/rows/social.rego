# METADATA
# title: Rows of social protection
# description: |
#   Rows that social services may not store through the gateway. Each rule refuses the row under a code
#   that the agency reads in its receipt.
package rows.social

import data.rows.common

# METADATA
# description: |
#   Consent was the basis for sending the row, and it was withheld.
refuse contains "CONSENT_WITHHELD" if common.consent_withheld
