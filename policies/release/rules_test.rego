package release_test

import data.release

_definition := {"lineage": "demo", "variance": 50}

test_the_default_rules if {
	got := release.rules with input as {"definition": _definition}
	got == {
		"threshold_min": 10,
		"threshold": [0.15, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05],
		"share": 0.95,
		"share_below": 200,
		"record_cap": 20,
		"variance_least": 50,
	}
}
