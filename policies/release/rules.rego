# METADATA
# title: How a release is protected
# description: |
#   The numbers with which disclosure control protects a release. They are asked
#   for once, when a release is built, are pinned in it, and are equal for all
#   purposes and all questions. Nothing here ever sees a count.
package release

import data.release.threshold

# METADATA
# description: |
#   The numbers of one release: the law of the secret thresholds, the share above
#   which a sensitive group is hidden (in parents smaller than share_below), the
#   most records of one child that count, and the least variance of the noise.
# entrypoint: true
rules := {
	"threshold_min": threshold.least,
	"threshold": threshold.law,
	"share": _numbers.share,
	"share_below": _numbers.share_below,
	"record_cap": _numbers.record_cap,
	"variance_least": _numbers.variance_least,
}

_numbers := data.parameters.release
