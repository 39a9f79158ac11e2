//go:build !race

package pipelines

// underRace is whether the race detector is on, under which more is allocated.
const underRace = false
