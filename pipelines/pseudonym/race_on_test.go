//go:build race

package pseudonym

// underRace is whether the race detector is on, under which more is allocated.
const underRace = true
