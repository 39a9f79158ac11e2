# METADATA
# title: Below how many children a count is hidden
# description: |
#   A count of children is hidden when it is below a threshold that is drawn in
#   secret for each cell. A fixed threshold would tell somebody who adds invented
#   children when it is crossed. The law of the draw is public.
package release.threshold

# METADATA
# description: |
#   The lowest threshold. Where siblings are common it is raised, because they are
#   not protected as one.
least := data.parameters.release.threshold_from + _raise

# METADATA
# description: |
#   The probabilities of the lowest threshold, the next one, and so on.
law := data.parameters.release.threshold_law

default _raise := 0

_raise := data.parameters.release.siblings_raise if data.parameters.release.siblings_are_common
