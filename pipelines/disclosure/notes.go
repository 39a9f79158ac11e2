package disclosure

import (
	"fmt"

	"github.com/pana-exchange/pana/gateway"
)

const hiddenNote = "Suppressed cells are small, zero, or nearly all of a larger group; which of these is never told."

// statNotes say how a statistic was made and what its standard deviation is of. They
// depend on the question only.
func (c *query) statNotes(l *lattice) []string {
	s, v := &c.stat, l.def.V
	notes := []string{"A suppressed statistic is of a cell that is suppressed, or one of its parts is, or it is of too few children for a statistic; which of these is never told."}
	delta := fmt.Sprintf("The standard deviation is that of the noise in these published numbers, to first order (delta method: Casella and Berger, Statistical Inference, 5.5.4), and of the rounding; V = %g. What the data themselves leave open is not in it.", v)
	switch s.kind {
	case statSum:
		notes = append(notes, numberNote(s.value),
			fmt.Sprintf("Sums carry noise in units of %d, the most that one child can add, and are rounded to %d; the variance is of both. Those of small cells may come out below zero; they are left so, because sums that are cut off do not add up.", s.value.Max, s.value.Precision))
	case statMean:
		notes = append(notes, numberNote(s.value),
			fmt.Sprintf("The mean is the published sum over the published number of children, j, of cells with j of %d or more.", meanFloor),
			fmt.Sprintf("sd^2 = (%g + mean^2 V)/j^2 and rounding. %s", sumVariance(s.value, v), delta))
	case statQuantile:
		notes = append(notes,
			fmt.Sprintf("Published counts of the bands of %s are added up to %d %% and the band in which that lies is divided evenly; all bands must be published, and %d children lie on either side. The result is rounded to half the width of the band.", s.dim.Name, s.percent, quantileFloor),
			fmt.Sprintf("sd^2 = V (w/n)^2 (B(1-q)^2 + A q^2 + (q-f)^2) and rounding, of a band with width w and count n, the part f of it below, B bands under it and A over it. %s", delta))
	case statShare:
		notes = append(notes,
			fmt.Sprintf("The share is the published count over the published count of the same cell one level up in %s, of %d children or more.", s.dim.Name, meanFloor),
			fmt.Sprintf("sd^2 = V (1 + share^2)/parent^2 and rounding. %s", delta))
	case statJaccard:
		notes = append(notes,
			"The overlap is the published number of children whom both sectors have seen over the number whom either has, n(A)+n(B)-n(both).",
			fmt.Sprintf("With u = n(A)+n(B)-n(both), sd^2 = V ((1+J)^2 + 2 J^2)/u^2 and rounding. %s", delta),
			"Records are linked by keyed hashes of the identification number: a child without it, or with a wrong one, is not found in the other sector, so the true overlap is larger by an amount that nobody has measured here.")
	case statCount:
	}
	return append(notes, hiddenNote)
}

// numberNote says what is added up.
func numberNote(v *gateway.Value) string {
	return fmt.Sprintf("Each child counts once, with the %s of its records in the cell, at least %d and at most %d%s. Where policy stores numbers as bands, a number counts as the lower bound of its band, and sums are low by as much.",
		v.PerChild, v.Min, v.Max, unit(v))
}

func unit(v *gateway.Value) string {
	if v.Unit.EN == "" {
		return ""
	}
	return " " + v.Unit.EN
}
