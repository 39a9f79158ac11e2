// Package redteam attacks what package disclosure publishes, with the truth at
// hand to score by: disclosure.md 4. It is for test environments: it makes its own
// populations and never sees a real record.
//
// Call [Run]. For each population (dense, medium, sparse) it
//
//   - plants 50 victims and 50 controls, children unique on what an attacker
//     knows of them, whose secret is one outcome or the other (population.go);
//   - publishes the same children without protection, by the ONS 10-5 rule, by a
//     single-layer cell key, and by the default, which is disclosure.Protect
//     itself (publish.go, fault.go);
//   - runs every attack on each of them under several noise keys, and scores an
//     attacker who has the published one-way margins only, the model baseline;
//   - compares the default with the bars of disclosure.md 4 ([Report]).
//
// It also attacks a grid of places that draws what oracles need by the hundred
// (grid.go), and standing tables of profile A by linear programming (standing.go).
//
// [Twin] does the same for any definition: it makes children up from the definition
// alone, protects them as a build would, and attacks the result, in seconds. It is
// what an officer reads beside a release before opening it: it needs no record, so
// it tells nothing about anybody.
//
// [Against] attacks a real release of a test environment, by a researcher's questions
// alone, and scores by the synthetic country that filled it.
//
// An attack that does not break what it is known to break is itself broken, and the
// run fails: each measure names its control, no protection or a planted fault of
// the default (a hard threshold, no permanent layer, noise keyed on members, …).
//
// What it will not do: read a stored record, search for attacks nobody thought of,
// time anything but the look-up of answers, or prove anything. It
// scores one attacker a line on synthetic children; a bar that is met is evidence and
// no more.
package redteam
