// Package suppress protects standing tables by hiding cells: profile A of
// disclosure.md, for tables that an officer signs off once per release and that
// show exact values.
//
// The flow is
//
//	NewRaw(Tables, Rules) → Raw.Add … → Protect → Pattern
//
// [NewRaw] takes the definition, the grouping sets to publish and the rules, and
// needs no data. A build fills the [Raw] with one [Count] for each non-empty base
// cell, the finest crossing that [Raw.Base] names, and gives it to [Protect],
// once. All grouping sets are protected jointly, because iterating over linked
// tables one by one leaves cells that can be computed exactly (sdcTools
// UserSupport issues 133 and 136).
//
// What happens, and where to find it:
//
//   - Every published cell is a sum of base cells (tables.go).
//   - Primary: small, zero, of one reporting unit, near its parent, or dominated
//     by few contributors (rules.go; disclosure.md 2.4, 2.7).
//   - Secondary: cells are published, the coarsest and largest first, as long as
//     no primary becomes a linear combination of them (eliminate.go; Langsrud,
//     "Secondary Cell Suppression by Gaussian Elimination", PSD 2024).
//   - Proofs without a program, for most insiders (witness.go).
//   - Audit: the exact interval in which everybody can place a primary cell, by
//     linear programming without rounding (simplex.go, attack.go), also for those
//     who know the cells they alone contribute to (insider.go).
//   - Repair: while an interval is too narrow, hide the cell that widens it most
//     for its value (repair.go).
//
// [Pattern.Cells] is what may be published. [Pattern.Hidden] tells which rule hid
// each cell, and the intervals: it is for the officer only, because a rule tells
// that a count is small.
//
// What it will not do: publish noise, minimise the number of hidden cells (the
// optimum needs branch and cut and is not worth it at this size), audit a component
// of more than [MaxVariables] unknowns (it refuses: publish fewer linked sets or use
// noise; sparse tables of three dimensions with some 500 unknowns take a quarter of a
// minute of one processor, and much larger ones end at the bound on work), or make it safe to publish anything else about the same children: one
// profile holds for all tables over them (disclosure.md 2.0). Its threshold is not
// secret unless Rules.Threshold draws it: against uploaders who plant children the
// draw and the frozen release protect, not this package. Whole numbers are relaxed
// to real ones in the audit, as the specification has it; the ends of intervals are
// rounded inwards. In tables of three and more dimensions whole numbers can narrow
// an interval a little further.
//
// Where it is coarser than the specification: in components of more than 100,000 entries a repair chooses by dual prices instead of trying every
// candidate, several far from one another at once; a cell of an earlier release counts
// as known at its present value, which gives an attacker more and not less. A
// combination of hidden magnitudes that one contributor dominates is not looked for
// (UserSupport issue 160).
//
// It does no I/O and knows no clock and no chance: the same counts and rules give
// the same bytes, in whatever order the counts came.
package suppress
