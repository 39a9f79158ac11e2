// Package disclosure turns counted cells into tables that may be published:
// profile B of disclosure.md, the interactive one.
//
// The flow of a release is
//
//	Plan → NewRaw, Raw.Add, Raw.AddSum … → Protect → Published.Encode → risk page → approval
//	Decode → Published.Ask → gateway.Table
//
// Call [Plan] first, when a definition is written: it needs no data and says
// whether the declared variance carries everything that the cubes let people ask
// ([Budget]). A build fills a [Raw] with every non-empty cell of every admitted
// grouping set and gives it to [Protect], once. Protect decides, for each cell of
// the code lists, whether it may be shown, perturbs what may, and returns the only
// thing that can be served, [Published]. Questions are look-ups in it.
//
// What it guarantees, and where to find it:
//
//   - A cell exists or not by the code lists alone; zeros look like small cells
//     (lattice.go, rule 3 in protect.go).
//   - Every value carries two layers of noise, one that belongs to the cell for
//     ever and one of the release, neither depending on who is in the cell
//     (keys.go, noise.go; the distributions are solved in ptable.go, entropy.go).
//   - Whoever averages over every route to a number is left with a variance of at
//     least 7.8 (budget.go, routes.go).
//   - Thresholds on true values are secret, permanent draws (keys.go: law).
//   - No cell rests on one unit of an agency, where contracts declare units (unit.go);
//     sets that are sparse have no cells outside, for good (gate.go).
//   - The counted cells cannot be printed or encoded (raw.go).
//
// How mechanisms undo each other, and what keeps each from happening here
// (disclosure.md 2.11, by line):
//
//  1. An exact margin beside hidden cells: every cell of every set is perturbed, the
//     total too; there is no exact one.
//  2. An exact mean or rate beside a noisy count: only counts and noisy sums are
//     published; means, quantiles and shares are made of those (statistic.go).
//  3. Noisy cells added up and given as exact: no value is a sum of published ones.
//  4. Rows by true count: cells come in the order of codes (ask.go).
//  5. "0" told from hidden: one status (publish.go: outside); structural zeros are
//     declared (facts.go).
//  6. Rows that come and go: a table has all nominal cells (ask.go: read).
//  7. Records and children with independent noise: one permanent draw (publish.go:
//     value), and the rest is counted in the budget (routes.go: coincide); so is what
//     sums tell of counts (values.go: looks).
//  8. Two p-tables or two V for a cell: V is one number of a lineage (continue.go),
//     the permanent layer is drawn by label.
//  9. Rotation of the key: there is one PRF for a lineage (Release.Noise).
//  10. A threshold on the perturbed count only: rules look at n (protect.go: decide).
//  11. A hidden value elsewhere: hidden cells have no value at all; errors name sets.
//  12. The release in the permanent layer: keys.go: permanent.
//  13. Float keys: look-ups are in integers (noise.go: draw).
//  14. Differential privacy beside it: not here, and never for the same cube.
//  15. Refusals by data: Plan and Ask see definitions only; Protect refuses only
//     counts that contradict one another, and then publishes nothing.
//  16. Counts in policy: policy gives numbers, and gets none.
//  17. A second layer below half of V: NewPTables splits evenly.
//  18. Draws keyed on members: only keys.go: edge, for minorities of 10 to 18.
//  19. Reports that compare a count with a number: summary.go and widths.go have shares in
//     steps, by rule for large sets only; why one cell is hidden is kept sealed and
//     told to two officers (reasons.go).
//
// What it will not do: query data, keep a budget at run time, answer with a cell
// outside the lattice, show why a cell is hidden, or be called differentially
// private: bounded keyed noise is not. It holds no key ([gateway.PRF] does), no
// clock and no chance of its own: the same counts, rules and key give the same
// bytes. It does not protect against an attacker who knows all other children of
// a cell and can plant some; revisions
// are for that (revision.go).
package disclosure
