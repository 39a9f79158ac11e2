package gateway

// ShareCovered reports whether rule 4 of disclosure.md 2.4 hides every cell that its
// rule 5 forbids: one of more than Share of a parent smaller than ShareBelow. Such a
// cell leaves fewer than (1-Share)*ShareBelow children of its parent outside, and rule 4
// hides a cell that leaves fewer than ThresholdMin. Rules for which that is not so are
// refused: rule 5 by itself would be a hard threshold on true counts, which an uploader
// who plants children reads one bit off (AUC 0.85 to 1.00), where rule 4 draws its
// threshold in secret. So it is never run; it is what the tests hold every shown cell
// against.
func (r ReleaseRules) ShareCovered() bool {
	return r.Share > 0 && r.Share < 1 && r.ShareBelow > 0 &&
		(1-r.Share)*float64(r.ShareBelow) <= float64(r.ThresholdMin)+1e-9 // 0.05 is no binary fraction
}
