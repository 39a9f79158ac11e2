package release.threshold_test

import data.release.threshold

_parameters(siblings) := {
	"threshold_from": 12,
	"threshold_law": [0.5, 0.5],
	"siblings_are_common": siblings,
	"siblings_raise": 5,
}

_threshold := {"least": threshold.least, "law": threshold.law}

test_the_law_comes_from_the_data if {
	_threshold == {"least": 12, "law": [0.5, 0.5]} with data.parameters.release as _parameters(false)
}

test_siblings_raise_it if {
	_threshold == {"least": 17, "law": [0.5, 0.5]} with data.parameters.release as _parameters(true)
}

test_the_probabilities_make_one if {
	abs(sum(threshold.law) - 1) < 0.000001
}
