# METADATA
# title: Conditions of all sectors
# description: |
#   Conditions under which a row of any sector is refused. Each sector's own file
#   gives them their code, so that what a sector refuses can be read in one place.
package rows.common

# METADATA
# description: |
#   The row may be sent only because the family consented, and it did not.
consent_withheld if {
	input.record.legal_basis == "CONSENT"
	input.record.consent_reporting == "N"
}
