# METADATA
# title: Rows of exclusions
# description: |
#   Rows that schools may not store through the gateway of a test.
package rows.exclusions

import data.rows.common

# METADATA
# description: |
#   Consent was the basis for sending the row, and it was withheld.
refuse contains "CONSENT_WITHHELD" if common.consent_withheld
