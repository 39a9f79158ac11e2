# METADATA
# title: Rows of episodes
# description: |
#   Rows that authorities may not store through the gateway of a test.
package rows.episodes

import data.rows.common

# METADATA
# description: |
#   Consent was the basis for sending the row, and it was withheld.
refuse contains "CONSENT_WITHHELD" if common.consent_withheld
