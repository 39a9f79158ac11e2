// Package disclosure turns counted cells into tables that may be published:
// profile B of disclosure.md, the interactive one.
//
// The flow of a release is
//
//	Plan → NewRaw, Raw.Add … → Protect → Published.Encode → approval of its Digest
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
//   - The counted cells cannot be printed or encoded (raw.go).
//
// What it will not do: query data, keep a budget at run time, answer with a cell
// outside the lattice, show why a cell is hidden, or be called differentially
// private: bounded keyed noise is not. It holds no key ([gateway.PRF] does), no
// clock and no chance of its own: the same counts, rules and key give the same
// bytes. It does not protect against an attacker who knows all other children of
// a cell and can plant some; release revisions are for that (disclosure.md 2.8).
package disclosure
