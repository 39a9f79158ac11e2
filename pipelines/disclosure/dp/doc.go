// Package dp publishes histograms of children under zero-concentrated
// differential privacy: profile C of disclosure.md 2.10, for web pages and bulk
// files that nobody is accountable for reading.
//
// The flow of a public release is
//
//	NewAccountant → NewHistogram, Histogram.Add … → Accountant.Publish → Answer
//	Accountant.Encode → stored by the caller → Answer is shown
//
// Call [NewAccountant] first: it holds the budget of a lineage and is the only
// thing that can get a number out of a [Histogram]. Before counting, compare
// [Terms.Cost] with [Accountant.Remaining]; after publishing, keep the bytes of
// [Accountant.Encode] before anybody sees the answer, because they are the proof
// that it was paid for. [Cost.Epsilon] says what has been spent in the usual words.
//
// What is promised, and to whom. Two data sets are neighbours when one holds all
// rows of one child more than the other: the unit is the child in the whole
// release, not a row. Everything that one accountant ever published is together
// δ-approximately ρ-zero-concentrated differentially private (Bun and Steinke
// 2016, definitions 1.1 and 8.1), ρ and δ being what [Accountant.Spent] says, and
// never more than the budget, whatever was asked in whatever order (the filter of
// Rogers, Roth, Ullman and Vadhan 2016, for concentrated privacy in Feldman and
// Zrnic 2021; OpenDP's odometer and filter behave so). The proof rests on four
// things, each in one file:
//
//   - a child touches at most c cells of a histogram, each by at most u, so that
//     histograms of neighbours are u·sqrt(c) apart in L2 (histogram.go);
//   - the noise is exactly the discrete Gaussian, drawn with integers from the
//     reader that is passed in, and owes nothing to the data (sample.go);
//   - sigma² = c·u²/(2ρ), so that one histogram costs ρ (terms.go; Canonne, Kamath
//     and Steinke 2020, theorem 4);
//   - the ledger adds up before it pays (accountant.go).
//
// Which cells appear is fixed by public code lists, zeros included, or bought with
// [Selection] and charged beside the noise. No rule compares a true count with a
// threshold: the rules of disclosure.md 2.4 belong to profile B, and running one
// here would void the proof. Whoever shows an Answer may hide small values of it,
// because those are noisy already.
//
// What it will not do: answer on demand out of a budget per person asking, make
// values consistent or non-negative (that is for whoever shows them, and biases
// sums), read data, or choose terms from data: ρ, c and the clamps are to be
// written down before anybody counts. It does not hide how long a draw took, so
// releases are computed ahead. Its randomness must be crypto/rand: never K_noise or
// anything else that a value could be recomputed from (disclosure.md 2.10). It
// protects a child's rows, not what siblings or an institution have in common.
//
// Cells of a cube that profile B answers must not be published here, since two
// independent noises average; [SharesCells] tells. [Shadow] puts a figure on
// profile B that looks like ρ and is an indicator, not a guarantee.
//
// The library google/differential-privacy was looked at and not used: its Gaussian
// is a binomial approximation in floating point calibrated to (ε, δ), it draws
// from a package-level source and cannot be handed a reader, it has neither
// discrete Gaussian nor zCDP ledger, and it bounds contributions by partition
// counts that the caller asserts. Its published test values are in testdata.
package dp
